// Strict JSON text: duplicate keys, depth and size are refused while parsing, not after.
#include <nlohmann/json.hpp>
#include <set>

#include "base/limits.h"
#include "base/text.h"
#include "schema/document.h"

namespace fieldpost::schema {

namespace {

using nlohmann::json;

// record > vehicles > item > list is 4; room for a newer form.
constexpr std::size_t kDepthMax = 8;
// Values of one document: every edit of one change, many times over.
constexpr std::size_t kValuesMax = 200'000;

/// Builds the document itself, so that nothing is built of a text that is refused.
class StrictReader : public nlohmann::json_sax<json> {
 public:
  bool null() override { return put(json(nullptr)); }
  bool boolean(bool value) override { return put(json(value)); }
  bool number_integer(number_integer_t value) override { return put(json(value)); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<number_unsigned_t>(INT64_MAX)) return refuse("a number is too large");
    return put(json(static_cast<std::int64_t>(value)));
  }
  bool number_float(number_float_t value, const string_t& text) override {
    // Only whole 64-bit numbers and short decimals exist here: a float that was an integer overflowed.
    if (text.find_first_of(".eE") == std::string::npos)
      return refuse("the number " + text.substr(0, 40) + " is too large");
    return put(json(value));
  }
  bool string(string_t& value) override { return put(json(std::move(value))); }
  bool binary(binary_t&) override { return refuse("binary values do not exist in JSON"); }
  bool start_object(std::size_t) override { return open(json::object()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_array() override { return close(); }
  bool key(string_t& value) override {
    if (open_.back()->contains(value))
      return refuse("the key \"" + value.substr(0, 80) + "\" stands twice");
    key_ = std::move(value);
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const json::exception&) override {
    return refuse("not JSON: unexpected character near byte " + std::to_string(position));
  }

  Error error() const { return fail(Errc::malformed, why_); }
  json take() { return std::move(root_); }

 private:
  bool refuse(std::string why) {
    if (why_.empty()) why_ = std::move(why);
    return false;
  }
  json* place(json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    return &(parent[std::move(key_)] = std::move(value));
  }
  bool put(json value) {
    if (++values_ > kValuesMax) return refuse("too many values");
    place(std::move(value));
    return true;
  }
  bool open(json value) {
    if (open_.size() >= kDepthMax) return refuse("nested deeper than " + std::to_string(kDepthMax));
    if (++values_ > kValuesMax) return refuse("too many values");
    open_.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  json root_;
  std::vector<json*> open_;  // a parent does not grow while one of its children is open
  std::string key_;
  std::string why_;
  std::size_t values_ = 0;
};

}  // namespace

Result<json> parse_document(std::string_view text) {
  if (text.size() > limits::kRecordBytesMax) {
    return fail(Errc::too_large, "the document has " + std::to_string(text.size()) +
                                     " bytes, at most " + std::to_string(limits::kRecordBytesMax) +
                                     " are allowed");
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (const auto bad = first_invalid_utf8(text); bad != std::string_view::npos) {
    return fail(Errc::malformed, "not valid UTF-8 at byte " + std::to_string(bad));
  }
  StrictReader reader;
  if (!json::sax_parse(text.begin(), text.end(), &reader)) return reader.error();
  json document = reader.take();
  if (!document.is_object()) return fail(Errc::malformed, "a record is a JSON object");
  return document;
}

}  // namespace fieldpost::schema
