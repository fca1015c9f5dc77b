#include "agent/records/patch.h"

#include "base/embedded.h"
#include "schema/registry.h"
#include "tests/support/catch.h"

using namespace fieldpost;
using nlohmann::json;

namespace {

std::function<std::string()> ids() {
  return [n = 0]() mutable { return "0000000" + std::to_string(n++); };
}

}  // namespace

TEST_CASE("a patch changes the item it names and adds the one without a name") {
  json document{
      {"vehicles", json::array({{{"item_id", "v3h1c2e1"}, {"plate", "A"}, {"class", "car"}}})}};
  const json patch{
      {"vehicles", json::array({{{"item_id", "v3h1c2e1"}, {"plate", "B"}}, {{"plate", "C"}}})}};
  REQUIRE(agent::apply_patch(document, patch, ids()));
  CHECK(document["vehicles"] ==
        json::array({{{"item_id", "v3h1c2e1"}, {"plate", "B"}, {"class", "car"}},
                     {{"item_id", "00000000"}, {"plate", "C"}}}));
}

TEST_CASE("a path leads to a field, an object's member, an item by id, number or '+'") {
  const auto registry = schema::Registry::load(embedded_schemas());
  REQUIRE(registry);
  const schema::Form& form = *registry->form("stop");
  json document{{"vehicles", json::array({{{"item_id", "v3h1c2e1"}}})}};
  agent::PathSetter setter(form, document, ids());
  CHECK(*setter.set("direction", "exit") == "direction");
  CHECK(*setter.set("position.source", "none") == "position/source");
  CHECK(*setter.set("vehicles.0.plate", "A") == "vehicles/v3h1c2e1/plate");
  CHECK(*setter.set("vehicles/v3h1c2e1/class", "car") == "vehicles/v3h1c2e1/class");
  CHECK(*setter.set("vehicles.+.plate", "B") == "vehicles/00000000/plate");
  CHECK(*setter.set("vehicles.+.class", "van") == "vehicles/00000000/class");
  CHECK(document["vehicles"].size() == 2);
  CHECK_FALSE(setter.set("vehicles.7.plate", "A"));
  CHECK_FALSE(setter.set("vehicles.n0such1d.plate", "A"));
  CHECK_FALSE(setter.set("colour_of_sky", "A"));
  CHECK_FALSE(setter.set("", "A"));
}
