// fieldpost-hub: the command line. Every command but init, run and doctor is a request to the API.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "base/command_line.h"
#include "base/text.h"
#include "hub/cli/backup.h"
#include "hub/cli/client.h"
#include "hub/cli/doctor.h"
#include "hub/cli/export.h"
#include "hub/cli/print.h"
#include "hub/cli/recovery.h"
#include "hub/cli/retention.h"
#include "hub/store/certificate.h"
#include "keys/clock.h"
#include "keys/random.h"
#include "net/http.h"

namespace {

using namespace fieldpost;
using namespace fieldpost::hub;
using nlohmann::json;

int complain(const Error& error) {
  std::string sentence = error.detail.empty() ? error.message() : error.detail;
  // It may repeat what was typed or stored: harmless on a terminal, and one line.
  for (char& c : sentence) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  std::fprintf(stderr, "fieldpost-hub: %s\n", sentence.c_str());
  const bool input = error.is(Errc::invalid_argument) || error.is(Errc::malformed) ||
                     error.is(Errc::not_found) || error.is(Errc::already_exists) ||
                     error.is(Errc::too_large) || error.is(Errc::unsupported);
  return input ? 2 : 1;
}

struct Options {
  std::string data;
  bool as_json = false;
  bool all = false;
  bool history = false;
  Settings settings;
  RunOptions run;
  std::string code, name, unit, compartment = "enforcement", id, path, choose, value, note, change,
                                after, type, author, file;
  BackupSettings backup;
  BackupCheck check;
  Restoring restoring;
  bool full = false;
  std::uint64_t valid_minutes = 24 * 60;
  std::size_t limit = 100;
  std::optional<int> days;
  bool clock_is_right = false;
};

using Printer = void (*)(const json&);

int show(const Options& o, const Result<json>& answer, Printer print) {
  if (!answer) return complain(answer.error());
  if (o.as_json)
    std::printf("%s\n", answer->dump(2, ' ', false, json::error_handler_t::replace).c_str());
  else
    print(*answer);
  return 0;
}

std::string records_target(const Options& o) {
  return net::make_target(
      {"v1", "records"},
      {{"limit", std::to_string(o.limit)}, {"unit", o.unit}, {"type", o.type}, {"after", o.after}});
}

int init_command(const Options& o) {
  if (auto made = init(o.data, o.settings, keys::system_random(), keys::system_now()); !made)
    return complain(made.error());
  std::printf("Made hub %s in %s.\nNext:  fieldpost-hub --data %s run\n", o.settings.name.c_str(),
              o.data.c_str(), o.data.c_str());
  return 0;
}

int resolve_command(const Options& o) {
  json body = {{"path", o.path}, {"note", o.note}};
  if (!o.author.empty()) body["author"] = o.author;
  if (!o.choose.empty()) body["choose"] = o.choose;
  if (!o.value.empty()) {
    json value = json::parse(o.value, nullptr, false);
    body["value"] = value.is_discarded() ? json(o.value) : value;
  }
  return show(
      o, Client(o.data).call("POST", net::make_target({"v1", "records", o.id, "resolve"}), body),
      print_record);
}

int ruling_command(const Options& o, const std::string& ruling) {
  const auto colon = o.change.find(':');
  const auto counter = integer_from_text(o.change.substr(std::min(colon, o.change.size() - 1) + 1));
  if (colon == std::string::npos || !actor_from_text(o.change.substr(0, colon)) || !counter)
    return complain(fail(Errc::invalid_argument,
                         "'" + o.change +
                             "' names no change: write ACTOR:COUNTER (16 hexadecimal digits, a "
                             "number), as `fieldpost-hub quarantine list` shows it"));
  json body = {{"ruling", ruling}, {"note", o.note}};
  if (!o.author.empty()) body["author"] = o.author;
  const auto answer = Client(o.data).call(
      "POST",
      net::make_target({"v1", "quarantine", o.change.substr(0, colon), o.change.substr(colon + 1)}),
      body);
  return show(o, answer, [](const json& result) {
    if (result["settled"].get<bool>())
      std::printf("Settled: %s.\n", result["ruling"].get<std::string>().c_str());
    else
      std::printf("Stays in quarantine: %s\n", result["reason"].get<std::string>().c_str());
  });
}

/// Exit code 1 when a record was left undecided.
int recovery_command(const Options& o, const std::string& decision) {
  if (o.all == !o.id.empty())
    return complain(
        fail(Errc::invalid_argument,
             o.all ? "name a record's id or say --all, not both"
                   : "name a record's id, as `fieldpost-hub recovery` lists it, or say --all"));
  Client client(o.data);
  const auto answer =
      decide_recovery(client, {decision, o.all ? std::string() : o.id, o.note, o.author});
  const int shown = show(o, answer, print_decided);
  return shown == 0 && !(*answer)["refused"].empty() ? 1 : shown;
}

int verify_command(const Options& o) {
  const auto answer = Client(o.data).call("POST", "/v1/verify");
  const int shown = show(o, answer, print_verify);
  return shown == 0 && !(*answer)["verified"].get<bool>() ? 1 : shown;
}

int repair_command(const Options& o) {
  const auto answer = Client(o.data).call("POST", "/v1/repair");
  const int shown = show(o, answer, print_repair);
  return shown == 0 && !(*answer)["sound"].get<bool>() ? 1 : shown;
}

int export_sealed_command(const Options& o) {
  Client client(o.data);
  const auto count = export_sealed(client, {o.file, o.unit});
  if (!count) return complain(count.error());
  // The figures go where they do not stand among the lines.
  std::FILE* out = o.file == "-" ? stderr : stdout;
  if (o.as_json)
    std::fprintf(out, "%s\n", json{{"visits", *count}, {"file", o.file}}.dump().c_str());
  else
    std::fprintf(
        out,
        "%llu sealed visits. On the health authority's own machine:  fieldpost-health open "
        "--dir KEYS %s\n",
        static_cast<unsigned long long>(*count), o.file.c_str());
  return 0;
}

int renew_command(const Options& o) {
  const auto settings = load_settings(o.data);
  if (!settings) return complain(settings.error());
  const auto made =
      renew_certificate(std::filesystem::path(o.data) / "keys", certificate_names(settings->name),
                        {keys::system_now(), o.days, o.clock_is_right});
  if (!made) return complain(made.error());
  const auto run = running(o.data);
  // The lock on run.json says that this process is the hub.
  const bool told = run && ::kill(run->pid, SIGHUP) == 0;
  if (o.as_json) {
    std::printf("%s\n", json{{"valid_until", to_text(made->new_end)},
                             {"replaces_valid_until", to_text(made->old_end)},
                             {"running_hub_told", told}}
                            .dump()
                            .c_str());
  } else {
    std::printf("Renewed: the certificate is valid until %s (the old one until %s).\n%s\n",
                to_text(made->new_end).c_str(), to_text(made->old_end).c_str(),
                told ? "The running hub shows it to whom connects from now on; nobody is cut off."
                     : "The hub shows it from its next start on.");
  }
  return 0;
}

int doctor_command(const Options& o) {
  const auto faults = doctor(o.data);
  if (!faults) return complain(faults.error());
  return *faults == 0 ? 0 : 1;
}

void add_device_commands(CLI::App& app, Options& o, int& code) {
  auto* unit = app.add_subcommand("unit", "Checkpoints and rehab units")->require_subcommand(1);
  auto* unit_add = unit->add_subcommand(
      "add", "Add a unit, or rename it. Example: unit add 01-PPT --name Poipet");
  unit_add->add_option("code", o.code, "Province number, dash, capitals: 01-PPT")->required();
  unit_add->add_option("--name", o.name, "Name for people");
  unit_add->add_option("--compartment", o.compartment, "enforcement or health")
      ->check(CLI::IsMember({"enforcement", "health"}))
      ->capture_default_str();
  unit_add->callback([&] {
    json body = {{"compartment", o.compartment}};
    if (!o.name.empty()) body["name"] = o.name;
    code = show(o, Client(o.data).call("PUT", net::make_target({"v1", "units", o.code}), body),
                [](const json& u) {
                  std::printf("Unit %s is known.\n", u["code"].get<std::string>().c_str());
                });
  });
  unit->add_subcommand("list", "List the units")->callback([&] {
    code = show(o, Client(o.data).call("GET", "/v1/units"), print_units);
  });
  auto* device = app.add_subcommand("device", "Tablets")->require_subcommand(1);
  auto* invite = device->add_subcommand(
      "invite", "Make a single-use enrolment code. Example: device invite T07 --unit 01-PPT");
  invite->add_option("name", o.name, "1–8 capitals or digits; becomes part of reference numbers")
      ->required();
  invite->add_option("--unit", o.unit, "The unit it belongs to")->required();
  invite->add_option("--valid-minutes", o.valid_minutes, "How long the code may be used")
      ->check(CLI::Range(1, 7 * 24 * 60))
      ->capture_default_str();
  invite->callback([&] {
    const json body = {{"name", o.name}, {"unit", o.unit}, {"valid_minutes", o.valid_minutes}};
    code = show(o, Client(o.data).call("POST", "/v1/invitations", body), print_invitation);
  });
  device->add_subcommand("list", "List the devices and when each was last heard")->callback([&] {
    code = show(o, Client(o.data).call("GET", "/v1/devices"), print_devices);
  });
  auto* move = device->add_subcommand(
      "move", "Give a device to another unit. Example: device move T07 --unit 01-BVL");
  move->add_option("name", o.name, "As `device list` names it, or its id")->required();
  move->add_option("--unit", o.unit, "The unit it belongs to from now on")->required();
  move->callback([&] {
    code = show(o,
                Client(o.data).call("POST", net::make_target({"v1", "devices", o.name, "move"}),
                                    {{"unit", o.unit}}),
                print_device);
  });
  auto* one = device->add_subcommand(
      "show",
      "One device: what the hub knows of it, and its compare code. Example: device show T07");
  one->add_option("name", o.name, "As `device list` names it, or its id")->required();
  one->callback([&] {
    code = show(o, Client(o.data).call("GET", net::make_target({"v1", "devices", o.name})),
                print_device);
  });
}

void add_record_commands(CLI::App& app, Options& o, int& code) {
  auto* records = app.add_subcommand("records", "List records, or show one: records [ID]");
  records->add_option("id", o.id, "A record's id: show it whole");
  records->add_option("--unit", o.unit, "Only this unit");
  records->add_option("--type", o.type, "stop, seizure, case or visit");
  records->add_option("--after", o.after, "Continue after this id");
  records->add_option("--limit", o.limit, "At most this many")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  records->add_flag("--history", o.history, "Every change received for the record that ID names");
  records->callback([&] {
    if (o.id.empty() && o.history)
      code = complain(fail(Errc::invalid_argument,
                           "--history is of one record: records ID --history; `fieldpost-hub "
                           "records` lists the ids"));
    else if (o.id.empty())
      code = show(o, Client(o.data).call("GET", records_target(o)), print_records);
    else if (o.history)
      code =
          show(o, Client(o.data).call("GET", net::make_target({"v1", "records", o.id, "history"})),
               print_history);
    else
      code = show(o, Client(o.data).call("GET", net::make_target({"v1", "records", o.id})),
                  print_record);
  });
  app.add_subcommand("conflicts", "Fields that two tablets set without knowing of each other")
      ->callback(
          [&] { code = show(o, Client(o.data).whole("conflicts", "records"), print_conflicts); });
  auto* resolve = app.add_subcommand(
      "resolve",
      "Settle a conflict. Example: resolve ID outcome --choose ACTOR:COUNTER --note WHY");
  resolve->add_option("id", o.id, "The record, as `conflicts` names it")->required();
  resolve->add_option("path", o.path, "The field, as `conflicts` names it")->required();
  auto* choose = resolve->add_option("--choose", o.choose, "ACTOR:COUNTER of the value that holds");
  resolve->add_option("--value", o.value, "Another value (JSON, or plain text)")->excludes(choose);
  resolve->add_option("--note", o.note, "Why")->required();
  resolve->add_option("--author", o.author, "Who decides; \"hub-operator\" without it");
  resolve->callback([&] { code = resolve_command(o); });
  app.add_subcommand("held", "Changes that wait for their predecessors")->callback([&] {
    code = show(o, Client(o.data).whole("held", "held"), print_held);
  });
}

void add_export_commands(CLI::App& app, Options& o, int& code) {
  auto* out = app.add_subcommand("export", "Hand on what the hub holds")->require_subcommand(1);
  auto* sealed = out->add_subcommand(
      "sealed",
      "The visits, sealed as they are, for the health authority; the hub cannot read them. "
      "Example: export sealed visits.ndjson");
  sealed->add_option("FILE", o.file, "A new file, for your eyes only (0600); - for standard output")
      ->required();
  sealed->add_option("--unit", o.unit, "Only this rehab unit");
  sealed->callback([&] { code = export_sealed_command(o); });
}

void add_quarantine_commands(CLI::App& app, Options& o, int& code) {
  auto* quarantine = app.add_subcommand(
      "quarantine", "Changes that were kept but not merged, and what to do with them");
  quarantine->require_subcommand(0, 1);
  quarantine->callback([&, quarantine] {
    if (quarantine->get_subcommands().empty())
      code = show(o, Client(o.data).whole("quarantine", "quarantine"), print_quarantine);
  });
  quarantine->add_subcommand("list", "List them")->callback([&] {
    code = show(o, Client(o.data).whole("quarantine", "quarantine"), print_quarantine);
  });
  const std::pair<const char*, const char*> rulings[] = {
      {"retry",
       "Check again with the forms of today. Example: quarantine retry e50694c735266d24:1"},
      {"accept",
       "Merge it although it breaks its form. Example: quarantine accept e50694c735266d24:1 --note "
       "\"seen on paper\""},
      {"reject",
       "Merge and undo it in one commit, so that everyone agrees. Example: quarantine reject "
       "e50694c735266d24:1 --note \"a test\""}};
  for (const auto& [ruling, help] : rulings) {
    auto* command = quarantine->add_subcommand(ruling, help);
    command->add_option("change", o.change, "ACTOR:COUNTER, as `quarantine` lists it")->required();
    command->add_option("--note", o.note, "Why")->required(std::string(ruling) != "retry");
    command->add_option("--author", o.author, "Who decides; \"hub-operator\" without it");
    command->callback([&, ruling = std::string(ruling)] { code = ruling_command(o, ruling); });
  }
}

void add_recovery_commands(CLI::App& app, Options& o, int& code) {
  auto* recovery = app.add_subcommand("recovery",
                                      "After the hub was put back: what tablets still hold and it "
                                      "has lost. Without a command: list it");
  recovery->require_subcommand(0, 1);
  recovery->callback([&, recovery] {
    if (recovery->get_subcommands().empty())
      code = show(o, Client(o.data).whole("recovery", "recovery"), print_recovery);
  });
  recovery
      ->add_subcommand("list",
                       "List it: which records, whose copies, since when, and what waits for them")
      ->callback(
          [&] { code = show(o, Client(o.data).whole("recovery", "recovery"), print_recovery); });
  struct Decision {
    const char* name;
    const char* help;
    const char* all;
  };
  constexpr Decision kDecisions[] = {
      {"join",
       "Make the tablets' copies part of the record, marked as recovered: their authors' "
       "signatures "
       "are lost. First let every tablet sync that may come. Example: recovery join ID --note "
       "\"T01 burnt\"",
       "Every record that the hub lacks something of"},
      {"refuse",
       "Keep the copies aside for good; tablets go on saying \"lost at the hub, kept here\". "
       "Example: recovery refuse ID --note \"a test record\"",
       "Every record that the hub lacks something of"},
      {"release",
       "Give up what a record's held changes wait for, and merge them without it. Not while a "
       "copy has it (join or refuse that) or it is in quarantine (settle that). Example: recovery "
       "release ID --note \"T01 burnt, nobody has it\"",
       "Every record with held changes"}};
  for (const Decision& decision : kDecisions) {
    auto* command = recovery->add_subcommand(decision.name, decision.help);
    auto* id = command->add_option("id", o.id, "The record, as `recovery` or `held` lists it");
    command->add_flag("--all", o.all, decision.all)->excludes(id);
    command->add_option("--note", o.note, "Why; it stays with the record")->required();
    command->add_option("--author", o.author, "Who decides; \"hub-operator\" without it");
    command->callback([&, name = std::string(decision.name)] { code = recovery_command(o, name); });
  }
}

void add_retention_commands(CLI::App& app, Options& o, int& code) {
  auto* retention = app.add_subcommand("retention", "How long records are kept, and erasing them")
                        ->require_subcommand(1);
  retention->add_subcommand("show", "The rules of hub.json, and what was erased by them")
      ->callback(
          [&] { code = show(o, Client(o.data).call("GET", "/v1/retention"), print_retention); });
  retention->add_subcommand("plan", "What is due and what keeps the rest; nothing is erased")
      ->callback([&] {
        code = show(o, Client(o.data).call("GET", "/v1/retention/plan"), print_retention_plan);
      });
  auto* run = retention->add_subcommand("run", "Erase what is due");
  run->add_option("--by", o.author, "Who orders it");
  run->callback([&] {
    json body = json::object();
    if (!o.author.empty()) body["author"] = o.author;
    code = show(o, Client(o.data).call("POST", "/v1/retention/run", body), print_retention_run);
  });
  auto* hold = app.add_subcommand("hold", "Legal holds: records that no rule may erase")
                   ->require_subcommand(1);
  auto* add = hold->add_subcommand(
      "add",
      "Keep a record and all it leads to (a case: its stops and seizures). Example: hold add ID "
      "--reason \"court case 71/2026\" --by prosecutor-3");
  add->add_option("record", o.id, "A record's id")->required();
  add->add_option("--reason", o.note, "Why")->required();
  add->add_option("--by", o.author, "Who says so")->required();
  add->callback([&] {
    const json body = {{"record", o.id}, {"reason", o.note}, {"author", o.author}};
    code = show(o, Client(o.data).call("POST", "/v1/holds", body), print_hold);
  });
  hold->add_subcommand("list", "All that were ever put, lifted ones too")->callback([&] {
    code = show(o, Client(o.data).call("GET", "/v1/holds"), print_holds);
  });
  auto* lift = hold->add_subcommand("lift", "Lift one; it stays on the list");
  lift->add_option("id", o.id, "Of the hold, as `hold list` shows it")->required();
  lift->add_option("--reason", o.note, "Why")->required();
  lift->add_option("--by", o.author, "Who says so")->required();
  lift->callback([&] {
    const json body = {{"reason", o.note}, {"author", o.author}};
    code =
        show(o, Client(o.data).call("POST", net::make_target({"v1", "holds", o.id, "lift"}), body),
             print_hold);
  });
}

int backup_verify_command(const Options& o) {
  const auto answer = backup_verify(o.data, o.check);
  const int shown = show(o, answer, print_backup_verify);
  return shown == 0 && !(*answer)["verified"].get<bool>() ? 1 : shown;
}

void add_backup_commands(CLI::App& app, Options& o, int& code) {
  auto* backup = app.add_subcommand("backup", "Sealed backups of this hub")->require_subcommand(1);
  auto* key = backup->add_subcommand(
      "key",
      "Make the recovery key, which alone opens the backups. Example: backup key --out "
      "recovery.txt");
  key->add_option("--out", o.file, "A new file (0600), to be carried to a safe")->required();
  key->callback([&] { code = show(o, backup_key(o.data, o.file), print_backup_key); });
  auto* setup = backup->add_subcommand(
      "setup",
      "Say where backups go and how often; makes the folder. Example: backup setup "
      "--directory /mnt/backup/fieldpost");
  setup->add_option("--directory", o.backup.directory, "A folder, on another disk than the hub's")
      ->required();
  setup->add_option("--every-hours", o.backup.every_hours, "1 to 8760")->capture_default_str();
  setup->add_option("--keep", o.backup.keep, "So many stay; older ones are removed")
      ->capture_default_str();
  setup->callback([&] { code = show(o, backup_setup(o.data, o.backup), print_backup_setup); });
  auto* run = backup->add_subcommand("run", "Make one now and wait for it");
  run->add_flag("--full", o.full,
                "Also read every file of the repository again, and write anew what is damaged");
  run->callback([&] {
    code =
        show(o, Client(o.data).call("POST", "/v1/backup", {{"full", o.full}}), print_backup_made);
  });
  backup->add_subcommand("list", "The backups that are there")->callback([&] {
    code = show(o, Client(o.data).call("GET", "/v1/backups"), print_backups);
  });
  auto* verify = backup->add_subcommand(
      "verify", "Read a backup whole and check that it would restore: verify [NUMBER]");
  auto* number =
      verify->add_option("number", o.check.number, "As `backup list` names it; the newest");
  verify->add_flag("--all", o.check.all, "Every backup")->excludes(number);
  verify->add_option("--from", o.check.from, "A repository, with --key: needs no hub");
  verify->add_option("--key", o.check.key, "File of the recovery key");
  verify->callback([&] { code = backup_verify_command(o); });
  auto* restore = app.add_subcommand(
      "restore",
      "Make a hub again from its backups. Example: restore --from /mnt/backup/fieldpost "
      "--key recovery.txt --data /srv/fieldpost");
  restore->add_option("--from", o.restoring.from, "The repository")->required();
  restore->add_option("--key", o.restoring.key, "File of the recovery key")->required();
  restore->add_option("--backup", o.restoring.number, "Its number, or latest")
      ->capture_default_str();
  restore->callback([&] { code = show(o, restore_hub(o.data, o.restoring), print_restored); });
}

void add_hub_commands(CLI::App& app, Options& o, int& code) {
  auto* make = app.add_subcommand(
      "init",
      "Make a hub: keys, certificate authority, stores. Example: init --name hub.example.org");
  make->add_option("--name", o.settings.name,
                   "Host name or IP address under which tablets reach it")
      ->required();
  make->add_option("--listen", o.settings.listen, "Address to listen on")->capture_default_str();
  make->add_option("--port", o.settings.port, "Port to listen on")->capture_default_str();
  make->callback([&] { code = init_command(o); });
  auto* run = app.add_subcommand("run", "Run the hub until SIGTERM or Ctrl-C");
  run->add_option("--listen", o.run.listen, "Instead of the one in hub.json");
  run->add_option("--port", o.run.port, "Instead of the one in hub.json; 0 takes any free one");
  run->add_option("--threads", o.run.threads, "Network threads; 0: one per core");
  run->add_flag("--new-epoch", o.run.new_epoch,
                "After the data was put back by other means than `restore` (a disk image, say)");
  run->callback([&] {
    const auto done = run_hub(o.data, o.run);
    code = done ? 0 : complain(done.error());
  });
  auto* certificate = app.add_subcommand("certificate", "The TLS certificate that tablets see")
                          ->require_subcommand(1);
  auto* renew = certificate->add_subcommand(
      "renew",
      "Make a new key and certificate, signed by the hub's own authority; tablets notice nothing. "
      "Example: certificate renew");
  renew
      ->add_option("--days", o.days,
                   "How long it is to be valid; 365, and never less than the present one has left")
      ->check(CLI::Range(1, 3650));
  renew->add_flag("--clock-is-right", o.clock_is_right,
                  "Your word that this machine's clock is right although the present certificate "
                  "begins later: it was made while the clock was ahead");
  renew->callback([&] { code = renew_command(o); });
  app.add_subcommand("status", "Counts, connections, sizes")->callback([&] {
    code = show(o, Client(o.data).call("GET", "/v1/status"), print_status);
  });
  app.add_subcommand("verify", "Recompute every hash chain, signature and record")->callback([&] {
    code = verify_command(o);
  });
  app.add_subcommand("repair", "Read everything stored; rebuild damaged records from their changes")
      ->callback([&] { code = repair_command(o); });
  app.add_subcommand("damaged", "What the disk damaged, and what became of it")->callback([&] {
    code = show(o, Client(o.data).call("GET", "/v1/damaged"), print_damaged);
  });
  app.add_subcommand("doctor", "Look for what an operator should mend")->callback([&] {
    code = doctor_command(o);
  });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "fieldpost-hub: receives, merges and proves the records of field tablets.\n\n"
      "A first hub:\n  fieldpost-hub init --name HOST\n  fieldpost-hub unit add 01-PPT --name "
      "Poipet\n"
      "  fieldpost-hub run &\n  fieldpost-hub device invite T07 --unit 01-PPT"};
  app.footer(
      "Each command teaches itself: fieldpost-hub COMMAND --help. docs/operations.md says what to "
      "do when.\nExit code: 0 done; 2 the command or its input is at fault; 1 anything else: "
      "something is to be\nmended, or it may not be done as things stand.");
  Options o;
  int code = 0;
  const char* home = std::getenv("HOME");
  o.data = std::string(home != nullptr ? home : ".") + "/.local/share/fieldpost-hub";
  app.add_option("--data", o.data, "Data directory")
      ->envname("FIELDPOST_HUB_DATA")
      ->capture_default_str();
  app.set_config("--config", "", "Read options from this file");
  app.add_flag("--json", o.as_json, "Print the API's answer as JSON");
  app.set_version_flag("--version", FIELDPOST_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  if (auto ready = crypto::init(); !ready) return complain(ready.error());
  add_hub_commands(app, o, code);
  add_device_commands(app, o, code);
  add_record_commands(app, o, code);
  add_quarantine_commands(app, o, code);
  add_recovery_commands(app, o, code);
  add_export_commands(app, o, code);
  add_backup_commands(app, o, code);
  add_retention_commands(app, o, code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // help, version
    return complain(fail(Errc::invalid_argument, usage_fault(app, "fieldpost-hub", error)));
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "fieldpost-hub: out of memory\n");
    return 1;
  }
  return code;
}
