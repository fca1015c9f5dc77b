// Backups of a running hub: how fast, beside a plain copy of the same files, and what they cost a tablet that pushes.
#include <algorithm>
#include <atomic>
#include <fcntl.h>
#include <thread>
#include <unistd.h>

#include "hub/cli/backup.h"
#include "hub/cli/client.h"
#include "tests/bench/hub_process.h"
#include "tests/bench/keys.h"
#include "tests/bench/tablet.h"

namespace fieldpost::bench {

namespace {

namespace fs = std::filesystem;

constexpr const char* kBackedUnit = "01-PPT";

/// A hub that runs, with backups set up.
struct Backed {
  HubProcess hub;
  test::TempDir folder;
  fs::path repository = folder / "repository";

  void start() {
    need(hub::backup_key(hub.data(), folder / "recovery.txt"));
    hub::BackupSettings settings;
    settings.directory = repository.string();
    need(hub::backup_setup(hub.data(), settings));
    hub.start();
    // One is due at once; the next by itself only after hours.
    while (list().empty()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  nlohmann::json list() {
    return need(hub::Client(hub.data()).call("GET", "/v1/backups"))["backups"];
  }
  nlohmann::json make() {
    return need(hub::Client(hub.data()).call("POST", "/v1/backup", {{"full", false}}));
  }
  /// So that the next one is a first one: the dearest there is.
  void forget() const {
    for (const char* part : {"chunks", "backups"}) {
      for (const auto& entry : fs::directory_iterator(repository / part))
        fs::remove_all(entry.path());
    }
  }
};

/// Reads and writes as `cp` does, then fsync. Answers how many bytes.
std::uint64_t copy_synced(const fs::path& from, const fs::path& to) {
  const int in = ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
  const int out = ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  std::vector<char> buffer(1 << 20);
  std::uint64_t total = 0;
  ssize_t got = 0;
  while (in >= 0 && out >= 0 && (got = ::read(in, buffer.data(), buffer.size())) > 0) {
    if (::write(out, buffer.data(), static_cast<std::size_t>(got)) != got) break;
    total += static_cast<std::uint64_t>(got);
  }
  const bool good = got == 0 && total > 0 && ::fsync(out) == 0;
  ::close(in);
  ::close(out);
  if (!good) throw std::runtime_error("cannot copy " + from.string());
  return total;
}

double push_rate(Tablet& tablet, std::size_t records) {
  const auto moments = tablet.sync();
  return static_cast<double>(records) / seconds_between(moments.start, *moments.acknowledged);
}

void speed(const Plan& plan, Backed& backed, Report& report) {
  std::vector<double> backup_s;
  std::vector<double> restore_s;
  std::vector<double> copy_s;
  double plain_mb = 0;
  for (std::size_t i = 0; i < plan.repeats; ++i) {
    backed.forget();
    auto start = Clock::now();
    const nlohmann::json made = backed.make();
    backup_s.push_back(seconds_since(start));
    plain_mb = made["plain_bytes"].get<double>() / 1e6;
    report.raw("backup_first_written_mb", made["bytes_written"].get<double>() / 1e6);

    const test::TempDir place;
    start = Clock::now();
    std::uint64_t copied = 0;
    for (const char* name : {"enforcement", "health"})
      copied += copy_synced(backed.hub.data() / name / "data.mdb", place / name);
    copy_s.push_back(seconds_since(start));
    report.raw("store_file_mb", static_cast<double>(copied) / 1e6);

    start = Clock::now();
    need(hub::restore_hub(
        place / "restored",
        {backed.repository.string(), (backed.folder / "recovery.txt").string(), "latest"}));
    restore_s.push_back(seconds_since(start));
  }
  const double copy = median(copy_s);
  const auto beside = [&](double seconds) {
    char text[64];
    std::snprintf(text, sizeof text, "%.1f × the time of a plain copy", seconds / copy);
    return std::string(text);
  };
  report.set("backup_mb_per_s", plain_mb / median(backup_s), beside(median(backup_s)));
  report.set("restore_mb_per_s", plain_mb / median(restore_s), beside(median(restore_s)));
  report.raw("store_entries_mb", plain_mb);
  report.raw("plain_copy_s", copy);
  report.raw("backup_first_s", median(backup_s));
  report.raw("restore_s", median(restore_s));
  const auto start = Clock::now();
  backed.make();
  report.raw("backup_unchanged_s", seconds_since(start));
}

}  // namespace

void measure_backup(const Plan& plan, Report& report) {
  Backed backed;
  Tablet first(backed.hub.admit("T00", kBackedUnit));
  std::vector<std::unique_ptr<Tablet>> pushing;
  for (std::size_t i = 0; i < 2 * plan.repeats; ++i)
    pushing.push_back(
        std::make_unique<Tablet>(backed.hub.admit("T" + std::to_string(i + 1), kBackedUnit)));
  backed.start();
  first.import(documents(70, plan.store_records, kBackedUnit));
  first.sync();
  speed(plan, backed, report);

  for (std::size_t i = 0; i < pushing.size(); ++i)
    pushing[i]->import(documents(80 + i, plan.records, kBackedUnit));
  std::vector<double> alone;
  std::vector<double> beside;
  for (std::size_t i = 0; i < plan.repeats; ++i) {
    alone.push_back(push_rate(*pushing[2 * i], plan.records));
    std::atomic<bool> enough{false};
    std::atomic<bool> begun{false};
    std::thread backups([&] {
      while (!enough) {
        backed.forget();
        begun = true;
        backed.make();
      }
    });
    while (!begun) std::this_thread::yield();
    beside.push_back(push_rate(*pushing[2 * i + 1], plan.records));
    enough = true;
    backups.join();
  }
  report.set("backup_ingest_slowdown", 100 * (1 - median(beside) / median(alone)),
             "first backups, one after the other, all the while");
  report.raw("push_without_backup_per_s", median(alone));
  report.raw("push_beside_backup_per_s", median(beside));
}

}  // namespace fieldpost::bench
