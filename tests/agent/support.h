// Tablets for tests: enrolled without a hub, and the programs run as a person would run them.
//
// Thread rule: one thread a test.
#pragma once

#include <string>

#include "agent/app.h"
#include "tests/support/temp_dir.h"

namespace fieldpost::test {

/// An identity as enrolment would leave it; the hub it names does not exist.
agent::Identity enrol_without_hub(const agent::DataDirectory& data, const std::string& unit,
                                  const std::string& compartment);

struct Ran {
  int exit_code = -1;
  std::string out;
  std::string err;
};

/// `program` is fieldpost-agent or fieldpost-health of this build.
Ran run(const std::string& program, const std::string& arguments, const std::string& input = {});

/// A complete stop, without what the device fills in.
nlohmann::json a_stop();
/// A complete visit, likewise.
nlohmann::json a_visit();

}  // namespace fieldpost::test
