#include <fstream>
#include <regex>
#include <set>

#include "agent/app.h"
#include "tests/agent/support.h"
#include "tests/support/catch.h"

using namespace fieldpost;

TEST_CASE("the agent's API page names exactly its routes") {
  std::ifstream page(std::string(FIELDPOST_SOURCE_DIR) + "/docs/agent-api.md");
  const std::regex route("`((GET|POST|PUT|DELETE) /v1/[^`]*)`");
  std::set<std::string> described;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("| `")) continue;
    for (std::sregex_iterator found(line.begin(), line.end(), route), end; found != end; ++found)
      described.insert((*found)[1]);
  }
  REQUIRE(crypto::init());
  const test::TempDir dir;
  const agent::DataDirectory data{dir / "data"};
  test::enrol_without_hub(data, "01-PPT", "enforcement");
  agent::AppOptions options;
  options.data = data;
  const auto app = agent::App::open(options);
  REQUIRE(app);
  std::set<std::string> routed;
  for (const std::string& text : (*app)->router().routes()) routed.insert(text);
  CHECK(routed.size() > 10);
  CHECK(described == routed);
}
