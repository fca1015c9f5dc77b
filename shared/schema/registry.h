// Every form, list, label and place, loaded once and shared by all who read or check records.
//
// Thread rule: immutable after load; share it by reference across threads.
// Invariants:
//   1. A schema that uses a keyword or pattern outside schemas/README.md is refused, never ignored.
//   2. Loading depends on nothing but the bytes given.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/embedded.h"
#include "base/ids.h"
#include "schema/fault.h"
#include "schema/form.h"
#include "schema/labels.h"
#include "schema/places.h"

namespace fieldpost::schema {

/// One entry of lists/NAME.json.
struct ListEntry {
  std::string code;
  std::map<std::string, std::string, std::less<>> labels;  ///< by language
  int minor_digits = 0;                                    ///< of a currency
};

class CodeList {
 public:
  explicit CodeList(std::vector<ListEntry> entries) : entries_(std::move(entries)) {}
  std::span<const ListEntry> entries() const { return entries_; }
  const ListEntry* find(std::string_view code) const;

 private:
  std::vector<ListEntry> entries_;
};

class Registry {
 public:
  /// Reads records/*.json, labels/*.json, lists/*.json and places/*.csv; other files are ignored.
  /// A later file of the same name replaces an earlier one; places of several files are put together.
  /// Errors: `malformed` or `unsupported`, naming file, place in it and what to change.
  static Result<Registry> load(std::span<const EmbeddedFile> files);
  ~Registry();
  Registry(Registry&&) noexcept;
  Registry& operator=(Registry&&) noexcept;

  /// BLAKE2b over names and bytes of the record schemas in order of name; goes into `hello`.
  const Hash& digest() const;
  /// Sorted.
  std::vector<std::string_view> types() const;
  /// nullptr for a type this program does not know.
  const Form* form(std::string_view type) const;
  const CodeList* list(std::string_view name) const;
  const Labels& labels() const;
  const PlaceList& places() const;

  /// The fault in words, in "en" or "km": what, where, what to do. `with_value` false leaves the
  /// offending value out (for logs, and for whoever may not read the record).
  std::string message(const Fault& fault, std::string_view language, bool with_value = true) const;

 private:
  struct Impl;
  explicit Registry(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace fieldpost::schema
