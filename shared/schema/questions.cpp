#include "schema/questions.h"

#include <algorithm>

#include "schema/check.h"
#include "schema/node.h"
#include "schema/rules.h"

namespace fieldpost::schema {

namespace {

using nlohmann::json;

class Builder {
 public:
  Builder(const Registry& registry, const Form& form, std::string_view language)
      : registry_(registry), form_(form), language_(language) {}

  std::vector<Question> all() const {
    std::vector<std::pair<int, Question>> asked;
    for (const Field& field : form_.fields()) {
      if (field.container.empty() && field.ask) asked.emplace_back(*field.ask, leaf(field));
    }
    std::vector<std::pair<int, std::string>> objects;
    for (const auto& [name, container] : form_.data().containers) {
      if (!container.ask) continue;
      if (container.repeat) {
        asked.emplace_back(*container.ask, repeat(name, container));
      } else {
        // Unfolded in place: a stable sort keeps the members' own order.
        for (Question& member : members(name)) {
          member.when.insert(member.when.end(), container.when.begin(), container.when.end());
          asked.emplace_back(*container.ask, std::move(member));
        }
      }
    }
    return in_order(std::move(asked));
  }

  Question repeat(const std::string& name, const Container& container) const {
    Question question;
    question.name = name;
    question.label = registry_.labels().text(container.label, language_);
    question.when = container.when;
    question.item = members(name);
    return question;
  }

 private:
  static std::vector<Question> in_order(std::vector<std::pair<int, Question>> asked) {
    std::stable_sort(asked.begin(), asked.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<Question> out;
    out.reserve(asked.size());
    for (auto& [order, question] : asked) out.push_back(std::move(question));
    return out;
  }

  std::vector<Question> members(const std::string& container) const {
    std::vector<std::pair<int, Question>> asked;
    for (const Field& field : form_.fields()) {
      if (field.container == container && field.ask) asked.emplace_back(*field.ask, leaf(field));
    }
    return in_order(std::move(asked));
  }

  Question leaf(const Field& field) const {
    Question question;
    question.container = field.container;
    question.name = field.name;
    question.label = registry_.labels().text(field.label, language_);
    question.field = &field;
    question.when = field.when;
    question.hint = hint(field);
    for (const std::string& choice : field.choices) {
      question.options.push_back(
          {choice, std::string(registry_.labels().text(field.label + "." + choice, language_))});
    }
    if (const CodeList* list = field.list.empty() ? nullptr : registry_.list(field.list)) {
      question.options_open = true;
      for (const ListEntry& entry : list->entries())
        question.options.push_back({entry.code, label_of(entry)});
    }
    if (!field.place.empty()) {
      question.options_open = true;
      for (const Place* place : registry_.places().all(field.place)) {
        const bool khmer = language_ == "km" && !place->name_km.empty();
        question.options.push_back(
            {place->code, khmer || place->name_latin.empty() ? place->name_km : place->name_latin});
      }
    }
    return question;
  }

  std::string label_of(const ListEntry& entry) const {
    for (std::string_view language : {language_, std::string_view("en")}) {
      const auto found = entry.labels.find(language);
      if (found != entry.labels.end()) return found->second;
    }
    return entry.code;
  }

  std::string hint(const Field& field) const {
    const auto word = [&](std::string_view key) {
      return std::string(registry_.labels().text(key, language_));
    };
    if (field.widget == Widget::weight)
      return word("ui.unit.kg") + ", " + word("ui.unit.g") + ", " + word("ui.unit.mg");
    if (field.type == LeafType::boolean) return word("ui.ask.yes_no");
    if (field.kind == Kind::instant) return "HH:MM, YYYY-MM-DD HH:MM";
    if (field.kind == Kind::date) return "YYYY-MM-DD";
    if (field.widget == Widget::money) return "12.50 USD, 5000 KHR";
    if (field.unit == "ml") return "ml, l";
    return field.unit.empty() ? std::string() : word("ui.unit." + field.unit);
  }

  const Registry& registry_;
  const Form& form_;
  std::string_view language_;
};

const json* value_at(const json* holder, std::string_view name) {
  if (holder == nullptr || !holder->is_object()) return nullptr;
  const auto found = holder->find(std::string(name));
  return found == holder->end() ? nullptr : &*found;
}

}  // namespace

std::vector<Question> questions(const Registry& registry, std::string_view type,
                                std::string_view language) {
  const Form* form = registry.form(type);
  if (form == nullptr) return {};
  return Builder(registry, *form, language).all();
}

std::optional<Question> repeat_question(const Registry& registry, std::string_view type,
                                        std::string_view repeat, std::string_view language) {
  const Form* form = registry.form(type);
  if (form == nullptr || !form->is_repeat(repeat)) return std::nullopt;
  const auto found = form->data().containers.find(repeat);
  Question question = Builder(registry, *form, language).repeat(found->first, found->second);
  if (question.item.empty()) return std::nullopt;
  return question;
}

bool is_asked(const Question& question, const json& document, const json* item) {
  const json* holder = &document;
  if (!question.container.empty())
    holder = item != nullptr ? item : value_at(&document, question.container);
  return std::all_of(question.when.begin(), question.when.end(), [&](const Condition& condition) {
    const bool from_root = condition.field.starts_with('/');
    const json* value = from_root ? value_at(&document, std::string_view(condition.field).substr(1))
                                  : value_at(holder, condition.field);
    return condition_holds(condition, value);
  });
}

bool is_required(const Registry& registry, std::string_view type, const Question& question,
                 const json& document, std::string_view item_id) {
  std::string path =
      question.container.empty() ? question.name : question.container + "/" + question.name;
  if (!item_id.empty())
    path = question.container + "/" + std::string(item_id) + "/" + question.name;
  // Without its own answer, so that a question answered a moment ago still counts as required.
  json asked = document;
  json* holder = &asked;
  if (!question.container.empty() && asked.contains(question.container))
    holder = &asked[question.container];
  if (holder->is_array()) {
    for (json& item : *holder) {
      if (item.is_object() && item.value("item_id", "") == item_id) item.erase(question.name);
    }
  } else if (holder->is_object() && (question.container.empty() || holder != &asked)) {
    holder->erase(question.name);
  }
  if (!question.container.empty() && item_id.empty() && !asked.contains(question.container)) {
    asked[question.container] = json::object();
  }
  const auto faults = check_document(registry, type, asked, Purpose::finalise);
  return std::any_of(faults.begin(), faults.end(), [&](const Fault& fault) {
    return fault.severity == Severity::error && fault.path == path &&
           fault.rule != "additionalProperties";
  });
}

}  // namespace fieldpost::schema
