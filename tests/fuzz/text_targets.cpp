// Texts that people and programs type: hexadecimal, base32, ids, instants, numbers, UTF-8.
#include "base/ids.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

namespace fieldpost::fuzz {

namespace {

void take_digits(std::string_view text) {
  if (const auto bytes = from_hex(text)) {
    require(to_hex(*bytes).size() == text.size(), "two digits a byte");
    require(*from_hex(to_hex(*bytes)) == *bytes, "hexadecimal comes back");
  }
  if (const auto bytes = from_base32(text))
    require(*from_base32(to_base32(*bytes)) == *bytes, "base32 comes back");
  require(*from_hex(to_hex(as_bytes(text))) == bytes_of(text), "any bytes have hexadecimal");
  require(*from_base32(to_base32(as_bytes(text))) == bytes_of(text), "any bytes have base32");
}

void take_ids(std::string_view text) {
  if (const auto id = record_id_from_text(text))
    require(*record_id_from_text(to_text(*id)) == *id, "a record id comes back");
  else
    require_refusal(id.error());
  if (const auto actor = actor_from_text(text))
    require(*actor_from_text(actor->hex()) == *actor, "an actor comes back");
  else
    require_refusal(actor.error());
}

void take_instant(std::string_view text) {
  const auto instant = instant_from_text(text);
  if (!instant) return require_refusal(instant.error());
  const auto again = instant_from_text(to_text(*instant));
  require(again.has_value() && *again == *instant, "an instant comes back");
}

void take_utf8(std::string_view text) {
  const std::size_t first = first_invalid_utf8(text);
  require(is_utf8(text) == (first == std::string_view::npos), "one opinion on UTF-8");
  const std::string_view sound = text.substr(0, first);
  require(is_utf8(sound), "what stands before the first wrong byte is right");
  require(code_points(sound) <= sound.size(), "a character has a byte");
  const std::string digits = ascii_digits(sound);
  require(is_utf8(digits) && ascii_digits(digits) == digits, "digits are changed once");
  const std::string_view bare = trimmed(sound);
  require(is_utf8(bare) && trimmed(bare) == bare, "trimmed once is trimmed");
  std::size_t joined = 0;
  for (const std::string_view part : split(text, '/')) joined += part.size() + 1;
  require(joined == text.size() + 1, "splitting loses nothing");
  if (const auto number = integer_from_text(text))
    require(*integer_from_text(std::to_string(*number)) == *number, "a number comes back");
}

}  // namespace

void take_text_form(BytesView bytes) {
  Input in(bytes);
  const auto which = in.below(4);
  const std::string text(as_text(in.rest()));
  if (which == 0) take_digits(text);
  if (which == 1) take_ids(text);
  if (which == 2) take_instant(text);
  if (which == 3) take_utf8(text);
}

std::vector<Bytes> text_form_seeds() {
  std::vector<Bytes> seeds;
  const std::pair<std::uint8_t, const char*> kTexts[] = {
      {0, "00ff7A"},
      {0, "3cp7wb1dwmhkfz4gkxnkahr40k4b02tv5wxk6dnm9g9h1r1q22yhqb316x75x6vyg2751qp4jjb54"},
      {1, "01a2104d-3df4-7b87-8207-f0c73086134d"},
      {1, "f506f37bebaa7b08"},
      {2, "2026-03-01T07:15:00.000Z"},
      {2, "2026-03-14T07:10:00+07:00"},
      {2, "2026-03-14T07:10Z"},
      {3, "-9223372036854775808"},
      {3, "១២៣"},
      {3, " សុខ ដារ៉ា/é𐍈 "}};
  for (const auto& [which, text] : kTexts) {
    Bytes seed{which};
    for (const char c : std::string_view(text)) seed.push_back(static_cast<std::uint8_t>(c));
    seeds.push_back(std::move(seed));
  }
  return seeds;
}

}  // namespace fieldpost::fuzz
