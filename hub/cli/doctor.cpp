#include "hub/cli/doctor.h"

#include <cstdio>
#include <fstream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "hub/cli/backup.h"
#include "hub/cli/client.h"
#include "hub/store/certificate.h"
#include "hub/store/layout.h"
#include "keys/clock.h"
#include "keys/pki.h"

namespace fieldpost::hub {

namespace {

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::uint64_t kFreeBytesMin = 2ULL << 30;
constexpr rlim_t kFilesMin = 8192;

struct Report {
  int faults = 0;
  void good(const std::string& what) { std::printf("good     %s\n", what.c_str()); }
  void mend(const std::string& what) {
    ++faults;
    std::printf("MEND     %s\n", what.c_str());
  }
  void unknown(const std::string& what) { std::printf("unknown  %s\n", what.c_str()); }
};

/// Whether the block device under a folder is a device-mapper crypt target, as far as the kernel says.
std::optional<bool> encrypted(const fs::path& directory) {
  struct stat info {};
  if (::stat(directory.c_str(), &info) != 0) return std::nullopt;
  const std::string base = "/sys/dev/block/" + std::to_string(major(info.st_dev)) + ":" +
                           std::to_string(minor(info.st_dev));
  std::error_code error;
  if (!fs::exists(base, error)) return std::nullopt;
  std::ifstream uuid(base + "/dm/uuid");
  std::string text;
  if (!(uuid >> text)) return false;
  return text.starts_with("CRYPT-");
}

void check_certificate(Report& report, const std::string& name, const std::string& pem,
                       const std::string& remedy) {
  const auto info = keys::read_certificate(pem);
  if (!info) return report.mend(name + " cannot be read: " + info.error().message());
  const Instant now = keys::system_now();
  if (const auto fault = date_fault(name, *info, now)) return report.mend(*fault);
  const std::int64_t days = (info->not_after.ms - now.ms) / kDayMs;
  if (days < 30)
    report.mend(name + " expires in " + std::to_string(days) + " days. " + remedy);
  else
    report.good(name + " is valid for " + std::to_string(days) + " more days");
}

void check_disk(Report& report, const fs::path& directory) {
  struct statvfs disk {};
  if (::statvfs(directory.c_str(), &disk) != 0) return report.unknown("free disk space");
  const std::uint64_t free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  const std::string text = std::to_string(free >> 20) + " MiB free on the volume";
  if (free < kFreeBytesMin)
    report.mend(text + "; less than 2 GiB, make room before the hub must refuse records");
  else
    report.good(text);
}

/// Of the running hub: why its last attempt failed.
void check_last_backup(Report& report, const fs::path& directory) {
  const auto status = Client(directory).call("GET", "/v1/status");
  if (!status || !status->contains("backup") || !(*status)["backup"].is_object()) return;
  const auto& fault = (*status)["backup"].value("fault", nlohmann::json(nullptr));
  if (fault.is_string())
    report.mend("the last attempt at a backup failed: " + fault.get<std::string>());
}

void check_backups(Report& report, const fs::path& directory, const Settings& settings) {
  const BackupHealth health = backup_health(directory, settings, keys::system_now());
  for (const std::string& what : health.good) report.good(what);
  for (const std::string& what : health.mend) report.mend(what);
}

/// What the running hub says of its stores.
void check_stores(Report& report, const fs::path& directory) {
  const auto status = Client(directory).call("GET", "/v1/status");
  if (!status) return report.unknown("the stores: " + status.error().message());
  for (const auto& warning : (*status)["warnings"]) report.mend(warning.get<std::string>());
  if ((*status)["warnings"].empty())
    report.good("the stores take records, and nothing in them is damaged");
}

void check_copies(Report& report, const fs::path& directory) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (entry.path().filename().string().find(".before-format-") == std::string::npos) continue;
    report.mend(entry.path().string() +
                " is a copy of a store from before an update: remove it once this version has "
                "proved itself");
  }
}

}  // namespace

Result<int> doctor(const fs::path& directory) {
  FP_TRY(const Settings settings, load_settings(directory));
  Report report;
  const auto keys = load_keys(directory);
  if (!keys) {
    report.mend("keys: " + keys.error().message());
  } else {
    report.good("keys are complete and closed to others");
    check_certificate(report, "server certificate", keys->server_pem,
                      "Renew it: fieldpost-hub certificate renew");
    check_certificate(report, "certificate authority", keys->ca_pem,
                      "Every tablet has to be enrolled anew at a new hub before that");
  }
  check_disk(report, directory);
  if (keys) check_backups(report, directory, settings);
  const auto volume = encrypted(directory);
  if (!volume)
    report.unknown("whether " + directory.string() + " lies on an encrypted volume; see to it");
  else if (*volume)
    report.good("the volume is encrypted");
  else
    report.mend(directory.string() +
                " does not lie on an encrypted volume: enforcement records are readable to whoever "
                "takes the disk");
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    const std::string text = "up to " + std::to_string(files.rlim_cur) + " open files";
    if (files.rlim_cur < kFilesMin)
      report.mend(text + "; a fleet needs more, raise LimitNOFILE to at least " +
                  std::to_string(kFilesMin));
    else
      report.good(text);
  }
  check_copies(report, directory);
  if (const auto run = running(directory)) {
    check_last_backup(report, directory);
    report.good("the hub runs (pid " + std::to_string(run->pid) + ", port " +
                std::to_string(run->port) + ")");
    check_stores(report, directory);
  } else {
    report.unknown("the stores: the hub does not run; `fieldpost-hub verify` reads all of them");
  }
  return report.faults;
}

}  // namespace fieldpost::hub
