#include "agent/cli/ask.h"

#include <optional>

#include "base/text.h"
#include "schema/check.h"

namespace fieldpost::agent {

using nlohmann::json;
using schema::Question;

namespace {

/// Longer lists are shown on '?', not with every question.
constexpr std::size_t kOptionsShownMax = 12;

struct Words {
  const char* required;
  const char* add_one;
  const char* another;
  const char* help;
  const char* yes_no;
};
constexpr Words kEnglish{"this must be answered", "add one?", "add another?",
                         "'?' lists the choices", "yes/no"};
constexpr Words kKhmer{"ទាមទារ", "បន្ថែមមួយ?", "បន្ថែមមួយទៀត?", "'?' បង្ហាញជម្រើស", "បាទ/ទេ"};

class Interviewer {
 public:
  Interviewer(const schema::AnswerContext& context, std::string_view type, const Offers& offers,
              std::istream& in, std::ostream& out)
      : context_(context),
        type_(type),
        offers_(offers),
        in_(in),
        out_(out),
        words_(context.language == "km" ? kKhmer : kEnglish) {}

  Interview run(json known) {
    Interview made;
    made.document = std::move(known);
    // What is required is judged on the document as it will be: final.
    made.document["type"] = type_;
    made.document["state"] = "final";
    made.complete = true;
    for (const auto& question : schema::questions(context_.registry, type_, context_.language)) {
      if (question.is_repeat() ? made.document.contains(question.container)
                               : has(made.document, question))
        continue;
      if (!schema::is_asked(question, made.document)) continue;
      made.complete = question.is_repeat() ? ask_repeat(question, made.document)
                                           : ask(question, made.document, nullptr);
      if (!made.complete) break;
    }
    made.document.erase("state");
    return made;
  }

 private:
  static bool has(const json& document, const Question& q) {
    if (q.container.empty()) return document.contains(q.name);
    const auto holder = document.find(q.container);
    return holder != document.end() && holder->is_object() && holder->contains(q.name);
  }

  std::optional<std::string> line() {
    std::string text;
    if (!std::getline(in_, text)) return std::nullopt;
    return std::string(trimmed(text));
  }

  /// At once: who waits for a question must not see half of it.
  void write_whole(const std::string& text) { out_ << text << std::flush; }

  /// False when the input ended.
  bool ask_repeat(const Question& question, json& document) {
    const std::string name = question.name.empty() ? question.container : question.name;
    std::size_t number = 0;
    for (;;) {
      write_whole(question.label + ": " + (number == 0 ? words_.add_one : words_.another) + " [" +
                  words_.yes_no + "] ");
      const auto text = line();
      if (!text) return false;
      if (text->empty()) return true;
      const auto wanted = yes_or_no(*text);
      if (!wanted) {
        out_ << "  " << words_.yes_no << '\n';
        continue;
      }
      if (!*wanted) return true;
      json& items = document[name];
      if (!items.is_array()) items = json::array();
      // Eight digits in the item id's alphabet; the agent draws the real one.
      std::string id = std::to_string(number++);
      id.insert(0, 8 - id.size(), '0');
      items.push_back({{"item_id", id}});
      bool ended = false;
      for (const auto& part : question.item) {
        if (!schema::is_asked(part, document, &items.back())) continue;
        if (!ask(part, document, &items.back())) {
          ended = true;
          break;
        }
      }
      if (ended) return false;
    }
  }

  static std::optional<bool> yes_or_no(const std::string& text) {
    for (const char* yes :
         {"y", "yes", "Y", "Yes", "YES", "1", "បាទ", "ចាស", "បាទ/ចាស", "បាទ/ទេ"}) {
      if (text == yes) return true;
    }
    for (const char* no : {"n", "no", "N", "No", "NO", "0", "ទេ"}) {
      if (text == no) return false;
    }
    return std::nullopt;
  }

  json offered(const Question& question) const {
    const schema::Field& field = *question.field;
    const std::string path =
        field.container.empty() ? field.name : field.container + "/" + field.name;
    if (field.default_kind == "author")
      return offers_.author.empty() ? json() : json(offers_.author);
    if (field.default_kind == "last")
      return field.in_repeat ? json() : offers_.last.value(path, json());
    return schema::default_answer(field, context_);
  }

  void prompt(const Question& question, const json& offer, bool all) {
    std::string text = question.label;
    if (!question.hint.empty()) text += " (" + question.hint + ")";
    if (all || question.options.size() <= kOptionsShownMax) {
      for (std::size_t i = 0; i < question.options.size(); ++i) {
        text += "\n  " + std::to_string(i + 1) + " " + question.options[i].label + " (" +
                question.options[i].code + ")";
      }
      if (!question.options.empty()) text += "\n ";
    } else {
      text += std::string(" (") + words_.help + ")";
    }
    if (!offer.is_null())
      text += " [" + (offer.is_string() ? offer.get<std::string>() : offer.dump()) + "]";
    write_whole(text + ": ");
  }

  void put(json& holder, const Question& question, const schema::Answer& answer) {
    holder[question.name] = answer.value;
    for (const auto& [name, value] : answer.also) holder[name] = value;
  }

  bool ask(const Question& question, json& document, json* item) {
    const json offer = offered(question);
    bool all = false;
    for (;;) {
      prompt(question, offer, all);
      const auto text = line();
      if (!text) return false;
      all = *text == "?";
      if (all) continue;
      json& holder = item != nullptr              ? *item
                     : question.container.empty() ? document
                                                  : document[question.container];
      if (holder.is_null()) holder = json::object();
      if (text->empty()) {
        if (!offer.is_null()) {
          // Through the same reading as typed answers, so that derived fields come along.
          auto answer = schema::parse_answer(
              question, offer.is_string() ? offer.get<std::string>() : offer.dump(), context_);
          put(holder, question, answer ? *answer : schema::Answer{offer, {}});
          return true;
        }
        const std::string id = item != nullptr ? item->value("item_id", "") : "";
        if (!schema::is_required(context_.registry, type_, question, document, id)) return true;
        out_ << "  " << words_.required << '\n';
        continue;
      }
      auto answer = schema::parse_answer(question, *text, context_);
      if (!answer) {
        out_ << "  " << answer.error().detail << '\n';
        continue;
      }
      put(holder, question, *answer);
      return true;
    }
  }

  const schema::AnswerContext& context_;
  std::string_view type_;
  const Offers& offers_;
  std::istream& in_;
  std::ostream& out_;
  const Words& words_;
};

const Question* find_question(const std::vector<Question>& all, const schema::Field& field) {
  for (const auto& question : all) {
    if (!question.is_repeat() && question.container == field.container &&
        question.name == field.name)
      return &question;
    for (const auto& part : question.item) {
      if (part.field == &field || (part.container == field.container && part.name == field.name))
        return &part;
    }
  }
  return nullptr;
}

}  // namespace

Interview interview(const schema::AnswerContext& context, std::string_view type, json known,
                    const Offers& offers, std::istream& in, std::ostream& out) {
  return Interviewer(context, type, offers, in, out).run(std::move(known));
}

Result<schema::Answer> answer_field(const schema::AnswerContext& context, const schema::Form& form,
                                    const schema::Field& field, std::string_view text) {
  if (trimmed(text).empty()) return schema::Answer{nullptr, {}};
  const auto all = schema::questions(context.registry, form.type(), context.language);
  if (const Question* question = find_question(all, field))
    return schema::parse_answer(*question, text, context);
  if (field.in_repeat) {
    const auto repeat =
        schema::repeat_question(context.registry, form.type(), field.container, context.language);
    if (repeat) {
      if (const Question* question = find_question({*repeat}, field))
        return schema::parse_answer(*question, text, context);
    }
  }
  // Not one of the short form's questions: read by its type alone; the form's check judges the value.
  Question plain;
  plain.container = field.container;
  plain.name = field.name;
  plain.label = std::string(context.registry.labels().text(field.label, context.language));
  plain.field = &field;
  for (const auto& choice : field.choices) {
    plain.options.push_back({choice, std::string(context.registry.labels().text(
                                         field.label + "." + choice, context.language))});
  }
  plain.options_open = !field.list.empty() || !field.place.empty();
  return schema::parse_answer(plain, text, context);
}

}  // namespace fieldpost::agent
