// The words shown: one catalogue per language.
//
// Thread rule: immutable after load.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace fieldpost::schema {

class Labels {
 public:
  /// Adds labels/LANGUAGE.json. Errors: `malformed`, naming file and key.
  Status add(std::string_view language, BytesView json);
  bool has_language(std::string_view language) const;
  /// The text, in English where the language lacks it, and the key itself where both do.
  std::string_view text(std::string_view key, std::string_view language) const;
  bool has(std::string_view key, std::string_view language) const;

 private:
  using Catalogue = std::map<std::string, std::string, std::less<>>;
  std::map<std::string, Catalogue, std::less<>> languages_;
};

/// Puts arguments into "{name}" marks; unknown marks stay. A value is never itself expanded.
std::string fill_in(std::string_view text,
                    const std::map<std::string, std::string, std::less<>>& arguments);

}  // namespace fieldpost::schema
