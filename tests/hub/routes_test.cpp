#include <nlohmann/json.hpp>
#include <set>

#include "base/embedded.h"
#include "hub/api/api.h"
#include "tests/support/catch.h"

using namespace fieldpost;
using nlohmann::json;

TEST_CASE("the API document names exactly the routes of the hub") {
  REQUIRE(embedded_api().size() == 1);
  const json document = json::parse(as_text(embedded_api().front().bytes));
  std::set<std::string> described;
  for (const auto& [path, methods] : document["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) {
      std::string text = method;
      for (char& c : text) c = static_cast<char>(c - 'a' + 'A');
      described.insert(text.append(" ").append(path));
    }
  }
  const hub::Api api{hub::ApiParts{}};  // no stores: nothing is asked of it here
  std::set<std::string> routed;
  for (const std::string& route : api.router().routes()) routed.insert(route);
  CHECK(routed.size() > 15);
  CHECK(described == routed);
}
