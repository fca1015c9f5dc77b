#include "schema/labels.h"

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace fieldpost::schema {

Status Labels::add(std::string_view language, BytesView json) {
  const std::string where = "labels/" + std::string(language) + ".json";
  const auto root = nlohmann::json::parse(as_text(json), nullptr, false);
  if (!root.is_object()) return fail(Errc::malformed, where + " is not a JSON object");
  Catalogue catalogue;
  for (const auto& [key, entry] : root.items()) {
    const auto text = entry.is_object() ? entry.find("text") : entry.end();
    if (!entry.is_object() || text == entry.end() || !text->is_string()) {
      std::string what = where;
      return fail(Errc::malformed, what.append(": ").append(key).append(" has no text"));
    }
    catalogue.emplace(key, text->get<std::string>());
  }
  languages_[std::string(language)] = std::move(catalogue);
  return {};
}

bool Labels::has_language(std::string_view language) const { return languages_.contains(language); }

bool Labels::has(std::string_view key, std::string_view language) const {
  const auto catalogue = languages_.find(language);
  return catalogue != languages_.end() && catalogue->second.contains(key);
}

std::string_view Labels::text(std::string_view key, std::string_view language) const {
  for (std::string_view candidate : {language, std::string_view("en")}) {
    const auto catalogue = languages_.find(candidate);
    if (catalogue == languages_.end()) continue;
    const auto entry = catalogue->second.find(key);
    if (entry != catalogue->second.end()) return entry->second;
  }
  return key;
}

std::string fill_in(std::string_view text,
                    const std::map<std::string, std::string, std::less<>>& arguments) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t open = text.find('{', at);
    const std::size_t close = open == std::string_view::npos ? open : text.find('}', open);
    if (close == std::string_view::npos) break;
    out += text.substr(at, open - at);
    const auto argument = arguments.find(text.substr(open + 1, close - open - 1));
    out += argument == arguments.end() ? std::string(text.substr(open, close - open + 1))
                                       : argument->second;
    at = close + 1;
  }
  return out += text.substr(at);
}

}  // namespace fieldpost::schema
