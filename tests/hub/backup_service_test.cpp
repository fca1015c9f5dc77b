// The service that makes backups: what reaches the stores' watermark, and what it says.
#include <future>

#include "hub/backup/service.h"
#include "tests/hub/backup_fixture.h"

using namespace fieldpost;
using namespace fieldpost::hub;
using namespace fieldpost::hub::test;

namespace {

/// A service over the fixture's stores, as the command line has it: it works when asked.
struct Served : BackedHub {
  std::vector<std::unique_ptr<Writer>> writers;
  std::unique_ptr<backup::BackupService> service;
  std::int64_t now_ms = 1'772'349'300'000;

  explicit Served(unsigned keep = 28) {
    REQUIRE(save_backup_settings(path, {folder.string(), 6, keep}));
    for (OpenStore& store : open)
      writers.push_back(std::make_unique<Writer>(*store.store, [](const Writer::FeedEnds&) {}));
    begin(false);
  }
  void begin(bool scheduled) {
    service.reset();
    backup::ServiceParts parts;
    parts.directory = path;
    parts.keys = &keys;
    parts.hub_name = "hub.example";
    parts.epoch = store().identity().epoch;
    for (std::size_t i = 0; i < open.size(); ++i)
      parts.stores.push_back({{open[i].name, open[i].kv.get(), {}}, writers[i].get()});
    parts.random = random;
    parts.clock = [this] { return Instant{now_ms}; };
    parts.scheduled = scheduled;
    service = std::make_unique<backup::BackupService>(std::move(parts));
  }
  Result<backup::Made> run(bool full = false) {
    const auto answer = std::make_shared<std::promise<Result<backup::Made>>>();
    const auto taken = service->request(
        full, [answer](Result<backup::Made> made) { answer->set_value(std::move(made)); });
    if (!taken) return taken.error();
    return answer->get_future().get();
  }
  std::uint64_t watermark(ActorId actor) { return store().reader()->backed_up(actor)->value; }
};

}  // namespace

TEST_CASE(
    "backup service: the watermark is the oldest restorable backup's, and moves as backups go") {
  Served hub(2);
  Writing writing(hub.store(), 1);
  writing.add(10);
  CHECK(hub.watermark(writing.actor()) == 0);
  REQUIRE(hub.run());
  CHECK(hub.watermark(writing.actor()) == 10);
  writing.add(10);
  CHECK(hub.watermark(writing.actor()) == 10);
  REQUIRE(hub.run());
  CHECK(hub.watermark(writing.actor()) == 10);  // the older one may be what is restored
  writing.add(10);
  REQUIRE(hub.run());  // removes the first
  CHECK(hub.watermark(writing.actor()) == 20);
  const auto standing = hub.service->standing();
  CHECK(standing.restorable == 2);
  CHECK(standing.newest == 3);
  CHECK(standing.last_error.empty());

  SECTION("the oldest vanished: the next look does not count it") {
    fs::remove(hub.folder / "backups/2");
    writing.add(10);
    REQUIRE(hub.run());
    CHECK(hub.watermark(writing.actor()) == 30);
  }
  SECTION("the repository is not there: what was said stays") {
    fs::rename(hub.folder, hub.dir / "unplugged");
    const auto made = hub.run();
    REQUIRE_FALSE(made);
    CHECK(hub.watermark(writing.actor()) == 20);
    CHECK(hub.service->standing().last_error.find("mounted") != std::string::npos);
    CHECK(hub.service->standing().newest == 3);
    fs::rename(hub.dir / "unplugged", hub.folder);
    REQUIRE(hub.run());
    CHECK(hub.service->standing().last_error.empty());
  }
  SECTION(
      "all backups are gone: nothing is said to be backed up, and one that is none is not "
      "counted") {
    for (const char* one : {"backups/2", "backups/3"}) fs::remove(hub.folder / one);
    std::ofstream(hub.folder / "backups/3") << "not a backup";
    hub.now_ms += 1;
    hub.begin(true);  // as the hub's start: looks, and a backup is due
    while (hub.service->standing().newest != 4) std::this_thread::yield();
    CHECK(hub.service->standing().broken == 1);
    hub.service->stop();
    CHECK(hub.watermark(writing.actor()) == 30);
  }
}

TEST_CASE(
    "backup service: a hub that was restored learns its watermark from the repository at its "
    "start") {
  Served hub;
  Writing writing(hub.store(), 1);
  writing.add(10);
  REQUIRE(hub.run());
  REQUIRE(hub.store().put_backed_up({}, storage::HubStore::BackedUp::restate));
  CHECK(hub.watermark(writing.actor()) == 0);
  hub.begin(true);
  while (hub.watermark(writing.actor()) != 10) std::this_thread::yield();
  hub.service->stop();
  CHECK(hub.service->standing().restorable == 1);  // it was not due
}

TEST_CASE("backup service: one at a time, and a stop ends it") {
  Served hub;
  Writing writing(hub.store(), 1);
  writing.add(10);
  std::promise<void> in_done;
  std::promise<void> go_on;
  std::promise<Result<backup::Made>> first;
  REQUIRE(hub.service->request(false, [&](Result<backup::Made> made) {
    first.set_value(std::move(made));
    in_done.set_value();
    go_on.get_future().wait();
  }));
  REQUIRE(first.get_future().get());
  in_done.get_future().wait();
  // While the thread is held, one may wait and no more.
  const auto second = std::make_shared<std::promise<Result<backup::Made>>>();
  REQUIRE(hub.service->request(
      false, [second](Result<backup::Made> made) { second->set_value(std::move(made)); }));
  const auto third = hub.service->request(false, [](const Result<backup::Made>&) {});
  REQUIRE_FALSE(third);
  CHECK(third.error().is(Errc::conflict));
  std::thread stopping([&] { hub.service->stop(); });
  while (!hub.service->request(false, [](const Result<backup::Made>&) {}).error().is(Errc::closed))
    std::this_thread::yield();
  go_on.set_value();
  stopping.join();
  const auto ended = second->get_future().get();
  REQUIRE_FALSE(ended);
  CHECK(ended.error().is(Errc::closed));
}
