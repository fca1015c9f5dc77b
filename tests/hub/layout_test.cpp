#include "hub/store/layout.h"

#include <fstream>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keys/clock.h"
#include "keys/random.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace fieldpost;
using namespace fieldpost::hub;

namespace {

struct Made {
  test::TempDir dir;
  fs::path path = dir / "hub";
  Made() {
    REQUIRE(crypto::init());
    REQUIRE(init(path, settings(), keys::system_random(), keys::system_now()));
  }
  static Settings settings() {
    Settings out;
    out.name = "hub.example";
    return out;
  }
  void write(const char* name, const std::string& text) const {
    std::ofstream(path / name) << text;
  }
};

}  // namespace

TEST_CASE("a hub is made once and opens again with the same identity") {
  const Made made;
  const auto again = init(made.path, Made::settings(), keys::system_random(), keys::system_now());
  REQUIRE_FALSE(again);
  CHECK(again.error().is(Errc::already_exists));
  const auto keys = load_keys(made.path);
  REQUIRE(keys);
  CHECK(load_settings(made.path)->name == "hub.example");
  const auto stores = open_stores(made.path, *keys, keys::system_random());
  REQUIRE(stores);
  CHECK((*stores)[0].store->identity().epoch == (*stores)[1].store->identity().epoch);
  const auto second = open_stores(made.path, *keys, keys::system_random());
  REQUIRE_FALSE(second);
  CHECK(second.error().is(Errc::locked));
}

TEST_CASE("a hub that lost its hub.json keeps its keys, and says how it is had again") {
  const Made made;
  const auto seed = load_keys(made.path)->signing.public_key;
  const auto again = [&] {
    return init(made.path, Made::settings(), keys::system_random(), keys::system_now());
  };
  SECTION("used: its keys are what tablets know") {
    REQUIRE(open_stores(made.path, *load_keys(made.path), keys::system_random()));
    fs::remove(made.path / "hub.json");
    const auto settings = load_settings(made.path);
    REQUIRE_FALSE(settings);
    CHECK(settings.error().detail.find("write it again") != std::string::npos);
    const auto refused = again();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().is(Errc::already_exists));
    CHECK(refused.error().detail.find("Write hub.json again") != std::string::npos);
    CHECK(load_keys(made.path)->signing.public_key == seed);
    // As it says.
    made.write("hub.json", "{\"name\": \"hub.example\"}");
    CHECK(load_settings(made.path)->name == "hub.example");
    CHECK(open_stores(made.path, *load_keys(made.path), keys::system_random()));
  }
  SECTION("never run, but backups are sealed for it") {
    made.write("keys/backup.key", "32 bytes or so");
    fs::remove(made.path / "hub.json");
    CHECK(again().error().is(Errc::already_exists));
    CHECK(load_keys(made.path)->signing.public_key == seed);
  }
  SECTION("never used: as after an init that was cut off") {
    fs::remove(made.path / "hub.json");
    REQUIRE(again());
    CHECK(load_settings(made.path)->name == "hub.example");
    CHECK(load_keys(made.path)->signing.public_key != seed);
  }
}

TEST_CASE("keys that others could read, or that were cut short, are refused by name") {
  const Made made;
  SECTION("a seed open to the group") {
    fs::permissions(made.path / "keys/hub.seed", fs::perms::owner_read | fs::perms::group_read);
    const auto keys = load_keys(made.path);
    REQUIRE_FALSE(keys);
    CHECK(keys.error().is(Errc::unauthorised));
    CHECK(keys.error().detail.find("hub.seed") != std::string::npos);
  }
  SECTION("a folder open to others") {
    fs::permissions(made.path / "keys", fs::perms::owner_all | fs::perms::others_exec);
    CHECK(load_keys(made.path).error().is(Errc::unauthorised));
  }
  SECTION("an empty token would let everyone in") {
    made.write("keys/admin.token", "");
    CHECK(load_keys(made.path).error().is(Errc::malformed));
  }
  SECTION("a short seed") {
    made.write("keys/hub.seed", "short");
    CHECK(load_keys(made.path).error().is(Errc::malformed));
  }
  SECTION("a line's end after the token is an editor's, not the token's") {
    const std::string token = load_keys(made.path)->admin_token;
    made.write("keys/admin.token", token + "\n");
    CHECK(load_keys(made.path)->admin_token == token);
  }
}

TEST_CASE("hub.json is refused with the member that is wrong") {
  const Made made;
  const auto refused = [&](const std::string& text) {
    made.write("hub.json", text);
    const auto settings = load_settings(made.path);
    REQUIRE_FALSE(settings);
    CHECK(settings.error().is(Errc::malformed));
    return settings.error().detail;
  };
  CHECK(refused("{\"name\": \"hub.exam").find("not a JSON object") != std::string::npos);
  CHECK(refused(R"({"name": "h", "prot": 7443})").find("\"prot\"") != std::string::npos);
  CHECK(refused(R"({"name": "h", "port": 70000})").find("\"port\"") != std::string::npos);
  CHECK(refused(R"({"name": "h", "log_level": "inof"})").find("\"log_level\"") !=
        std::string::npos);
  CHECK(refused(R"({"port": 1})").find("\"name\"") != std::string::npos);
  fs::remove(made.path / "hub.json");
  const auto none = load_settings(made.path);
  REQUIRE_FALSE(none);
  CHECK(none.error().is(Errc::not_found));
  CHECK(none.error().detail.find("fieldpost-hub init") != std::string::npos);
}

TEST_CASE("a run.json that a killed hub left behind names no running hub") {
  const Made made;
  CHECK_FALSE(running(made.path));
  // This process lives: its pid alone proves nothing.
  made.write("run.json",
             R"({"address":"127.0.0.1","port":7443,"pid":)" + std::to_string(::getpid()) + "}");
  CHECK_FALSE(running(made.path));
  {
    const auto file = RunFile::write(made.path, {local_address("0.0.0.0"), 7443, 42});
    REQUIRE(file);
    const auto found = running(made.path);
    REQUIRE(found);
    CHECK(found->address == "127.0.0.1");
    CHECK(found->port == 7443);
    CHECK(found->pid == 42);
  }
  CHECK_FALSE(running(made.path));
  CHECK_FALSE(fs::exists(made.path / "run.json"));
}

TEST_CASE("where backups go is a member of hub.json, checked and written beside the others") {
  const Made made;
  CHECK_FALSE(load_settings(made.path)->backup);
  REQUIRE(save_backup_settings(made.path, {"/mnt/backup/fieldpost", 12, 7}));
  const auto settings = load_settings(made.path);
  REQUIRE(settings);
  CHECK(settings->name == "hub.example");
  REQUIRE(settings->backup);
  CHECK(settings->backup->directory == "/mnt/backup/fieldpost");
  CHECK(settings->backup->every_hours == 12);
  CHECK(settings->backup->keep == 7);
  for (const BackupSettings& wrong :
       {BackupSettings{"relative", 6, 28}, BackupSettings{"/b", 0, 28},
        BackupSettings{"/b", 9000, 28}, BackupSettings{"/b", 6, 0}, BackupSettings{"/b", 6, 20'000},
        BackupSettings{"", 6, 28}}) {
    const auto saved = save_backup_settings(made.path, wrong);
    REQUIRE_FALSE(saved);
    CHECK(saved.error().is(Errc::invalid_argument));
  }
  CHECK(load_settings(made.path)->backup->keep == 7);
  for (const char* wrong :
       {R"({"directory": "/b", "every": 6})", R"({"every_hours": 6})", R"({"directory": 5})",
        R"({"directory": "/b", "keep": -1})", R"({"directory": "/b", "every_hours": 4294967302})",
        R"([])", R"("/b")"}) {
    INFO(wrong);
    made.write("hub.json", std::string(R"({"name": "x", "backup": )") + wrong + "}");
    const auto refused = load_settings(made.path);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().is(Errc::malformed));
    CHECK(refused.error().detail.find("backup") != std::string::npos);
  }
}

TEST_CASE("how many connections a hub takes is a member of hub.json, each value with its range") {
  const Made made;
  CHECK(load_settings(made.path)->connections == ConnectionSettings{});
  made.write("hub.json",
             R"({"name": "h", "connections": {"strangers_max": 200, "header_ms": 500}})");
  const auto settings = load_settings(made.path);
  REQUIRE(settings);
  CHECK(settings->connections.strangers_max == 200);
  CHECK(settings->connections.header_ms == 500);
  CHECK(settings->connections.body_ms == ConnectionSettings{}.body_ms);
  REQUIRE(save_backup_settings(made.path, {"/mnt/backup/fieldpost", 12, 7}));
  CHECK(load_settings(made.path)->connections == settings->connections);
  for (const char* wrong :
       {R"({"strangers_max": 16384})", R"({"strangers_max": 1})", R"({"header_ms": 0})",
        R"({"header_ms": 99})", R"({"silence_ms": 3600001})", R"({"greeting_ms": "30000"})",
        R"({"greeting_ms": -1})", R"({"connections_max": 63})", R"({"strangers": 5})"}) {
    made.write("hub.json", std::string(R"({"name": "h", "connections": )") + wrong + "}");
    const auto refused = load_settings(made.path);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().is(Errc::malformed));
    CHECK(refused.error().detail.find("\"connections\"") != std::string::npos);
  }
}

TEST_CASE(
    "a hub that may open few files takes fewer connections, and half of them stay for the known") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit tight{300, 1128};
    if (::setrlimit(RLIMIT_NOFILE, &tight) != 0) ::_exit(2);
    const ConnectionSettings fitted = fit_to_open_files({});
    rlimit after{};
    if (::getrlimit(RLIMIT_NOFILE, &after) != 0 || after.rlim_cur != 1128) ::_exit(3);
    ::_exit(fitted.connections_max == 1000 && fitted.strangers_max == 500 ? 0 : 4);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
