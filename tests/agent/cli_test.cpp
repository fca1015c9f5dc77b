#include <chrono>
#include <fstream>
#include <set>
#include <signal.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "net/client.h"
#include "tests/agent/support.h"
#include "tests/support/catch.h"

using namespace fieldpost;
using nlohmann::json;

namespace {

struct Desk {
  test::TempDir dir;
  std::string options;

  explicit Desk(const std::string& unit = "01-PPT",
                const std::string& compartment = "enforcement") {
    if (!crypto::init()) throw std::runtime_error("libsodium");
    test::enrol_without_hub(data(), unit, compartment);
    options = "--data " + data().path.string() + " ";
  }
  agent::DataDirectory data() const { return {dir / "data"}; }
  test::Ran run(const std::string& arguments, const std::string& input = {}) {
    return test::run("fieldpost-agent", options + arguments, input);
  }
};

/// The daemon of a tablet, killed at the end at the latest.
class Daemon {
 public:
  explicit Daemon(const Desk& desk) {
    const std::string program = std::string(FIELDPOST_BINARY_DIR) + "/agent/fieldpost-agent";
    const std::string data = desk.data().path.string();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::execl(program.c_str(), "fieldpost-agent", "--data", data.c_str(), "--log-level", "off",
              "run", nullptr);
      ::_exit(127);
    }
    for (int i = 0; i < 200 && !running_; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      running_ = agent::read_run_file(desk.data());
    }
  }
  ~Daemon() { stop(SIGKILL); }
  void stop(int signal) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    pid_ = 0;
  }
  std::uint16_t port() const { return running_ ? running_->port : 0; }
  int exit_code = -1;

 private:
  pid_t pid_ = 0;
  std::optional<agent::RunningDaemon> running_;
};

const std::string kData = std::string(FIELDPOST_SOURCE_DIR) + "/tests/data/";

}  // namespace

TEST_CASE(
    "the checkpoint day imports with exactly the listed errors, and a second time changes "
    "nothing") {
  Desk desk;
  std::ifstream file(kData + "checkpoint-day.expected.json");
  const json expected = json::parse(file);
  const auto first = desk.run("--json import --type stop " + kData + "checkpoint-day.csv");
  CHECK(first.exit_code == 2);  // there were bad lines
  const json answer = json::parse(first.out);
  std::set<std::tuple<int, std::string, std::string>> wanted;
  std::set<std::tuple<int, std::string, std::string>> found;
  for (const json& e : expected["errors"]) wanted.emplace(e["line"], e["field"], e["rule"]);
  for (const json& e : answer["errors"]) found.emplace(e["line"], e["field"], e["rule"]);
  CHECK(found == wanted);
  CHECK(answer["added"] == expected["good_rows"]);

  std::size_t persons = 0;
  std::size_t vehicles = 0;
  const auto exported = desk.run("export");
  std::istringstream lines(exported.out);
  for (std::string line; std::getline(lines, line);) {
    const json document = json::parse(line);
    persons += document.value("persons", json::array()).size();
    vehicles += document.value("vehicles", json::array()).size();
  }
  CHECK(persons == expected["persons"]);
  CHECK(vehicles == expected["vehicles"]);

  const json digest = json::parse(desk.run("--json verify").out)["digests"];
  const json again =
      json::parse(desk.run("--json import --type stop " + kData + "checkpoint-day.csv").out);
  CHECK(again["added"] == 0);
  CHECK(again["present"] == expected["good_rows"]);
  CHECK(json::parse(desk.run("--json verify").out)["digests"] == digest);
}

TEST_CASE("a stop is recorded by answers typed in English and in Khmer") {
  Desk desk;
  // checkpoint, direction, type, time, a vehicle (plate, then nothing more), no persons, search, outcome, officer
  const auto english = desk.run("--author NP-2231 record stop",
                                "01-PPT\nentry\ntraffic\n\nno\nno\nnone\nno_action\n\n");
  INFO(english.err);
  CHECK(english.exit_code == 0);
  CHECK(english.out.find("Recorded: 01-PPT-T07-") == 0);
  const auto khmer =
      desk.run("--author NP-2231 --lang km record stop", "01-PPT\n១\n១\n\nទេ\nទេ\n១\n១\n\n");
  INFO(khmer.err);
  CHECK(khmer.exit_code == 0);
  CHECK(khmer.err.find("ទេ") != std::string::npos);
  CHECK(json::parse(desk.run("--json status").out)["records"] == 2);
}

TEST_CASE("input that ends too early is kept as a draft, and said so") {
  Desk desk;
  const auto ran = desk.run("--author NP-2231 record stop", "01-PPT\nentry\n");
  CHECK(ran.exit_code == 2);
  CHECK(ran.err.find("draft") != std::string::npos);
  const json status = json::parse(desk.run("--json status").out);
  CHECK(status["drafts"] == 1);
  CHECK(status["records"] == 0);
}

TEST_CASE("bad input to a command is one sentence and exit code 2") {
  Desk desk;
  for (const char* arguments :
       {"enroll nonsense", "record dream --json /dev/null", "record stop --json /nonexistent",
        "show xyz", "show 01950f3a-1001-7a4c-9b1e-5c2d8e7f0001",
        "void 01950f3a-1001-7a4c-9b1e-5c2d8e7f0001 --reason because",
        "import /nonexistent.csv --type stop", "import /nonexistent.ndjson", "list --type dream",
        "frobnicate", "list --limit many", "places import /nonexistent.csv",
        "list --since yesterday", "--lang fr status", "--utc-offset 7 status",
        "export --out /nonexistent/x.csv", "sync", "health accept /nonexistent --authority x"}) {
    const auto ran = desk.run(arguments);
    INFO(arguments << ": " << ran.err);
    CHECK(ran.exit_code == 2);
    CHECK(ran.err.starts_with("fieldpost-agent: "));
    CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 1);
  }
  test::TempDir empty;
  const auto ran = test::run("fieldpost-agent", "--data " + empty.path().string() + " status");
  CHECK(ran.exit_code == 2);
  CHECK(ran.err.find("enroll") != std::string::npos);
}

TEST_CASE("a daemon killed after a record was answered has kept it") {
  Desk desk;
  {
    Daemon daemon(desk);
    REQUIRE(daemon.port() != 0);
    const auto made = desk.run("--author NP-2231 record stop --json -", test::a_stop().dump());
    INFO(made.err);
    REQUIRE(made.exit_code == 0);
    CHECK(json::parse(desk.run("--json status").out)["daemon"] == true);
    daemon.stop(SIGKILL);
  }
  const json status =
      json::parse(desk.run("--json status").out);  // run.json is stale: the store is opened here
  CHECK(status["daemon"] == false);
  CHECK(status["records"] == 1);
  CHECK(status["waiting"] == 1);
  CHECK(desk.run("verify").exit_code == 0);
}

TEST_CASE("the running daemon keeps its gate, and stops when it is asked to") {
  Desk desk;
  Daemon daemon(desk);
  REQUIRE(daemon.port() != 0);
  net::ClientRequest request;
  request.host = "127.0.0.1";
  request.port = daemon.port();
  request.target = "/v1/status";
  auto answer = net::http_request(request);
  REQUIRE(answer);
  CHECK(answer->response.status == 401);
  request.headers = {{"Authorization", "Bearer wrong"}, {"Origin", "http://evil.example"}};
  answer = net::http_request(request);
  REQUIRE(answer);
  CHECK(answer->response.status == 403);
  std::ifstream file(desk.data().token());
  std::string token;
  std::getline(file, token);
  request.headers = {{"Authorization", "Bearer " + token}};
  answer = net::http_request(request);
  REQUIRE(answer);
  CHECK(answer->response.status == 200);
  daemon.stop(SIGTERM);
  CHECK(daemon.exit_code == 0);
  CHECK_FALSE(std::filesystem::exists(desk.data().run()));
}

TEST_CASE("sync --once without a hub fails in words and loses nothing") {
  Desk desk;
  REQUIRE(desk.run("--author NP-2231 record stop --json -", test::a_stop().dump()).exit_code == 0);
  const auto ran = desk.run("sync --once --timeout 1");
  CHECK(ran.exit_code != 0);
  CHECK(ran.err.size() > 30);
  CHECK(json::parse(desk.run("--json status").out)["waiting"] == 1);
}

TEST_CASE(
    "a rehab unit's tablet is admitted, records a visit, and the authority opens the export "
    "elsewhere") {
  Desk desk("02-MRU1", "health");
  const std::string keys = " --dir " + (desk.dir / "keys").string();
  const auto init = test::run("fieldpost-health", "key init" + keys);
  REQUIRE(init.exit_code == 0);
  const std::string marker = "Fingerprint: ";
  const std::string fingerprint = init.out.substr(init.out.find(marker) + marker.size(), 29);
  REQUIRE(test::run("fieldpost-health",
                    "unit add 02-MRU1" + keys + " --out " + (desk.dir / "r.json").string())
              .exit_code == 0);
  const json key = json::parse(desk.run("--json health key").out);
  const std::string grant = (desk.dir / "grant.json").string();
  const auto admit = test::run("fieldpost-health", "device admit --unit 02-MRU1 --device-key " +
                                                       key["device_key"].get<std::string>() + keys +
                                                       " --out " + grant);
  REQUIRE(admit.exit_code == 0);
  CHECK(admit.err.find(key["fingerprint"].get<std::string>()) != std::string::npos);
  CHECK(
      desk.run("health accept " + grant + " --authority 0000-0000-0000-0000-0000-0000").exit_code ==
      2);
  const auto accepted = desk.run("health accept " + grant + " --authority " + fingerprint);
  INFO(accepted.err);
  REQUIRE(accepted.exit_code == 0);
  const auto made = desk.run("--author MRU-07 record visit --json -", test::a_visit().dump());
  INFO(made.err);
  REQUIRE(made.exit_code == 0);
  CHECK(desk.run("export").out.find("7KQ2-M4TX") != std::string::npos);

  // A tablet of the unit without the unit's key exports what it cannot read; the authority can.
  auto identity = *agent::load_identity(desk.data());
  identity.health.reset();
  REQUIRE(agent::save_identity(desk.data(), identity));
  const std::string file = (desk.dir / "visits.ndjson").string();
  REQUIRE(desk.run("export --out " + file).exit_code == 0);
  std::ifstream sealed(file);
  std::string line;
  REQUIRE(std::getline(sealed, line));
  CHECK(line.find("7KQ2-M4TX") == std::string::npos);
  CHECK(line.find("\"sealed\"") != std::string::npos);
  const auto opened = test::run("fieldpost-health", "open" + keys + " " + file);
  INFO(opened.err);
  CHECK(opened.exit_code == 0);
  const json visit = json::parse(opened.out);
  CHECK(visit["client_pseudonym"] == test::a_visit()["client_pseudonym"]);
  CHECK(visit["consent"] == test::a_visit()["consent"]);
}
