// What every test of the schemas needs: the registry that ships, and files of tests/data.
//
// Thread rule: tests run on one thread.
#pragma once

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "schema/registry.h"
#include "tests/support/catch.h"

namespace fieldpost::schema {

inline const Registry& shipped() {
  static const Registry registry = [] {
    auto loaded = Registry::load(embedded_schemas());
    if (!loaded) FAIL(loaded.error().message());
    return *std::move(loaded);
  }();
  return registry;
}

inline std::string read_data(const std::string& name) {
  std::ifstream file(std::string(FIELDPOST_SOURCE_DIR) + "/tests/data/" + name, std::ios::binary);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline nlohmann::json json_data(const std::string& name) {
  return nlohmann::json::parse(read_data(name));
}

/// A finished stop that breaks nothing.
inline nlohmann::json good_stop() { return json_data("records/valid/stop-searched-arrest.json"); }

}  // namespace fieldpost::schema
