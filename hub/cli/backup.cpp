#include "hub/cli/backup.h"

#include <algorithm>
#include <cstdio>
#include <sys/stat.h>

#include "base/text.h"
#include "hub/backup/backup.h"
#include "hub/backup/ledger.h"
#include "hub/backup/read.h"
#include "keys/clock.h"
#include "keys/random.h"

namespace fieldpost::hub {

using nlohmann::json;

namespace {

constexpr std::uint64_t kToldEveryBytes = std::uint64_t{256} << 20;

constexpr const char* kOneVolume =
    "the backups lie on the volume of the hub's data: one dead disk takes both";

bool on_one_volume(const fs::path& directory, const fs::path& backups) {
  struct stat ours {};
  struct stat theirs {};
  return ::stat(directory.c_str(), &ours) == 0 && ::stat(backups.c_str(), &theirs) == 0 &&
         ours.st_dev == theirs.st_dev;
}

Result<HubId> hub_id(const Keys& keys) { return HubId::from(keys.signing.public_key.view()); }

backup::Progress told_to(const char* doing, std::uint64_t whole) {
  return [doing, whole, told = std::uint64_t{0}](std::uint64_t bytes) mutable {
    if (bytes < told + kToldEveryBytes) return;
    told = bytes - bytes % kToldEveryBytes;
    std::fprintf(stderr, "%s: %llu of %llu MiB\n", doing,
                 static_cast<unsigned long long>(bytes >> 20),
                 static_cast<unsigned long long>(whole >> 20));
  };
}

Result<backup::Repository> by_recovery_key(const std::string& from, const std::string& key) {
  FP_TRY(const Bytes text, keys::read_file(key, keys::kSecretFileBytesMax));
  FP_TRY(const backup::RecoveryKey recovery, backup::recovery_from_text(as_text(text)));
  return backup::Repository::recover(from, recovery, keys::system_random());
}

Result<backup::Repository> of_hub(const fs::path& directory) {
  FP_TRY(const Settings settings, load_settings(directory));
  if (!settings.backup)
    return fail(Errc::not_found,
                "no backups are configured; begin with: fieldpost-hub backup key --out FILE");
  FP_TRY(const Keys keys, load_keys(directory));
  FP_TRY(const HubId hub, hub_id(keys));
  FP_TRY(const backup::HubBackupKeys own, backup::load_backup_keys(directory));
  return backup::Repository::open(settings.backup->directory, hub, own, keys::system_random());
}

/// Which backups are meant: one number, all, or the newest.
Result<std::vector<std::uint64_t>> chosen(const backup::Repository& repository,
                                          const std::string& number, bool all) {
  FP_TRY(auto numbers, repository.numbers());
  if (numbers.empty())
    return fail(Errc::not_found, repository.folder().string() + " holds no backup yet");
  if (all) return numbers;
  if (number.empty() || number == "latest") return std::vector<std::uint64_t>{numbers.back()};
  const auto wanted = integer_from_text(number);
  if (!wanted || *wanted < 1 ||
      !std::binary_search(numbers.begin(), numbers.end(), static_cast<std::uint64_t>(*wanted))) {
    return fail(Errc::not_found, "there is no backup " + number + "; there are " +
                                     std::to_string(numbers.front()) + " to " +
                                     std::to_string(numbers.back()));
  }
  return std::vector<std::uint64_t>{static_cast<std::uint64_t>(*wanted)};
}

struct Choice {
  backup::Manifest manifest;
  std::vector<std::string> passed_over;  ///< newer ones, each with why it cannot be restored
};

Result<Choice> to_restore(backup::Repository& repository, const std::string& number) {
  Choice choice;
  if (number != "latest") {
    FP_TRY(const auto numbers, chosen(repository, number, false));
    FP_TRY(choice.manifest, repository.manifest(numbers.front()));
    return choice;
  }
  FP_TRY(auto backups, backup::list_backups(repository));
  for (auto at = backups.rbegin(); at != backups.rend(); ++at) {
    if (at->restorable()) {
      choice.manifest = *std::move(at->manifest);
      return choice;
    }
    choice.passed_over.push_back(std::to_string(at->number) + ": " + at->fault);
  }
  if (backups.empty())
    return fail(Errc::not_found, repository.folder().string() + " holds no backup yet");
  return fail(Errc::corrupt,
              "none of the backups can be restored; the newest is " + choice.passed_over.front());
}

std::string age(std::int64_t ms) {
  if (ms < 0) return "in the future by the hub's clock";
  const std::int64_t minutes = ms / 60'000;
  if (minutes < 120) return std::to_string(minutes) + " minutes old";
  return std::to_string(minutes / 60) + " hours old";
}

std::string size_text(std::uint64_t bytes) {
  if (bytes < 10'000) return std::to_string(bytes) + " bytes";
  return bytes < (std::uint64_t{10} << 20) ? std::to_string(bytes >> 10) + " KiB"
                                           : std::to_string(bytes >> 20) + " MiB";
}

std::string shown(const json& value) {
  std::string out = value.is_string() ? value.get<std::string>() : value.dump();
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return out;
}

void say(const std::string& content) { std::printf("%s\n", content.c_str()); }

}  // namespace

// ---- doing ----

Result<json> backup_key(const fs::path& directory, const fs::path& out) {
  FP_TRY(const Settings settings, load_settings(directory));
  std::error_code ignored;
  const fs::path place = fs::weakly_canonical(fs::absolute(out), ignored).parent_path();
  const fs::path own = fs::weakly_canonical(fs::absolute(directory), ignored);
  if (std::mismatch(own.begin(), own.end(), place.begin(), place.end()).first == own.end())
    return fail(Errc::invalid_argument,
                out.string() +
                    " lies inside the hub's own folder: the recovery key has to be "
                    "elsewhere when that is lost; name a file outside");
  FP_TRY(const backup::HubBackupKeys made,
         backup::make_backup_keys(directory, out, settings.name, keys::system_random()));
  FP_TRY(const Bytes file, keys::read_file(out, keys::kSecretFileBytesMax));
  FP_TRY(const backup::RecoveryKey key, backup::recovery_from_text(as_text(file)));
  return json{{"recovery_key", backup::recovery_name(made.recovery)},
              {"file", out.string()},
              {"text", backup::recovery_text(key)}};
}

Result<json> backup_setup(const fs::path& directory, const BackupSettings& wanted) {
  BackupSettings backup = wanted;
  backup.directory = fs::absolute(backup.directory).lexically_normal().string();
  FP_TRY(const Settings settings, load_settings(directory));
  FP_TRY(const Keys keys, load_keys(directory));
  FP_TRY(const HubId hub, hub_id(keys));
  FP_TRY(const backup::HubBackupKeys own, backup::load_backup_keys(directory));
  FP_CHECK_OK(check_backup_settings(backup));
  FP_CHECK_OK(backup::check_place(directory, backup.directory));
  FP_CHECK_OK(
      backup::Repository::make(backup.directory, hub, settings.name, own, keys::system_random()));
  FP_CHECK_OK(save_backup_settings(directory, backup));
  return json{{"directory", backup.directory},
              {"every_hours", backup.every_hours},
              {"keep", backup.keep},
              {"recovery_key", backup::recovery_name(own.recovery)},
              {"same_volume", on_one_volume(directory, backup.directory)},
              {"running", running(directory).has_value()}};
}

Result<json> backup_verify(const fs::path& directory, const BackupCheck& what) {
  if (what.from.empty() != what.key.empty())
    return fail(Errc::invalid_argument, "--from and --key belong together");
  FP_TRY(backup::Repository repository,
         what.from.empty() ? of_hub(directory) : by_recovery_key(what.from, what.key));
  FP_TRY(const auto held, repository.lock_if_writable());
  FP_TRY(const auto numbers, chosen(repository, what.number, what.all));
  bool good = true;
  std::uint64_t whole = 0;
  json all = json::array();
  std::vector<std::pair<std::uint64_t, Result<backup::Manifest>>> manifests;
  manifests.reserve(numbers.size());
  for (const std::uint64_t number : numbers) {
    manifests.emplace_back(number, repository.manifest(number));
    if (manifests.back().second) whole = std::max(whole, manifests.back().second->plain_bytes());
  }
  backup::Verifier verifier(repository, told_to("verify", whole));
  for (const auto& [number, manifest] : manifests) {
    json one = {{"number", number}, {"faults", json::array()}, {"damaged", json::array()}};
    if (manifest) {
      const backup::Checked checked = verifier.check(*manifest);
      one["time"] = to_text(manifest->time);
      one["entries"] = checked.entries;
      one["chunks"] = checked.chunks;
      one["faults"] = checked.faults;
      one["damaged"] = checked.damaged;
    } else {
      one["faults"].push_back(manifest.error().detail);
    }
    good = good && one["faults"].empty() && one["damaged"].empty();
    all.push_back(std::move(one));
  }
  FP_TRY(const auto ledger, backup::read_ledger_files(repository));
  const auto faults = backup::ledger_faults(ledger);
  return json{{"verified", good && faults.empty()},
              {"ledger_files", ledger.size()},
              {"ledger_faults", faults},
              {"backups", std::move(all)}};
}

Result<json> restore_hub(const fs::path& directory, const Restoring& what) {
  FP_TRY(backup::Repository repository, by_recovery_key(what.from, what.key));
  FP_TRY(const auto held, repository.lock_if_writable());
  FP_TRY(const Choice choice, to_restore(repository, what.number));
  const backup::Manifest& manifest = choice.manifest;
  auto restored = backup::restore(repository, manifest, directory, keys::system_random(),
                                  told_to("restore", manifest.plain_bytes()));
  if (!restored) {
    if (restored.error().is(Errc::corrupt) || restored.error().is(Errc::not_found))
      restored.error().detail += "; --backup NUMBER takes another one";
    return restored.error();
  }
  const backup::Restored& done = *restored;
  FP_TRY(const Settings settings, load_settings(directory));
  std::error_code ignored;
  const bool elsewhere =
      settings.backup && !fs::equivalent(settings.backup->directory, what.from, ignored);
  return json{{"number", done.number},
              {"time", to_text(done.time)},
              {"hub", done.hub_name},
              {"directory", directory.string()},
              {"entries", done.entries},
              {"damaged", done.damaged},
              {"erased_again", done.erased_again},
              {"holds_again", done.holds_again},
              {"ledger_faults", done.ledger_faults},
              {"passed_over", choice.passed_over},
              {"repository_moved", elsewhere},
              {"repository", what.from}};
}

// ---- doctor ----

BackupHealth backup_health(const fs::path& directory, const Settings& settings, Instant now) {
  BackupHealth health;
  if (!settings.backup) {
    health.mend.emplace_back(
        "no backups: when this disk dies, what tablets no longer hold is lost; `fieldpost-hub "
        "backup key --out FILE`, then `fieldpost-hub backup setup --directory FOLDER`");
    return health;
  }
  if (const auto placed = backup::check_place(directory, settings.backup->directory); !placed)
    health.mend.push_back("backups: " + placed.error().detail);
  auto repository = of_hub(directory);
  const auto backups = repository ? backup::list_backups(*repository)
                                  : Result<std::vector<backup::Listed>>(repository.error());
  if (!backups) {
    health.mend.push_back("backups: " + backups.error().detail);
    return health;
  }
  const backup::Listed* newest = nullptr;
  std::size_t restorable = 0;
  for (const backup::Listed& one : *backups) {
    if (one.restorable()) {
      newest = &one;
      ++restorable;
    } else {
      health.mend.push_back("backup " + std::to_string(one.number) +
                            " cannot be restored: " + one.fault +
                            "; `fieldpost-hub backup run --full` writes anew what the hub has");
    }
  }
  if (const auto ledger = backup::read_ledger_files(*repository)) {
    for (const std::string& fault : backup::ledger_faults(*ledger))
      health.mend.push_back(fault +
                            "; put it back from a copy of the folder, or begin a new one "
                            "with `fieldpost-hub backup setup`: it gets the whole list");
  }
  const std::int64_t interval_ms = std::int64_t{settings.backup->every_hours} * 3'600'000;
  if (newest == nullptr) {
    health.mend.push_back("there is no backup yet in " + settings.backup->directory +
                          "; `fieldpost-hub backup run`");
  } else {
    const std::int64_t age_ms = now.ms - newest->manifest->time.ms;
    const std::string what = "the newest backup (" + std::to_string(newest->number) + ") is " +
                             age(age_ms) + ", " + std::to_string(restorable) + " can be restored";
    if (age_ms < 0 || age_ms > 2 * interval_ms)
      health.mend.push_back(what + "; one is due every " +
                            std::to_string(settings.backup->every_hours) +
                            " hours: `fieldpost-hub status` says what keeps it");
    else
      health.good.push_back(what);
    for (const backup::StoreCopy& store : newest->manifest->stores) {
      for (const std::string& place : store.damaged)
        health.mend.push_back("the store itself is damaged: " + place);
    }
  }
  if (on_one_volume(directory, settings.backup->directory)) health.mend.emplace_back(kOneVolume);
  return health;
}

// ---- printing ----

void print_backup_key(const json& answer) {
  say("Recovery key " + shown(answer["recovery_key"]) + " is in " + shown(answer["file"]) + ":");
  say("");
  for (const std::string_view part : split(answer["text"].get_ref<const std::string&>(), '\n'))
    say("  " + std::string(part));
  say("");
  say("Backups open with it and with nothing else. Carry the file to a safe, away from the hub "
      "and");
  say("from the backups, or write the key on paper; then delete the file here.");
  say("Next:  fieldpost-hub backup setup --directory FOLDER_ON_ANOTHER_DISK");
}

void print_backup_setup(const json& answer) {
  say("Backups for recovery key " + shown(answer["recovery_key"]) + " go to " +
      shown(answer["directory"]) + ", every " + shown(answer["every_hours"]) + " hours; " +
      shown(answer["keep"]) + " are kept.");
  if (answer["same_volume"].get<bool>()) say("! " + std::string(kOneVolume) + ".");
  if (answer["running"].get<bool>())
    say("The running hub makes the first within a minute; at once:  fieldpost-hub backup run");
  else
    say("Next:  fieldpost-hub run, or at once:  fieldpost-hub backup run");
}

void print_backup_made(const json& answer) {
  say("Backup " + shown(answer["number"]) + " of " + shown(answer["time"]) +
      " is made and was read back: " + shown(answer["entries"]) + " entries, " +
      size_text(answer["plain_bytes"]) + "; " + size_text(answer["bytes_written"]) + " written (" +
      shown(answer["chunks_written"]) + " of " + shown(answer["chunks"]) + " chunks).");
  if (!answer["removed"].empty())
    say("Removed " + std::to_string(answer["removed"].size()) + " old backups.");
  for (const json& file : answer["repaired"]) say("Damaged, written anew: " + shown(file));
  for (const json& file : answer["lost"])
    say("DAMAGED: " + shown(file) + "; older backups that need it cannot be restored");
  for (const json& place : answer["damaged"]) say("DAMAGED in the store itself: " + shown(place));
}

void print_backups(const json& answer) {
  for (const json& one : answer["backups"]) {
    std::string out = shown(one["number"]);
    if (one.contains("time"))
      out += "  " + shown(one["time"]) + "  " + shown(one["entries"]) + " entries  " +
             size_text(one["plain_bytes"]);
    out += one["restorable"].get<bool>() ? "  can be restored"
                                         : "  CANNOT BE RESTORED: " + shown(one["fault"]);
    if (one.contains("damaged") && !one["damaged"].empty())
      out += "  with damage of the store itself";
    say(out);
  }
  if (answer["backups"].empty()) say("No backups yet. Make one: fieldpost-hub backup run");
  say(backup_line(answer["backup"]));
}

void print_backup_verify(const json& answer) {
  for (const json& one : answer["backups"]) {
    const std::string name = "backup " + shown(one["number"]);
    if (one["faults"].empty())
      say(name + ": good. " + shown(one["entries"]) + " entries in " + shown(one["chunks"]) +
          " chunks of " + shown(one["time"]) + ", all as they were written");
    for (const json& fault : one["faults"]) say(name + ": FAULT: " + shown(fault));
    for (const json& place : one["damaged"])
      say(name + ": DAMAGED in the store itself: " + shown(place));
  }
  for (const json& fault : answer["ledger_faults"]) say("FAULT: " + shown(fault));
}

void print_restored(const json& answer) {
  const std::string data = "fieldpost-hub --data " + shown(answer["directory"]);
  say("Restored hub " + shown(answer["hub"]) + " in " + shown(answer["directory"]) +
      " from backup " + shown(answer["number"]) + ", as it was at " + shown(answer["time"]) + ".");
  for (const json& newer : answer["passed_over"])
    say("A NEWER ONE CANNOT BE RESTORED: backup " + shown(newer));
  for (const json& place : answer["damaged"])
    say("DAMAGED before the backup was made, and so here: " + shown(place));
  if (answer["erased_again"] != 0 || answer["holds_again"] != 0)
    say("By the ledger beside the backups " + shown(answer["erased_again"]) +
        " records that were erased since are erased again, " + shown(answer["holds_again"]) +
        " legal holds are put or lifted again.");
  for (const json& fault : answer["ledger_faults"])
    say("DAMAGED: " + shown(fault) +
        ". Records erased since may be back, legal holds gone: look at `retention plan` and `hold "
        "list` before it runs");
  say("What came to the hub after that moment is not in it: tablets that still hold it have to "
      "send");
  say("it again, and what an operator decided since has to be decided again. hub.json (retention, "
      "backups)");
  say("and the certificate are those of that moment, too.");
  say("Next:");
  say("  1. See to it that the old hub does not run any more, anywhere: two would contradict each "
      "other.");
  say("  2. " + data + " verify");
  say("  3. Give this machine the old one's name and address, then:  " + data + " run");
  if (answer["repository_moved"].get<bool>())
    say("  4. The backups lie elsewhere now:  " + data + " backup setup --directory " +
        shown(answer["repository"]));
}

std::string backup_line(const json& backup) {
  if (backup.is_null() || !backup["configured"].get<bool>())
    return "Backups: NONE. When this disk dies, what tablets no longer hold is lost: fieldpost-hub "
           "backup key --out FILE";
  std::string out = "Backups: ";
  if (!backup["known"].get<bool>())
    out += "not looked at yet";
  else if (backup["newest_at"].is_null())
    out += "none yet";
  else
    out += "newest of " + shown(backup["newest_at"]) + ", " + shown(backup["restorable"]) +
           " can be restored";
  if (backup["broken"] != 0) out += ", " + shown(backup["broken"]) + " CANNOT BE RESTORED";
  out += "; every " + shown(backup["every_hours"]) + " hours to " + shown(backup["directory"]);
  if (backup["running"].get<bool>()) out += "; one is being made";
  if (backup.contains("ledger_fault") && !backup["ledger_fault"].is_null())
    out += "\n  NOT BESIDE THE BACKUPS: what was erased or put on hold: " +
           shown(backup["ledger_fault"]);
  if (!backup["fault"].is_null()) out += "\n  LAST ATTEMPT FAILED: " + shown(backup["fault"]);
  return out;
}

}  // namespace fieldpost::hub
