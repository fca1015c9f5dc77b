// record TYPE: asks the form's questions, or takes a document.
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>

#include "agent/api/answers.h"
#include "agent/cli/ask.h"
#include "agent/cli/input.h"
#include "agent/cli/session.h"
#include "base/limits.h"
#include "keys/clock.h"
#include "keys/secret_file.h"
#include "net/http.h"
#include "schema/document.h"

namespace fieldpost::agent {

using nlohmann::json;

Result<json> read_json_input(const std::string& file) {
  std::string text;
  if (file == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    FP_TRY(const auto bytes, keys::read_file(file, limits::kRecordBytesMax));
    text = std::string(as_text(bytes));
  }
  auto document = schema::parse_document(text);
  if (!document) {
    return fail(Errc::invalid_argument, (file == "-" ? "the standard input" : "'" + file + "'") +
                                            " is not one JSON object: " + document.error().detail);
  }
  return document;
}

namespace {

struct RecordArguments {
  std::string type;
  std::string json_file;
  bool draft = false;
};

void print_faults(const json& faults) {
  for (const json& fault : faults) {
    const std::string path = fault.value("path", "");
    std::cerr << "  " << (fault["severity"] == "warn" ? "note: " : "")
              << (path.empty() ? "" : printable(path) + ": ")
              << printable(fault.value("message", "")) << '\n';
  }
}

Status report_record(Session& session, const json& answer) {
  if (session.json) {
    std::cout << answer.dump() << '\n';
    return {};
  }
  const bool draft = answer["state"] == "draft";
  std::cout << (draft ? "Kept as a draft: " : "Recorded: ") << answer.value("ref_no", "")
            << (draft ? "" : " ") << answer["id"].get<std::string>() << '\n';
  print_faults(answer["warnings"]);
  return {};
}

Status record_json(Session& session, const RecordArguments& options) {
  FP_TRY(json document, read_json_input(options.json_file));
  if (!document.is_object()) return fail(Errc::invalid_argument, "a record is a JSON object");
  if (!document.contains("type")) document["type"] = options.type;
  if (document["type"] != options.type) {
    return fail(Errc::invalid_argument, "the document's type is " + document["type"].dump() +
                                            ", the command's is " + options.type);
  }
  FP_TRY(Client * client, session.client());
  FP_TRY(const json answer, client->call("POST", "/v1/records",
                                         {{"document", document},
                                          {"draft", options.draft},
                                          {"author", session.author},
                                          {"lang", session.language}}));
  return report_record(session, answer);
}

/// The place ids of an interview only served to tell items apart.
void drop_item_ids(json& document) {
  for (auto& value : document) {
    if (!value.is_array()) continue;
    for (auto& item : value) {
      if (item.is_object()) item.erase("item_id");
    }
  }
}

/// On a full disk: what was typed stays in hand until there is room, or goes out as a document that can be
/// recorded later.
Status try_again_when_full(Client& client, const json& request, net::HttpResponse& response) {
  std::string line;
  while (response.status == 507) {
    std::cerr
        << printable(error_of(response).detail)
        << ".\nWhat you typed is still here. Make room, then press Enter to record it (Ctrl-D: "
           "print it and leave): "
        << std::flush;
    if (!std::getline(std::cin, line)) {
      std::cout << request["document"].dump() << std::endl;
      return fail(Errc::store_full,
                  "not recorded: keep the document above and record it when there is room, with: "
                  "fieldpost-agent record TYPE --json FILE");
    }
    FP_TRY(response, client.ask("POST", "/v1/records", request));
  }
  return {};
}

Status record_asking(Session& session, const RecordArguments& options) {
  FP_TRY(Client * client, session.client());
  FP_TRY(const json known,
         client->call("GET", net::make_target({"v1", "forms", options.type, "defaults"})));
  FP_TRY(const auto app_options, session.options());
  FP_TRY(const auto registry, load_registry(app_options.data));
  const schema::Form* form = registry->form(options.type);
  if (form == nullptr)
    return fail(Errc::invalid_argument, "there is no record type '" + options.type + "'");
  const schema::AnswerContext context{*registry, session.language, keys::system_now(),
                                      app_options.offset_minutes};
  Offers offers{session.author, known["last"]};
  Interview made = interview(context, options.type, json::object(), offers, std::cin, std::cerr);
  std::cerr << '\n';
  json& document = made.document;
  std::string author = session.author;
  // Whoever answers for the stop is its author, unless another is signed in.
  if (author.empty() && document.contains("officer_id"))
    author = document["officer_id"].get<std::string>();
  if (form->is_object("position") && !form->sealed() && !document.contains("position")) {
    document["position"] = {{"source", "none"},
                            {"reason", "typed at a terminal without a position"}};
  }
  drop_item_ids(document);
  json request{{"document", document},
               {"draft", options.draft || !made.complete},
               {"author", author},
               {"lang", session.language}};
  FP_TRY(auto response, client->ask("POST", "/v1/records", request));
  FP_CHECK_OK(try_again_when_full(*client, request, response));
  if (response.status == 422) {
    // What was answered stays: as a draft, with what it lacks.
    const json refusal = json::parse(response.body, nullptr, false);
    request["draft"] = true;
    FP_TRY(const json draft, client->call("POST", "/v1/records", request));
    print_faults(refusal["faults"]);
    const std::string id = draft["id"];
    return fail(Errc::invalid_argument, "not recorded yet, kept as draft " + id +
                                            ": mend it with 'fieldpost-agent edit " + id +
                                            " FIELD=VALUE --finalise'");
  }
  if (response.status >= 400) return error_of(response);
  const json answer = json::parse(response.body, nullptr, false);
  if (!made.complete) {
    const std::string id = answer["id"];
    return fail(Errc::invalid_argument,
                "the input ended before the last question; what was answered is kept as draft " +
                    id + ": go on with 'fieldpost-agent edit " + id + " FIELD=VALUE --finalise'");
  }
  return report_record(session, answer);
}

}  // namespace

void add_record(CLI::App& app, Session& session) {
  auto* command =
      app.add_subcommand("record", "make a record: asks its questions, or takes it as JSON");
  auto options = std::make_shared<RecordArguments>();
  command->add_option("TYPE", options->type, "stop, seizure, case or visit")->required();
  command->add_option("--json,--from", options->json_file,
                      "a document instead of questions: FILE, or - for standard input");
  command->add_flag("--draft", options->draft, "keep it here as a draft, complete or not");
  command->footer(
      "Examples:\n  fieldpost-agent record stop --author NP-2231\n  fieldpost-agent record stop "
      "--lang km\n"
      "  fieldpost-agent record seizure --json seizure.json\n  fieldpost-agent record stop --json "
      "- < stop.json\n"
      "An empty answer takes what stands in [brackets]; '?' lists long choices. Weights are typed "
      "with their unit: 2.5 kg.");
  command->callback([&session, options] {
    session.run([&] {
      return options->json_file.empty() ? record_asking(session, *options)
                                        : record_json(session, *options);
    });
  });
}

}  // namespace fieldpost::agent
