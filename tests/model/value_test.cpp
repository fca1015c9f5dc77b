// Paths: what a field may be called.
#include "model/value.h"

#include "base/limits.h"
#include "tests/support/catch.h"

namespace fieldpost::model {
namespace {

TEST_CASE("a path is one to four parts of lower-case letters, digits and underscores") {
  for (std::string_view path :
       {"direction", "position/lat", "drug_items/k3x9d2m1/net_mg", "a/b/c/d", "_", "0"}) {
    INFO(path);
    CHECK(is_path(path));
  }
  CHECK(is_path(std::string(limits::kPathBytesMax, 'a')));
  for (std::string_view path : {"", "/", "a/", "/a", "a//b", "a/b/c/d/e", "Direction", "a b", "a.b",
                                "a-b", "ទម្ងន់", "a\n", "a/b/c/"}) {
    INFO(path);
    CHECK_FALSE(is_path(path));
  }
  CHECK_FALSE(is_path(std::string(limits::kPathBytesMax + 1, 'a')));
  CHECK_FALSE(is_path(std::string_view("a\0b", 3)));
}

TEST_CASE("values are equal only when kind and content are") {
  CHECK(Value(std::int64_t{1}) == Value(std::int64_t{1}));
  CHECK_FALSE(Value(std::int64_t{1}) == Value(true));
  CHECK_FALSE(Value(Null{}) == Value(false));
  CHECK_FALSE(Value(std::string("1")) == Value(std::int64_t{1}));
  CHECK_FALSE(Value(Sealed{{}, {1}}) ==
              Value(Sealed{{}, {2}}));  // perhaps equal in clear: nobody here can know
}

}  // namespace
}  // namespace fieldpost::model
