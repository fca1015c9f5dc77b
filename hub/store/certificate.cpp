#include "hub/store/certificate.h"

#include <algorithm>

#include "base/bytes.h"
#include "keys/pki.h"
#include "keys/secret_file.h"

namespace fieldpost::hub {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kPemBytesMax = 64 * 1024;
constexpr std::int64_t kDayMs = 86'400'000;
constexpr int kDefaultDays = 365;

fs::path coming(const fs::path& keys) { return keys / "server.pem.next"; }

Result<std::string> public_text(const fs::path& path) {
  FP_TRY(const Bytes bytes, keys::read_file(path, kPemBytesMax));
  return std::string(as_text(bytes));
}

Result<std::string> secret_text(const fs::path& path) {
  FP_TRY(const Bytes bytes, keys::read_secret_file(path));
  return std::string(as_text(bytes));
}

}  // namespace

std::vector<std::string> certificate_names(const std::string& hub_name) {
  std::vector<std::string> names = {hub_name};
  for (const char* local : {"localhost", "127.0.0.1"}) {
    if (hub_name != local) names.emplace_back(local);
  }
  return names;
}

Result<Renewed> renew_certificate(const fs::path& keys, std::span<const std::string> names,
                                  const Renewal& renewal) {
  const Instant now = renewal.now;
  FP_CHECK_OK(finish_renewal(keys));
  keys::KeyAndCertificate authority;
  FP_TRY(authority.key_pem, secret_text(keys / "ca.key"));
  FP_TRY(authority.certificate_pem, public_text(keys / "ca.pem"));
  FP_TRY(const std::string old_pem, public_text(keys / "server.pem"));
  FP_TRY(const keys::CertificateInfo old, keys::read_certificate(old_pem));
  if (now < old.not_before && !renewal.clock_is_right) {
    return fail(Errc::invalid_argument,
                "this machine's clock says " + to_text(now) +
                    ", which is before the present certificate begins (" + to_text(old.not_before) +
                    "). If the clock is wrong, set it; if it is right now and was ahead when that "
                    "certificate was made: fieldpost-hub certificate renew --clock-is-right");
  }
  const std::int64_t left_days = (old.not_after.ms - now.ms + kDayMs - 1) / kDayMs;
  if (renewal.days && *renewal.days < left_days) {
    return fail(Errc::invalid_argument,
                "a certificate of " + std::to_string(*renewal.days) +
                    " days would end before the present one (" + to_text(old.not_after) +
                    "), and tablets may have heard a later time: give --days at least " +
                    std::to_string(left_days) + ", or leave it out");
  }
  const auto days =
      static_cast<int>(std::max<std::int64_t>(renewal.days.value_or(kDefaultDays), left_days));
  FP_TRY(const keys::KeyAndCertificate fresh,
         keys::issue_server_certificate(authority, names, now, days));
  FP_TRY(const keys::CertificateInfo info, keys::read_certificate(fresh.certificate_pem));
  // The certificate first, under a name of its own: from the moment the key is replaced it can be found.
  FP_CHECK_OK(keys::write_file_atomically(coming(keys), as_bytes(fresh.certificate_pem)));
  FP_CHECK_OK(keys::write_secret_file(keys / "server.key", as_bytes(fresh.key_pem)));
  FP_CHECK_OK(finish_renewal(keys));
  return Renewed{old.not_after, info.not_after};
}

std::optional<std::string> date_fault(const std::string& name, const keys::CertificateInfo& info,
                                      Instant now) {
  const std::string renew = "fieldpost-hub certificate renew";
  if (now < info.not_before) {
    const std::string what =
        "the " + name + " begins in the future, on " + to_text(info.not_before) +
        ": this machine's clock (" + to_text(now) +
        ") is behind, or it was ahead when that was made. Enrolled tablets connect, new ones "
        "cannot enrol. ";
    return what + (info.ca ? "If the clock is wrong, set it; if it is right, only a new hub has an "
                             "authority that begins earlier"
                           : "If the clock is wrong, set it; if it is right: " + renew +
                                 " --clock-is-right");
  }
  if (info.not_after < now) {
    return "the " + name + " expired on " + to_text(info.not_after) + "; tablets cannot connect. " +
           (info.ca ? "Every tablet has to be enrolled anew at a new hub" : "Renew it: " + renew);
  }
  return std::nullopt;
}

Status finish_renewal(const fs::path& keys) {
  const auto next = public_text(coming(keys));
  if (!next) return {};  // none under way
  FP_TRY(const std::string key, secret_text(keys / "server.key"));
  // The key is still the old one: cut off before it was replaced, or another process is about to. What was
  // prepared is left alone: it may be the other's.
  if (!keys::check_key_pair({key, *next})) return {};
  FP_CHECK_OK(keys::write_file_atomically(keys / "server.pem", as_bytes(*next)));
  std::error_code ignored;
  fs::remove(coming(keys), ignored);
  return {};
}

}  // namespace fieldpost::hub
