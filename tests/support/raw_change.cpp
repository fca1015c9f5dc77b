// raw_change DATA < CHANGES.ndjson: appends changes to a stopped agent's chain as they are given, past every
// check of its form. What a broken, foreign or newer program might store; tests need such tablets.
//
// A line: {"record": id (a new one without it), "type", "unit", "author", "schema_version", "reason", "edits":
// {path: value}}. Prints a line {"record", "dot"} for each; all are one commit.
#include <iostream>

#include "agent/app.h"
#include "keys/clock.h"
#include "keys/random.h"
#include "schema/document.h"
#include "sync/recorder.h"

namespace {

using namespace fieldpost;
using nlohmann::json;

Result<sync::EditRequest> request_of(const json& line, const RandomSource& random) {
  if (!line.is_object()) return fail(Errc::malformed, "a line is a JSON object");
  sync::EditRequest request;
  if (line.contains("record")) {
    FP_TRY(request.record, record_id_from_text(line["record"].get<std::string>()));
  } else {
    std::array<std::uint8_t, 10> bits{};
    random(bits);
    request.record = make_record_id(keys::system_now(), bits);
  }
  request.type = line.value("type", "stop");
  request.unit = line.value("unit", "01-PPT");
  request.author = line.value("author", "TEST");
  request.schema_version = line.value("schema_version", 1U);
  if (line.contains("reason")) request.reason = line["reason"].get<std::string>();
  const json edits =
      line.value("edits", json::object());  // its members are sorted, as the change's must be
  for (const auto& [path, value] : edits.items()) {
    FP_TRY(auto stored, schema::value_from_json(value));
    request.edits.push_back({path, std::move(stored)});
  }
  return request;
}

Status append(const std::filesystem::path& data) {
  agent::AppOptions options;
  options.data.path = data;
  FP_TRY(auto app, agent::App::open(options));
  const RandomSource random = keys::system_random();
  sync::ChangeBatch batch(app->store(), sync::change_times(app->read_clock(), std::nullopt),
                          random);
  std::string text;
  std::string answer;
  while (std::getline(std::cin, text)) {
    FP_TRY(const auto request, request_of(json::parse(text, nullptr, false), random));
    FP_TRY(const auto dot, batch.add(request));
    answer += json{{"record", to_text(request.record)}, {"dot", model::to_text(dot)}}.dump() + "\n";
  }
  FP_CHECK_OK(batch.commit(app->store().state().ref_counter));
  std::cout << answer;
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || !crypto::init()) {
    std::cerr << "usage: raw_change DATA < CHANGES.ndjson\n";
    return 2;
  }
  if (auto done = append(argv[1]); !done) {
    std::cerr << "raw_change: " << done.error().message() << '\n';
    return 1;
  }
  return 0;
}
