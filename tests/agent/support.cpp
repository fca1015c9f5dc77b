#include "tests/agent/support.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sys/wait.h>

#include "keys/clock.h"
#include "keys/pki.h"
#include "keys/secret_file.h"

namespace fieldpost::test {

using nlohmann::json;

agent::Identity enrol_without_hub(const agent::DataDirectory& data, const std::string& unit,
                                  const std::string& compartment) {
  agent::Identity identity;
  identity.host = "127.0.0.1";
  identity.port = 9;  // discard: nobody answers
  identity.server_name = "hub.example";
  const auto ca = keys::make_ca("a hub that is not there", keys::system_now());
  if (!ca) throw std::runtime_error(ca.error().message());
  identity.ca_pem = ca->certificate_pem;
  identity.hub.bytes.fill(7);
  identity.device_seed.bytes.fill(1);
  identity.box_seed.bytes.fill(2);
  identity.device_name = "T07";
  identity.unit = unit;
  identity.compartment = compartment;
  if (!keys::make_private_directory(data.path) || !agent::save_identity(data, identity)) {
    throw std::runtime_error("the test's identity cannot be written");
  }
  return identity;
}

namespace {

std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

Ran run(const std::string& program, const std::string& arguments, const std::string& input) {
  const TempDir dir;
  std::ofstream(dir / "in", std::ios::binary) << input;
  const std::string command = std::string(FIELDPOST_BINARY_DIR) + "/agent/" + program + " " +
                              arguments + " <" + (dir / "in").string() + " >" +
                              (dir / "out").string() + " 2>" + (dir / "err").string();
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, slurp(dir / "out"), slurp(dir / "err")};
}

json a_stop() {
  return {{"type", "stop"},
          {"checkpoint_code", "01-PPT"},
          {"direction", "entry"},
          {"stop_type", "traffic"},
          {"stopped_at", "2026-03-14T07:10:00+07:00"},
          {"search_type", "none"},
          {"outcome", "no_action"},
          {"officer_id", "NP-2231"},
          {"position", {{"source", "none"}, {"reason", "under a roof"}}},
          {"vehicles", json::array({{{"plate", "2A-1234"}, {"country", "KH"}, {"class", "car"}}})}};
}

json a_visit() {
  std::ifstream file(std::string(FIELDPOST_SOURCE_DIR) +
                     "/tests/data/records/valid/visit-full.json");
  json visit = json::parse(file);
  for (const char* name : {"id", "state", "ref_no", "captured_at", "schema_version"})
    visit.erase(name);
  return visit;
}

}  // namespace fieldpost::test
