#include <CLI/CLI.hpp>
#include <iostream>
#include <malloc.h>
#include <spdlog/spdlog.h>

#include "agent/cli/session.h"
#include "base/command_line.h"
#include "crypto/crypto.h"

namespace fieldpost::agent {

namespace {

constexpr const char* kFooter = R"(A first day:
  fieldpost-agent enroll hub.example:8443/4k7q-…    with the code the hub's operator gives you
  fieldpost-agent record stop --author NP-2231      asks the questions; --lang km asks in Khmer
  fieldpost-agent status                            what is here, what has reached the hub
  fieldpost-agent sync --once                       when there is a link
  fieldpost-agent run                               stays, and syncs whenever it can

Every option can stand in the environment (FIELDPOST_AGENT_DATA, FIELDPOST_AGENT_AUTHOR, FIELDPOST_AGENT_LANG …) or in
a file given by --config (lines such as: author="NP-2231"). 'fieldpost-agent COMMAND --help' teaches each command.
Exit code: 0 done, 2 the input was at fault, 1 anything else.)";

void add_options(CLI::App& app, Session& session) {
  app.add_option("--data", session.data, "folder with this tablet's keys and records")
      ->envname("FIELDPOST_AGENT_DATA");
  app.add_option("--author", session.author, "badge or staff id of who records")
      ->envname("FIELDPOST_AGENT_AUTHOR");
  app.add_option("--lang", session.language, "language of questions and messages")
      ->envname("FIELDPOST_AGENT_LANG")
      ->check(CLI::IsMember({"en", "km"}));
  app.add_option("--utc-offset", session.utc_offset, "local time of this tablet")
      ->envname("FIELDPOST_AGENT_UTC_OFFSET");
  app.add_option("--keep-days", session.keep_days,
                 "how long own changes stay on this tablet that the hub and all its backups have; "
                 "their records stay")
      ->envname("FIELDPOST_AGENT_KEEP_DAYS")
      ->check(CLI::Range(0, kKeepDaysMax))
      ->capture_default_str();
  app.add_option("--log-level", session.log_level,
                 "of the daemon: trace, debug, info, warn, error, off")
      ->envname("FIELDPOST_AGENT_LOG_LEVEL")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}));
  app.add_flag("--json", session.json, "answer in JSON, for scripts");
  app.set_config("--config", "", "a file of these options")->envname("FIELDPOST_AGENT_CONFIG");
}

}  // namespace

int run_cli(int argc, char** argv) {
  // Two threads of which one allocates: more arenas would only hold memory.
  ::mallopt(M_ARENA_MAX, 1);
  if (auto ready = crypto::init(); !ready) {
    std::cerr << "fieldpost-agent: " << ready.error().message() << '\n';
    return 1;
  }
  Session session;
  CLI::App app(
      "fieldpost-agent: records made on this tablet, kept safe without a link, sent when there is "
      "one");
  app.footer(kFooter);
  app.set_version_flag("--version", kAppVersion);
  app.fallthrough();
  app.require_subcommand(1);
  add_options(app, session);
  for (auto* add : {add_enroll, add_run, add_record, add_edit, add_list, add_show, add_import,
                    add_export, add_status, add_places, add_health}) {
    add(app, session);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForAllHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    std::cerr << "fieldpost-agent: " << printable(usage_fault(app, "fieldpost-agent", error))
              << '\n';
    return 2;
  }
  return session.exit_code;
}

}  // namespace fieldpost::agent
