// Trains schemas/dictionaries/wire-v1.dict from changes and record states of another seed and other word
// lists than those measured with. See schemas/dictionaries/README.md.
//
//   train_dictionary OUT [RECORDS = 6000] [KIB = 32]
#define ZDICT_STATIC_LINKING_ONLY  // for a dictionary with a fixed id in one pass
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <zdict.h>

#include "model/record.h"
#include "schema/document.h"
#include "schema/registry.h"
#include "tests/bench/workload.h"
#include "wire/codec.h"

using namespace fieldpost;

namespace {

constexpr std::uint64_t kTrainingSeed = 990'001;
/// Stands in every frame: changing it makes another dictionary, and that is a new version of the wire.
constexpr unsigned kDictionaryId = 0x46500001;
constexpr std::size_t kUnits = 12;

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "train_dictionary: %s\n", why.c_str());
  std::exit(1);
}

template <class T>
T need(Result<T> result) {
  if (!result) die(result.error().message());
  return std::move(*result);
}

struct Samples {
  Bytes bytes;
  std::vector<std::size_t> sizes;
  void add(BytesView sample) {
    bytes.insert(bytes.end(), sample.begin(), sample.end());
    sizes.push_back(sample.size());
  }
};

/// Random but the same each time: salts and actors must not make two trainings differ.
class Drawn {
 public:
  explicit Drawn(std::uint64_t seed) : engine_(seed) {}
  void operator()(std::span<std::uint8_t> out) {
    for (auto& byte : out) byte = static_cast<std::uint8_t>(engine_() >> 24);
  }
  std::uint64_t number() { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

model::Change change_of(const schema::Registry& registry, const nlohmann::json& document,
                        model::Dot dot, Drawn& drawn) {
  model::Change change;
  change.record = need(record_id_from_text(document["id"].get<std::string>()));
  change.dot = dot;
  change.type = document["type"].get<std::string>();
  change.unit = document["unit"].get<std::string>();
  change.author = document["author"].get<std::string>();
  change.schema_version = 1;
  schema::EditOptions options;
  options.author = change.author;
  change.edits =
      need(schema::edits_from_document(registry, change.type, document, nullptr, options));
  change.times.wall =
      Instant{1'772'323'200'000 + static_cast<std::int64_t>(dot.counter.value) * 90'000};
  change.times.boot = dot.actor.value ^ 0x9e3779b97f4a7c15ULL;
  change.times.monotonic_ms = 1'000'000 + dot.counter.value * 90'000;
  change.times.hub = model::HubTime{{1'772'310'000'000}, 999'000};
  change.welcome = 1'772'323'000'000;
  drawn(change.salt.bytes);
  return change;
}

/// Like an amendment: one field, its reason, its item.
model::Change amendment_of(const model::Change& first, const model::Record& record, Drawn& drawn) {
  model::Change change = first;
  change.dot.counter = change.dot.counter.next();
  change.prev = first.dot.counter;
  change.context = record.vv;
  change.reason = std::string("corrected after the shift");
  std::array<std::uint8_t, 5> item{};
  drawn(item);
  const std::string at = "amendments/" + to_base32(item) + "/";
  change.edits = {{at + "at", std::string("2026-03-14T09:00:00+07:00")},
                  {at + "by", first.author},
                  {at + "kind", std::string("amended")},
                  {at + "reason", std::string("corrected after the shift")},
                  {"state", std::string("amended")}};
  drawn(change.salt.bytes);
  return change;
}

void collect(const schema::Registry& registry, std::size_t records, Samples& samples) {
  Drawn drawn(kTrainingSeed);
  constexpr const char* kUnitCodes[kUnits] = {"02-KPR", "03-SMC", "05-CHP", "08-BVT",
                                              "12-KOH", "13-STR", "14-PKD", "17-OSM",
                                              "18-PRV", "21-CHR", "23-KEP", "25-TBK"};
  for (std::size_t unit = 0; unit < kUnits; ++unit) {
    bench::WorkloadOptions options;
    options.seed = kTrainingSeed + unit;
    options.unit = kUnitCodes[unit];
    options.device = "D" + std::to_string(10 + unit);
    options.words = &bench::training_words();
    bench::Workload workload(options);
    const ActorId actor{drawn.number()};
    Sequence counter{1};
    for (std::size_t i = 0; i < records / kUnits; ++i) {
      const auto document = workload.mixed();
      const model::Change change = change_of(registry, document, {actor, counter}, drawn);
      counter = counter.next();
      samples.add(need(wire::encode_change(change)));
      model::Record record = model::empty_record(change.record, change.type, change.unit);
      if (model::apply(record, change) != model::Applied::applied)
        die("a change of the training does not apply");
      samples.add(need(wire::encode_record(record)));
      if (i % 10 != 0) continue;
      const model::Change amended = amendment_of(change, record, drawn);
      counter = counter.next();
      samples.add(need(wire::encode_change(amended)));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) die("usage: train_dictionary OUT [RECORDS] [KIB]");
  const std::size_t records = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 6000;
  const std::size_t size = (argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 32) * 1024;
  if (auto ready = crypto::init(); !ready) die(ready.error().message());
  const auto registry = need(schema::Registry::load(embedded_schemas()));
  Samples samples;
  collect(registry, records, samples);
  Bytes dictionary(size);
  ZDICT_fastCover_params_t params{};
  params.k = 1024;
  params.d = 8;
  params.f = 20;
  params.accel = 1;
  params.steps = 4;
  params.zParams.compressionLevel = 3;
  params.zParams.dictID = kDictionaryId;
  const std::size_t made = ZDICT_trainFromBuffer_fastCover(
      dictionary.data(), dictionary.size(), samples.bytes.data(), samples.sizes.data(),
      static_cast<unsigned>(samples.sizes.size()), params);
  if (ZDICT_isError(made)) die(ZDICT_getErrorName(made));
  dictionary.resize(made);
  std::ofstream out(argv[1], std::ios::binary);
  out.write(reinterpret_cast<const char*>(dictionary.data()),
            static_cast<std::streamsize>(dictionary.size()));
  if (!out.flush()) die("cannot write " + std::string(argv[1]));
  std::printf("%zu bytes from %zu samples, %zu bytes\n", made, samples.sizes.size(),
              samples.bytes.size());
  return 0;
}
