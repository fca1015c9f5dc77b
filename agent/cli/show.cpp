// show ID: one record with who wrote what, conflicts and troubles.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "agent/cli/session.h"
#include "base/text.h"
#include "net/http.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

std::string text_of(const json& value) {
  return printable(value.is_string() ? value.get<std::string>() : value.dump());
}

class Printer {
 public:
  Printer(const json& shown, const schema::Registry& registry, std::string language)
      : shown_(shown),
        registry_(registry),
        form_(registry.form(shown["type"].get<std::string>())),
        language_(std::move(language)) {}

  void print() {
    std::cout << registry_.labels().text(form_ != nullptr ? form_->label() : "", language_) << ' '
              << shown_["id"].get<std::string>() << "  " << shown_["state"].get<std::string>()
              << ", " << shown_["words"].get<std::string>() << '\n';
    for (const auto& [name, value] : shown_["document"].items()) {
      if (name == "seals") continue;
      member(name, value);
    }
    for (const json& exception : shown_.value("exceptions", json::array())) {
      std::cout << "! " << printable(exception["words"].get<std::string>()) << " ["
                << exception["dot"].get<std::string>() << "]\n";
    }
    for (const json& words : shown_.value("damage", json::array()))
      std::cout << "! " << printable(words.get<std::string>()) << '\n';
    for (const json& fault : shown_.value("faults", json::array())) {
      std::cout << (fault["severity"] == "error" ? "! " : "note: ")
                << printable(fault["message"].get<std::string>()) << '\n';
    }
  }

 private:
  void member(const std::string& path, const json& value) {
    const bool items = value.is_array() && !value.empty() && value.front().is_object();
    if (items) {
      for (const json& item : value) {
        for (const auto& [name, part] : item.items()) {
          if (name == "item_id") continue;
          std::string inner = path;
          inner.append("/").append(item.value("item_id", "")).append("/").append(name);
          member(inner, part);
        }
      }
    } else if (value.is_object() && value.contains("sealed")) {
      line(path, language_ == "km" ? "(បិទត្រា)" : "(sealed: not readable here)");
    } else if (value.is_object()) {
      for (const auto& [name, part] : value.items()) {
        std::string inner = path;
        member(inner.append("/").append(name), part);
      }
    } else {
      line(path, display(path, value));
    }
  }

  std::string display(const std::string& path, const json& value) const {
    const schema::Field* field = form_ == nullptr ? nullptr : form_->find(path);
    std::string text = text_of(value);
    if (field == nullptr) return text;
    if (value.is_string() && !field->choices.empty()) {
      const auto label = registry_.labels().text(field->label + "." + text, language_);
      if (label != field->label + "." + text) text = std::string(label) + " (" + text + ")";
    }
    if (!field->unit.empty()) text += " " + field->unit;
    return text;
  }

  void line(const std::string& path, const std::string& text) const {
    const schema::Field* field = form_ == nullptr ? nullptr : form_->find(path);
    std::cout << "  " << path;
    if (field != nullptr) std::cout << " · " << registry_.labels().text(field->label, language_);
    std::cout << ": " << text;
    const auto& writers = shown_.value("writers", json::object());
    if (writers.contains(path))
      std::cout << "   — " << printable(writers[path]["author"].get<std::string>());
    std::cout << '\n';
    const auto& conflicts = shown_.value("conflicts", json());
    if (!conflicts.is_object() || !conflicts.contains(path)) return;
    std::cout << "    conflict: written at the same time by several, all kept\n";
    for (const json& sibling : conflicts[path]) {
      std::cout << "    " << (sibling["shown"] == true ? "* " : "  ")
                << (sibling["sealed"] == true ? "(sealed)" : text_of(sibling["value"])) << "   — "
                << printable(sibling["author"].get<std::string>()) << ", "
                << sibling["at"].get<std::string>() << " by the "
                << sibling["clock"].get<std::string>() << "'s clock ["
                << sibling["dot"].get<std::string>() << "]\n";
    }
    std::cout << "    settle it: fieldpost-agent edit " << shown_["id"].get<std::string>() << " "
              << path << "=VALUE --reason …\n";
  }

  const json& shown_;
  const schema::Registry& registry_;
  const schema::Form* form_;
  std::string language_;
};

}  // namespace

void add_show(CLI::App& app, Session& session) {
  auto* command = app.add_subcommand(
      "show", "one record: its fields, who wrote them, conflicts, and where it is");
  auto id = std::make_shared<std::string>();
  command->add_option("ID", *id, "of the record, as 'list' shows it")->required();
  command->footer(
      "Examples:\n  fieldpost-agent show ID\n  fieldpost-agent show ID --lang km\n  "
      "fieldpost-agent show ID --json");
  command->callback([&session, id] {
    session.run([&]() -> Status {
      FP_TRY(Client * client, session.client());
      FP_TRY(const json shown, client->call("GET", net::make_target({"v1", "records", *id},
                                                                    {{"lang", session.language}})));
      if (session.json) {
        std::cout << shown.dump() << '\n';
        return {};
      }
      FP_TRY(const auto options, session.options());
      FP_TRY(const auto registry, load_registry(options.data));
      Printer(shown, *registry, session.language).print();
      return {};
    });
  });
}

}  // namespace fieldpost::agent
