// edit, void, finalise, discard.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "agent/cli/ask.h"
#include "agent/cli/input.h"
#include "agent/cli/session.h"
#include "base/text.h"
#include "keys/clock.h"
#include "net/http.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

struct EditArguments {
  std::string id;
  std::vector<std::string> changes;
  std::string json_file;
  std::string reason;
  bool finalise = false;
};

void report_edit(Session& session, const json& answer) {
  if (session.json) {
    std::cout << answer.dump() << '\n';
    return;
  }
  const std::string state = answer["state"];
  std::cout << (state == "draft"   ? "Draft kept: "
                : state == "void"  ? "Voided: "
                : state == "final" ? "Recorded: "
                                   : "Amended: ")
            << answer.value("ref_no", "") << ' ' << answer["id"].get<std::string>() << '\n';
}

/// "vehicles.0.plate=2A-1" → the typed value, and what follows from it.
Status read_change(const schema::AnswerContext& context, const schema::Form& form,
                   const std::string& change, json& set) {
  const std::size_t equals = change.find('=');
  if (equals == std::string::npos || equals == 0) {
    return fail(Errc::invalid_argument,
                "'" + change + "' is not written FIELD=VALUE (an empty value clears the field)");
  }
  std::string path = change.substr(0, equals);
  std::replace(path.begin(), path.end(), '.', '/');
  const auto parts = split(path, '/');
  const std::string container = parts.size() > 1 ? std::string(parts.front()) : "";
  const schema::Field* field = parts.size() > 3 ? nullptr : form.find(container, parts.back());
  if (field == nullptr) {
    return fail(Errc::invalid_argument, "a " + std::string(form.type()) + " has no field '" + path +
                                            "'; 'fieldpost-agent show ID' lists the paths in use");
  }
  const std::string prefix = path.substr(0, path.size() - field->name.size());
  auto answer = answer_field(context, form, *field, change.substr(equals + 1));
  if (!answer && !field->choices.empty()) {
    std::string choices;
    for (const auto& choice : field->choices)
      choices += (choices.empty() ? "" : ", ") + std::string(choice);
    return fail(Errc::invalid_argument,
                path + ": '" + change.substr(equals + 1) + "' is not one of " + choices);
  }
  if (!answer) return fail(Errc::invalid_argument, path + ": " + answer.error().detail);
  set[path] = answer->value;
  for (const auto& [name, value] : answer->also) set[prefix + name] = value;
  return {};
}

Status edit(Session& session, const EditArguments& options) {
  FP_TRY(Client * client, session.client());
  json request{{"author", session.author},
               {"lang", session.language},
               {"reason", options.reason},
               {"finalise", options.finalise}};
  if (!options.json_file.empty()) {
    FP_TRY(request["patch"], read_json_input(options.json_file));
  }
  json set = json::object();
  if (!options.changes.empty()) {
    FP_TRY(const json shown, client->call("GET", net::make_target({"v1", "records", options.id})));
    FP_TRY(const auto app_options, session.options());
    FP_TRY(const auto registry, load_registry(app_options.data));
    const schema::Form* form = registry->form(shown["type"].get<std::string>());
    if (form == nullptr && shown["place"] == "damaged") {
      return fail(Errc::conflict, "record " + options.id +
                                      " was damaged on this tablet's disk: it can be changed when "
                                      "the hub has delivered it again. Write what is new into a "
                                      "new record meanwhile");
    }
    if (form == nullptr)
      return fail(Errc::unsupported, "this program has no form " + shown["type"].dump());
    const schema::AnswerContext context{*registry, session.language, keys::system_now(),
                                        app_options.offset_minutes};
    for (const auto& change : options.changes)
      FP_CHECK_OK(read_change(context, *form, change, set));
    if (shown.contains("context")) request["context"] = shown["context"];
  }
  request["set"] = std::move(set);
  FP_TRY(const json answer,
         client->call("POST", net::make_target({"v1", "records", options.id, "edits"}), request));
  report_edit(session, answer);
  return {};
}

}  // namespace

void add_edit(CLI::App& app, Session& session) {
  auto options = std::make_shared<EditArguments>();
  auto* edit_command =
      app.add_subcommand("edit", "change a draft, or amend a record with a reason");
  edit_command->add_option("ID", options->id, "of the record, as 'list' shows it")->required();
  edit_command->add_option("CHANGES", options->changes, "FIELD=VALUE …");
  edit_command->add_option("--json,--from", options->json_file,
                           "the fields to change as a JSON object: FILE or -");
  edit_command->add_option("--reason", options->reason, "why; needed once a record is final");
  edit_command->add_flag("--finalise", options->finalise, "of a draft: make it a record");
  edit_command->footer(
      "Examples:\n  fieldpost-agent edit ID direction=exit --reason \"typed the wrong way\"\n"
      "  fieldpost-agent edit ID vehicles.0.plate=2A-1234 --reason \"misread in the dark\"\n"
      "  fieldpost-agent edit ID vehicles.+.plate=1B-2 vehicles.+.class=car --reason \"second "
      "car\"\n"
      "  fieldpost-agent edit DRAFT outcome=warning --finalise\n"
      "Naming a field in conflict settles it for the value given.");
  edit_command->callback(
      [&session, options] { session.run([&] { return edit(session, *options); }); });

  auto* void_command =
      app.add_subcommand("void", "declare a record void; it stays readable, with the reason");
  void_command->add_option("ID", options->id, "of the record")->required();
  void_command->add_option("--reason", options->reason, "why")->required();
  void_command->footer("Example:\n  fieldpost-agent void ID --reason \"recorded twice\"");
  void_command->callback([&session, options] {
    session.run([&]() -> Status {
      FP_TRY(Client * client, session.client());
      FP_TRY(const json answer,
             client->call("POST", net::make_target({"v1", "records", options->id, "void"}),
                          {{"author", session.author},
                           {"lang", session.language},
                           {"reason", options->reason}}));
      report_edit(session, answer);
      return {};
    });
  });

  auto* finalise = app.add_subcommand("finalise", "make a complete draft a record");
  finalise->add_option("ID", options->id, "of the draft")->required();
  finalise->callback([&session, options] {
    session.run([&]() -> Status {
      FP_TRY(Client * client, session.client());
      FP_TRY(const json answer,
             client->call("POST", net::make_target({"v1", "records", options->id, "finalise"}),
                          {{"author", session.author}, {"lang", session.language}}));
      report_edit(session, answer);
      return {};
    });
  });

  auto* discard = app.add_subcommand("discard", "throw a draft away (a record is voided instead)");
  discard->add_option("ID", options->id, "of the draft")->required();
  discard->callback([&session, options] {
    session.run([&]() -> Status {
      FP_TRY(Client * client, session.client());
      FP_CHECK_OK(client->call("DELETE", net::make_target({"v1", "records", options->id})));
      if (!session.json) std::cout << "Draft discarded.\n";
      return {};
    });
  });
}

}  // namespace fieldpost::agent
