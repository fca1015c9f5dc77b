#include <algorithm>

#include "base/text.h"
#include "schema/calendar.h"
#include "schema/document.h"
#include "schema/questions.h"
#include "schema/validate.h"
#include "schema/words.h"

namespace fieldpost::schema {

namespace {

using nlohmann::json;

struct Unit {
  std::string_view name;
  int digits;  ///< of the smallest unit after the point
};
constexpr Unit kWeights[] = {{"kg", 6}, {"mg", 0},     {"g", 3},   {"គីឡូក្រាម", 6},
                             {"គីឡូ", 6}, {"មីលីក្រាម", 0}, {"ក្រាម", 3}};
constexpr Unit kVolumes[] = {{"ml", 0}, {"l", 3}, {"មីលីលីត្រ", 0}, {"លីត្រ", 3}};

Error expected(const Question& question, const std::string& what) {
  return fail(Errc::invalid_argument, question.label + ": " + what);
}

std::string again(const Question& question, const AnswerContext& context) {
  std::string text(context.registry.labels().text("ui.ask.again", context.language));
  return question.hint.empty() ? text : text + " (" + question.hint + ")";
}

/// "2.5kg" → {"2.5", "kg"}; thousands separators do not exist.
std::pair<std::string, std::string> number_and_unit(std::string_view text) {
  const std::size_t end = text.find_first_not_of("0123456789.-");
  const std::string number(trimmed(text.substr(0, end)));
  return {number,
          end == std::string_view::npos ? std::string() : std::string(trimmed(text.substr(end)))};
}

template <std::size_t N>
Result<json> measured(const Question& question, const std::string& text, const Unit (&units)[N],
                      std::string_view otherwise, const AnswerContext& context) {
  auto [number, name] = number_and_unit(text);
  if (name.empty()) name = otherwise;
  const std::string small = ascii_lower(name);
  for (const Unit& unit : units) {
    if (unit.name != small) continue;
    auto value = scaled_from_text(number, unit.digits);
    if (!value) return expected(question, value.error().detail + ". " + again(question, context));
    return json(*value);
  }
  return expected(question, again(question, context));
}

/// Money is written with its currency: a bare number would be read as a hundred times too much or little.
Result<Answer> money(const Question& question, const std::string& text,
                     const AnswerContext& context) {
  auto [number, name] = number_and_unit(text);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  const CodeList* currencies = context.registry.list("currencies");
  const ListEntry* currency = currencies == nullptr ? nullptr : currencies->find(name);
  if (currency == nullptr) return expected(question, again(question, context));
  auto value = scaled_from_text(number, currency->minor_digits);
  if (!value) return expected(question, value.error().detail + ". " + again(question, context));
  Answer answer{json(*value), {}};
  if (question.name.ends_with("_minor")) {
    answer.also.emplace_back(question.name.substr(0, question.name.size() - 6) + "_currency", name);
  }
  return answer;
}

Result<json> instant(const Question& question, std::string text, const AnswerContext& context) {
  const std::string today = instant_text(context.now, context.offset_minutes).substr(0, 10);
  const bool clock = text.size() >= 4 && text.size() <= 5 && text[text.size() - 3] == ':';
  if (clock) text = today + "T" + (text.size() == 4 ? "0" : "") + text;
  text = with_offset(std::move(text), context.offset_minutes);
  if (!parse_instant(text)) return expected(question, again(question, context));
  return json(text);
}

/// An option by number (from 1), code or label, in any case; nullptr when none fits.
const Option* option_of(const Question& question, std::string_view text) {
  const std::string wanted = ascii_lower(text);
  for (const Option& option : question.options) {
    if (ascii_lower(option.code) == wanted || ascii_lower(option.label) == wanted) return &option;
  }
  const auto number = integer_from_text(wanted);
  if (!number || *number < 1 || static_cast<std::size_t>(*number) > question.options.size())
    return nullptr;
  return &question.options[static_cast<std::size_t>(*number) - 1];
}

Result<std::string> choice(const Question& question, const std::string& text,
                           const AnswerContext& context) {
  if (const Option* option = option_of(question, text)) return option->code;
  if (!question.field->place.empty()) {
    // By the name in the other language, too.
    if (const Place* place = context.registry.places().find_by_text(text, question.field->place))
      return place->code;
  }
  if (question.options_open) return text;
  return expected(question, again(question, context));
}

/// What the leaf's own keywords say of an answer, in words.
Status fits(const Question& question, const json& value, const AnswerContext& context) {
  std::vector<Found> found;
  validate(*question.field->node, value, found);
  if (found.empty()) return {};
  Fault fault;
  fault.rule = found[0].rule;
  fault.rule_label = "error." + fault.rule;
  fault.field_label = question.field->label;
  fault.limit = limit_text(*found[0].node, found[0].rule);
  if (found[0].value != nullptr && found[0].value->is_primitive()) {
    fault.value =
        found[0].value->is_string() ? found[0].value->get<std::string>() : found[0].value->dump();
  }
  return fail(Errc::invalid_argument, context.registry.message(fault, context.language));
}

Result<json> list(const Question& question, const std::string& text, const AnswerContext& context) {
  const char separator = text.find(';') != std::string::npos ? ';' : ',';
  json out = json::array();
  for (std::string_view part : split(text, separator)) {
    const std::string bare(trimmed(part));
    if (bare.empty()) continue;
    FP_TRY(auto code, choice(question, bare, context));
    if (std::find(out.begin(), out.end(), code) == out.end()) out.push_back(std::move(code));
  }
  return out;
}

/// The value of an answer that is not empty.
Result<Answer> value_of(const Question& question, const std::string& text,
                        const AnswerContext& context) {
  const Field& field = *question.field;
  const auto plain = [](Result<json> value) -> Result<Answer> {
    if (!value) return value.error();
    return Answer{*std::move(value), {}};
  };
  if (field.type == LeafType::boolean) {
    const std::string small = ascii_lower(text);
    const auto flag = small == "y"   ? std::optional(true)
                      : small == "n" ? std::optional(false)
                                     : yes_or_no(text);
    if (!flag) return expected(question, again(question, context));
    return Answer{json(*flag), {}};
  }
  if (field.type == LeafType::list) return plain(list(question, text, context));
  if (field.widget == Widget::weight) return plain(measured(question, text, kWeights, "", context));
  if (field.widget == Widget::money) return money(question, text, context);
  if (field.unit == "ml") return plain(measured(question, text, kVolumes, "ml", context));
  if (field.type == LeafType::integer) {
    auto value = field.scale > 0 ? scaled_from_text(text, field.scale) : integer_from_text(text);
    if (!value) return expected(question, again(question, context));
    return Answer{json(*value), {}};
  }
  if (field.kind == Kind::instant) return plain(instant(question, text, context));
  if (field.kind == Kind::date) {
    if (!days_of_date(text)) return expected(question, again(question, context));
    return Answer{json(text), {}};
  }
  if (question.options.empty()) return Answer{json(text), {}};
  FP_TRY(auto code, choice(question, text, context));
  return Answer{json(std::move(code)), {}};
}

}  // namespace

Result<Answer> parse_answer(const Question& question, std::string_view text,
                            const AnswerContext& context) {
  if (question.is_repeat()) {
    return fail(Errc::invalid_argument,
                question.name + " is a list of items: ask its own questions");
  }
  const Field& field = *question.field;
  const std::string bare(trimmed(text));
  if (bare.empty()) return Answer{json(nullptr), {}};
  if (!is_utf8(bare)) return expected(question, "UTF-8");
  FP_TRY(auto answer, value_of(question, field.free_text ? bare : ascii_digits(bare), context));
  FP_CHECK_OK(fits(question, answer.value, context));
  const Form* form = nullptr;
  for (std::string_view type : context.registry.types()) {
    const Form* candidate = context.registry.form(type);
    if (candidate->find(field.container, field.name) == &field) form = candidate;
  }
  if (form == nullptr || !answer.value.is_string()) return answer;
  for (const Field& other : form->fields()) {
    if (other.container != field.container || other.derived_from != field.name) continue;
    const auto& from = answer.value.get_ref<const std::string&>();
    answer.also.emplace_back(other.name,
                             other.derived_how == "month" ? from.substr(0, 7) : plate_norm(from));
  }
  return answer;
}

json default_answer(const Field& field, const AnswerContext& context) {
  if (field.default_kind == "now") {
    if (field.kind == Kind::date)
      return instant_text(context.now, context.offset_minutes).substr(0, 10);
    return instant_text(context.now, context.offset_minutes);
  }
  if (field.default_kind != "const") return nullptr;
  if (field.type == LeafType::boolean) return field.default_value == "true";
  if (field.type == LeafType::integer) {
    const auto value = integer_from_text(field.default_value);
    return value ? json(*value) : json(nullptr);
  }
  return field.default_value;
}

}  // namespace fieldpost::schema
