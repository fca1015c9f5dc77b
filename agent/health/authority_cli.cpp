#include "agent/health/authority_cli.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "agent/cli/session.h"
#include "agent/health/authority.h"
#include "base/command_line.h"
#include "base/text.h"
#include "keys/random.h"
#include "keys/secret_file.h"
#include "schema/document.h"
#include "schema/sealed_json.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

struct HealthArguments {
  std::string folder = "fieldpost-health-keys";
  std::string unit;
  std::string device_key;
  std::string out;
  std::string file;
};

Status write_json(const std::string& out, const json& object) {
  if (out.empty() || out == "-") {
    std::cout << object.dump(2) << '\n';
    return {};
  }
  return keys::write_file_atomically(out, as_bytes(object.dump(2) + "\n"));
}

Status key_init(const HealthArguments& options) {
  FP_TRY(const auto authority, make_authority(options.folder, keys::system_random()));
  std::cout << "Keys made in " << options.folder
            << ": keep this folder on this machine, and a copy in a safe.\nFingerprint: "
            << fingerprint_of(authority.signing.public_key)
            << "\nTell it to each rehab unit in person; their tablets pin it.\n";
  return {};
}

Status key_show(const HealthArguments& options) {
  FP_TRY(const auto authority, load_authority(options.folder));
  std::cout << "Fingerprint: " << fingerprint_of(authority.signing.public_key) << '\n';
  return {};
}

Status unit_add(const HealthArguments& options) {
  FP_TRY(const auto recipients, add_unit(options.folder, options.unit, keys::system_random()));
  FP_CHECK_OK(write_json(options.out, to_json(recipients)));
  std::cerr << "Unit " << recipients.unit << ", key version " << recipients.version << ".\n";
  return {};
}

Status device_admit(const HealthArguments& options) {
  const auto bytes = from_hex(trimmed(options.device_key));
  const auto key = bytes ? crypto::PublicKey::from(*bytes)
                         : Result<crypto::PublicKey>(fail(Errc::malformed, ""));
  if (!key)
    return fail(
        Errc::invalid_argument,
        "--device-key is the 64 letters and digits that 'fieldpost-agent health key' prints");
  FP_TRY(const auto grant, admit_device(options.folder, options.unit, *key, keys::system_random()));
  FP_CHECK_OK(write_json(options.out, to_json(grant)));
  std::cerr << "Device key's fingerprint: " << fingerprint_of(*key)
            << "\nCompare it with the tablet's screen before you hand the grant over; if they "
               "differ, destroy the file.\n";
  return {};
}

Status open_file(const HealthArguments& options) {
  FP_TRY(const auto authority, load_authority(options.folder));
  std::ifstream file;
  if (options.file != "-") {
    // A folder opens like a file, and ends before its first line.
    if (std::filesystem::is_directory(options.file))
      return fail(Errc::invalid_argument, "'" + options.file + "' is a folder: name a file in it");
    file.open(options.file, std::ios::binary);
    if (!file)
      return fail(
          Errc::not_found,
          "'" + options.file + "' cannot be opened: is the name right, and may you read it?");
  }
  std::istream& in = options.file == "-" ? std::cin : file;
  const std::vector<crypto::BoxKeyPair> keys{authority.box};
  std::cerr << "Notice: these are records of treatment. Passing them on is restricted; account for "
               "every disclosure.\n";
  std::size_t opened = 0;
  std::size_t refused = 0;
  std::size_t closed = 0;
  std::string text;
  for (std::size_t line = 1; std::getline(in, text); ++line) {
    if (trimmed(text).empty()) continue;
    auto document = schema::parse_document(text);
    auto left =
        document ? schema::open_sealed(*document, keys) : Result<std::size_t>(document.error());
    if (!left) {
      ++refused;
      std::cerr << "line " << line << ": " << left.error().message() << '\n';
      continue;
    }
    closed += *left;
    ++opened;
    std::cout << document->dump() << '\n';
  }
  std::cerr << opened << " records opened, " << refused << " refused";
  if (closed > 0) std::cerr << ", " << closed << " values sealed to other keys";
  std::cerr << ".\n";
  if (refused > 0)
    return fail(Errc::invalid_argument, std::to_string(refused) + " lines of '" + options.file +
                                            "' could not be opened (named above)");
  return {};
}

int finish(const Status& done) {
  if (done) return 0;
  std::cout.flush();
  std::cerr << "fieldpost-health: "
            << (done.error().detail.empty() ? done.error().message() : done.error().detail) << '\n';
  for (const Errc errc : {Errc::io, Errc::corrupt, Errc::store_full}) {
    if (done.error().is(errc)) return 1;
  }
  return 2;
}

}  // namespace

int run_health_cli(int argc, char** argv) {
  if (auto ready = crypto::init(); !ready) return finish(ready);
  HealthArguments options;
  int exit_code = 0;
  CLI::App app(
      "fieldpost-health: the health authority's keys, on its own machine; no hub and no network "
      "needed");
  app.require_subcommand(1);
  app.footer(
      "How a rehab unit begins:\n  fieldpost-health key init --dir KEYS                       "
      "once; tell the fingerprint in person\n"
      "  fieldpost-health unit add 02-MRU1 --dir KEYS --out recipients.json\n"
      "  fieldpost-health device admit --dir KEYS --unit 02-MRU1 --device-key HEX --out "
      "grant.json\n"
      "  (on the tablet) fieldpost-agent health accept grant.json --authority FINGERPRINT\n"
      "  fieldpost-health open --dir KEYS visits.ndjson             reads an export of sealed "
      "visits");
  const auto folder = [&](CLI::App* command) {
    command->add_option("--dir", options.folder, "folder with the authority's keys")
        ->envname("FIELDPOST_HEALTH_DIR");
  };
  const auto bind = [&](CLI::App* command, Status (*body)(const HealthArguments&)) {
    folder(command);
    command->callback([&options, &exit_code, body] { exit_code = finish(body(options)); });
  };
  auto* key = app.add_subcommand("key", "the authority's own keys");
  key->require_subcommand(1);
  bind(key->add_subcommand("init", "make them"), key_init);
  bind(key->add_subcommand("show", "print the fingerprint"), key_show);
  auto* unit = app.add_subcommand("unit", "the keys of rehab units");
  unit->require_subcommand(1);
  auto* add = unit->add_subcommand("add", "make a unit's key, or its next version");
  add->add_option("CODE", options.unit, "such as 02-MRU1")->required();
  add->add_option("--out", options.out, "where the signed statement goes; else it is printed");
  bind(add, unit_add);
  auto* device = app.add_subcommand("device", "the tablets of rehab units");
  device->require_subcommand(1);
  auto* admit = device->add_subcommand("admit", "seal the unit's key to a tablet");
  admit->add_option("--unit", options.unit, "such as 02-MRU1")->required();
  admit->add_option("--device-key", options.device_key, "as 'fieldpost-agent health key' prints it")
      ->required();
  admit->add_option("--out", options.out, "where the grant goes; else it is printed");
  bind(admit, device_admit);
  auto* open = app.add_subcommand("open", "read an export of sealed visits (NDJSON)");
  open->add_option("FILE", options.file, "the export, or - for standard input")->required();
  bind(open, open_file);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    std::cerr << "fieldpost-health: " << printable(usage_fault(app, "fieldpost-health", error))
              << '\n';
    return 2;
  }
  return exit_code;
}

}  // namespace fieldpost::agent
