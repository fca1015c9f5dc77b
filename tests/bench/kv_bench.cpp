// Single durable puts: through Kv, and the same bytes straight into LMDB, in alternating rounds.
//
//   kv_bench [PUTS per round = 1000] [ROUNDS = 5]      in $TMPDIR, which should be a real disk
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <lmdb.h>
#include <string>
#include <vector>

#include "storage/lmdb/lmdb_kv.h"
#include "tests/support/temp_dir.h"

using namespace fieldpost;
using namespace fieldpost::storage;

namespace {

constexpr std::size_t kValueBytes = 1000;

void die(const std::string& why) {
  std::fprintf(stderr, "kv_bench: %s\n", why.c_str());
  std::exit(1);
}

/// Scattered as hashes are, the same for both sides.
Bytes key_number(std::uint64_t n) {
  Bytes key(16);
  std::uint64_t state = (n + 1) * 0x9E3779B97F4A7C15ULL;
  for (auto& byte : key) {
    state ^= state >> 29;
    state *= 0xBF58476D1CE4E5B9ULL;
    byte = static_cast<std::uint8_t>(state >> 56);
  }
  return key;
}

class Raw {
 public:
  explicit Raw(const std::filesystem::path& directory) {
    std::filesystem::create_directory(directory);
    check(::mdb_env_create(&env_));
    check(::mdb_env_set_mapsize(env_, std::size_t{1} << 30));
    check(::mdb_env_set_maxdbs(env_, 2));
    check(::mdb_env_open(env_, directory.c_str(), MDB_NOTLS, 0600));
    MDB_txn* txn = nullptr;
    check(::mdb_txn_begin(env_, nullptr, 0, &txn));
    check(::mdb_dbi_open(txn, "records", MDB_CREATE, &dbi_));
    check(::mdb_txn_commit(txn));
  }
  ~Raw() { ::mdb_env_close(env_); }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;

  void put(const Bytes& key, const Bytes& value) {
    MDB_txn* txn = nullptr;
    check(::mdb_txn_begin(env_, nullptr, 0, &txn));
    MDB_val k{key.size(), const_cast<std::uint8_t*>(key.data())};
    MDB_val v{value.size(), const_cast<std::uint8_t*>(value.data())};
    check(::mdb_put(txn, dbi_, &k, &v, 0));
    check(::mdb_txn_commit(txn));
  }

 private:
  static void check(int rc) {
    if (rc != 0) die(::mdb_strerror(rc));
  }
  MDB_env* env_ = nullptr;
  MDB_dbi dbi_ = 0;
};

using Latencies = std::vector<double>;  // microseconds; only for printing

void run(std::uint64_t from, std::uint64_t count,
         const std::function<void(const Bytes&, const Bytes&)>& put, Latencies& latencies) {
  Bytes value(kValueBytes);
  for (std::uint64_t n = from; n < from + count; ++n) {
    const Bytes key = key_number(n);
    for (std::size_t i = 0; i < value.size(); ++i)
      value[i] = static_cast<std::uint8_t>(n * 31 + i * 7);
    const auto start = std::chrono::steady_clock::now();
    put(key, value);
    latencies.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
            .count());
  }
}

double rate(const Latencies& latencies) {
  double sum = 0;
  for (const double us : latencies) sum += us;
  return static_cast<double>(latencies.size()) * 1e6 / sum;
}

double percentile(Latencies latencies, std::size_t percent) {
  std::sort(latencies.begin(), latencies.end());
  return latencies[std::min(latencies.size() - 1, latencies.size() * percent / 100)];
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t puts = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000;
  const std::uint64_t rounds = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 5;
  if (puts == 0 || rounds == 0) die("usage: kv_bench [PUTS per round] [ROUNDS]");

  const test::TempDir dir;
  Raw raw(dir / "raw");
  LmdbOptions options;
  options.directory = dir / "kv";
  options.tables = {"records"};
  options.format_name = "kv-bench";
  options.create = true;
  auto opened = LmdbKv::open(options);
  if (!opened) die(opened.error().message());
  Kv& kv = **opened;

  Latencies raw_us;
  Latencies kv_us;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    run(
        round * puts, puts, [&](const Bytes& key, const Bytes& value) { raw.put(key, value); },
        raw_us);
    run(
        round * puts, puts,
        [&](const Bytes& key, const Bytes& value) {
          const Status done = kv.update([&](KvWrite& write) { return write.put(0, key, value); });
          if (!done) die(done.error().message());
        },
        kv_us);
  }
  std::printf("single durable puts of %zu bytes, %llu each\n", kValueBytes,
              static_cast<unsigned long long>(puts) * rounds);
  std::printf("        puts/s   p50 us   p99 us\n");
  std::printf("lmdb  %8.0f %8.0f %8.0f\n", rate(raw_us), percentile(raw_us, 50),
              percentile(raw_us, 99));
  std::printf("kv    %8.0f %8.0f %8.0f\n", rate(kv_us), percentile(kv_us, 50),
              percentile(kv_us, 99));
  std::printf("kv / lmdb  %.3f\n", rate(kv_us) / rate(raw_us));
}
