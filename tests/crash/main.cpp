// Kills, lost power and failing disks at every boundary, for a tablet's store and a hub's. See docs/testing.md.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <sys/stat.h>

#include "crypto/crypto.h"
#include "tests/crash/trial.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace fieldpost;
using namespace fieldpost::crash;

constexpr const char* kUsage =
    "usage: fieldpost-crash [agent|hub] [--quick] [--changes N] [--only TRIAL] [--json FILE]\n"
    "'scripts/crash --help' explains it.\n";

struct Arguments {
  Options options;
  std::string subject;
  std::string json;
  std::uint64_t changes = 0;
  std::string workload;  ///< the options that say which it is
};

Arguments parse(int argc, char** argv) {
  Arguments out;
  const auto value = [&](int& i) -> std::string {
    if (i + 1 >= argc) throw std::invalid_argument(std::string(argv[i]) + " needs a value");
    return argv[++i];
  };
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--quick")
      out.options.quick = true;
    else if (argument == "--only")
      out.options.only = value(i);
    else if (argument == "--json")
      out.json = value(i);
    else if (argument == "--changes")
      out.changes = std::stoull(value(i));
    else if (argument == "agent" || argument == "hub")
      out.subject = argument;
    else
      throw std::invalid_argument("unknown argument '" + argument + "'");
  }
  if (out.options.quick) out.workload += "--quick ";
  if (out.changes != 0) out.workload += "--changes " + std::to_string(out.changes) + " ";
  if (out.changes == 0) out.changes = out.options.quick ? 20 : 1000;
  return out;
}

void run(const Arguments& arguments, Subject& subject, Account& account) {
  if (!arguments.options.near(subject.name())) return;
  const test::TempDir dir;
  const auto workload =
      record(subject, dir.path(), arguments.changes, arguments.options.quick ? 20 : 50);
  if (!workload) throw std::runtime_error(subject.name() + ": " + workload.error().message());
  account.count("workload.operations", workload->operations.size());
  account.count("workload.changes", workload->changes);
  try_kills(*workload, dir.path(), arguments.options, account);
  try_power(*workload, dir.path(), arguments.options, account);
  try_errors(*workload, dir.path(), arguments.options, account);
  try_full_maps(*workload, subject, dir.path(), arguments.options, account);
}

}  // namespace

int main(int argc, char** argv) {
  ::umask(077);
  prefer_memory();
  if (!crypto::init()) return 2;
  try {
    const Arguments arguments = parse(argc, argv);
    Account account(arguments.workload);
    for (const auto& subject : {agent_subject(), hub_subject()}) {
      if (arguments.subject.empty() || arguments.subject == subject->name())
        run(arguments, *subject, account);
    }
    for (const auto& [what, times] : account.counts())
      std::printf("%-28s %llu\n", what.c_str(), static_cast<unsigned long long>(times));
    std::printf("%-28s %zu\n", "violations", account.violations().size());
    if (!arguments.json.empty()) {
      std::ofstream file(arguments.json);
      file << account.json();
      if (!file.flush()) throw std::runtime_error(arguments.json + " cannot be written");
    }
    return account.violations().empty() ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "fieldpost-crash: " << error.what() << '\n' << kUsage;
    return 2;
  }
}
