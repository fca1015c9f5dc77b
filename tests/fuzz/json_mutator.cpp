#include "tests/fuzz/json_mutator.h"

#include <filesystem>
#include <fstream>

namespace fieldpost::fuzz {

using nlohmann::json;

namespace {

/// Every value of a document in order, the document itself first.
void collect(json& value, std::vector<json*>& all) {
  all.push_back(&value);
  if (!value.is_structured()) return;
  for (json& child : value) collect(child, all);
}

json odd_value(Input& in) {
  static const std::vector<json> kValues = [] {
    json deep = 1;
    for (int i = 0; i < 9; ++i) deep = json::array({deep});
    return std::vector<json>{nullptr,
                             true,
                             false,
                             0,
                             -1,
                             1,
                             INT64_MAX,
                             INT64_MIN,
                             UINT64_MAX,
                             1.5,
                             -0.0,
                             1e300,
                             "",
                             "x",
                             "final",
                             "draft",
                             "void",
                             "amended",
                             "2026-02-30",
                             "2026-03-14T07:05:00+07:00",
                             "01a2104d-3df4-7b87-8207-f0c73086134d",
                             "សុខ",
                             "a\x01z",
                             std::string(20'000, 'k'),
                             json::array(),
                             json::object(),
                             json::array({1, "a", nullptr}),
                             json{{"item_id", "k3x9d2m1"}},
                             std::move(deep)};
  }();
  return kValues[in.below(kValues.size())];
}

std::string name_of(Input& in) {
  static const std::vector<std::string> kNames = {
      "", "id", "type", "item_id", "a/b", "#reason", "state", "persons", "sealed", "seals"};
  const std::size_t which = in.below(kNames.size() * 2);
  return which < kNames.size() ? kNames[which] : std::string(as_text(in.take(in.below(12))));
}

void bend(json& value, const json& other, Input& in) {
  switch (in.below(7)) {
    case 0:
      value = odd_value(in);
      return;
    case 1:
      value = other;
      return;
    case 2:
      value = std::string(as_text(in.take(in.below(48))));
      return;
    case 3:
      value = static_cast<std::int64_t>(in.number(1 + in.below(8)));
      return;
    case 4:
      if (value.is_object() && !value.empty()) {
        auto at = value.begin();
        std::advance(at, static_cast<std::ptrdiff_t>(in.below(value.size())));
        value.erase(at);
      } else if (value.is_array() && !value.empty()) {
        value.erase(in.below(value.size()));
      }
      return;
    case 5:
      if (value.is_object()) value[name_of(in)] = in.below(2) == 0 ? other : odd_value(in);
      if (value.is_array()) value.push_back(other);
      return;
    default:
      if (value.is_string()) {
        auto text = value.get<std::string>();
        const std::size_t at = text.empty() ? 0 : in.below(text.size());
        text.insert(at, as_text(in.take(1 + in.below(4))));
        value = std::move(text);
      }
      return;
  }
}

}  // namespace

json bent(json document, Input& in) {
  for (std::size_t left = in.below(7); left > 0 && !in.empty(); --left) {
    std::vector<json*> all;
    collect(document, all);
    json& value = *all[in.number(2) % all.size()];
    const json other = *all[in.number(2) % all.size()];
    bend(value, other, in);
  }
  return document;
}

std::vector<json> documents_in(const std::string& folder) {
  namespace fs = std::filesystem;
  std::vector<fs::path> paths;
  for (const auto& entry :
       fs::directory_iterator(fs::path(FIELDPOST_SOURCE_DIR) / "tests" / folder)) {
    const fs::path& path = entry.path();
    if (path.extension() == ".json" && path.stem() != "expected") paths.push_back(path);
  }
  std::sort(paths.begin(), paths.end());
  std::vector<json> all;
  for (const fs::path& path : paths) {
    std::ifstream in(path);
    all.push_back(json::parse(in));
  }
  return all;
}

std::string text_of(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace fieldpost::fuzz
