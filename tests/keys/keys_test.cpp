// Secret files, the small CA, clocks and randomness.
#include <filesystem>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

#include "keys/clock.h"
#include "keys/pki.h"
#include "keys/random.h"
#include "keys/secret_file.h"
#include "tests/support/catch.h"

using namespace fieldpost;
namespace fs = std::filesystem;

namespace {

struct Folder {
  Folder() {
    std::string name = (fs::temp_directory_path() / "fieldpost-keys-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path); }
  fs::path path;
};

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

const std::vector<std::string> kNames = {"hub.example", "192.0.2.7", "2001:db8::7"};

}  // namespace

TEST_CASE("a secret file is private, whole, and replaced in one step") {
  Folder folder;
  const fs::path file = folder.path / "device.key";
  REQUIRE(keys::write_secret_file(file, as_bytes("first")));
  REQUIRE(keys::write_secret_file(file, as_bytes("second, longer")));
  CHECK(as_text(keys::read_secret_file(file).value()) == "second, longer");
  CHECK((fs::status(file).permissions() & fs::perms::all) ==
        (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(entries(folder.path) == 1);  // no temporary file stays
}

TEST_CASE("a failed write leaves the old file and no temporary one") {
  Folder folder;
  const fs::path file = folder.path / "taken";
  fs::create_directory(file);  // a rename onto a folder fails
  const auto written = keys::write_secret_file(file, as_bytes("x"));
  REQUIRE_FALSE(written);
  CHECK(written.error().is(Errc::io));
  CHECK(written.error().detail.find(file.string()) != std::string::npos);
  CHECK(entries(folder.path) == 1);
}

TEST_CASE("a secret that others can read is refused with what to do") {
  Folder folder;
  const fs::path file = folder.path / "device.key";
  REQUIRE(keys::write_secret_file(file, as_bytes("secret")));
  for (const mode_t mode : {0640u, 0604u, 0620u, 0602u}) {
    REQUIRE(::chmod(file.c_str(), mode) == 0);
    const auto read = keys::read_secret_file(file);
    REQUIRE_FALSE(read);
    CHECK(read.error().is(Errc::unauthorised));
    CHECK(read.error().detail.find("chmod 600 " + file.string()) != std::string::npos);
  }
  REQUIRE(::chmod(file.c_str(), 0600) == 0);
  const fs::path link = folder.path / "link";
  fs::create_symlink(file, link);
  CHECK_FALSE(keys::read_secret_file(link));
  CHECK_FALSE(keys::read_secret_file(folder.path));
}

TEST_CASE("files are read up to their limit and no further") {
  Folder folder;
  const fs::path file = folder.path / "f";
  REQUIRE(keys::write_file_atomically(file, Bytes(100'000, 7)));
  CHECK(keys::read_file(file, 100'000).value() == Bytes(100'000, 7));
  auto large = keys::read_file(file, 99'999);
  REQUIRE_FALSE(large);
  CHECK(large.error().is(Errc::too_large));
  auto none = keys::read_file(folder.path / "none", 10);
  REQUIRE_FALSE(none);
  CHECK(none.error().is(Errc::not_found));
}

TEST_CASE("a private folder is made once and refused when open to others") {
  Folder folder;
  const fs::path inner = folder.path / "a" / "b";
  REQUIRE(keys::make_private_directory(inner));
  REQUIRE(keys::make_private_directory(inner));
  CHECK((fs::status(inner).permissions() & fs::perms::all) == fs::perms::owner_all);
  REQUIRE(::chmod(inner.c_str(), 0755) == 0);
  auto open = keys::make_private_directory(inner);
  REQUIRE_FALSE(open);
  CHECK(open.error().is(Errc::unauthorised));
}

TEST_CASE("a file that grows has its name only when it is whole, and is for its owner alone") {
  const Folder folder;
  const fs::path path = folder.path / "export.ndjson";
  {
    auto file = keys::AtomicFile::create(path, 0600);
    REQUIRE(file);
    REQUIRE(file->write(as_bytes("half")));
    CHECK_FALSE(fs::exists(path));
  }
  CHECK(entries(folder.path) == 0);  // thrown away
  auto file = keys::AtomicFile::create(path, 0600);
  REQUIRE(file);
  REQUIRE(file->write(as_bytes("one\n")));
  REQUIRE(file->write(as_bytes("two\n")));
  REQUIRE(file->commit());
  CHECK(as_text(*keys::read_file(path, 100)) == "one\ntwo\n");
  CHECK((fs::status(path).permissions() & fs::perms::all) ==
        (fs::perms::owner_read | fs::perms::owner_write));
  CHECK_FALSE(keys::AtomicFile::create(folder.path / "nowhere" / "x"));
}

TEST_CASE("the CA and its server certificate say what they are for, and are small") {
  const Instant now = instant_from_text("2026-03-01T07:15:00Z").value();
  const auto ca = keys::make_ca("Fieldpost hub", now).value();
  const auto ca_info = keys::read_certificate(ca.certificate_pem).value();
  CHECK(ca_info.ca);
  CHECK(ca_info.subject == "Fieldpost hub");
  CHECK(to_text(ca_info.not_before) == "2026-02-28T07:15:00.000Z");
  CHECK(to_text(ca_info.not_after).substr(0, 10) == "2036-03-01");
  const auto server = keys::issue_server_certificate(ca, kNames, now).value();
  const auto info = keys::read_certificate(server.certificate_pem).value();
  CHECK_FALSE(info.ca);
  CHECK(info.names == kNames);
  CHECK(info.issuer == "Fieldpost hub");
  CHECK(to_text(info.not_after) == "2027-03-01T07:15:00.000Z");
  CHECK(info.fingerprint != ca_info.fingerprint);
  CHECK(keys::check_key_pair(ca));
  CHECK(keys::check_key_pair(server));
  CHECK_FALSE(keys::check_key_pair({ca.key_pem, server.certificate_pem}));
  CHECK(server.certificate_pem.size() + ca.certificate_pem.size() <
        1'500);  // PEM: a third more than on the wire
}

TEST_CASE("a server certificate never outlives its CA, and needs real names") {
  const Instant now{1'000'000'000'000};
  const auto ca = keys::make_ca("CA", now).value();
  const auto ca_end = keys::read_certificate(ca.certificate_pem).value().not_after;
  const auto late =
      keys::issue_server_certificate(ca, kNames, Instant{ca_end.ms - 86'400'000LL * 30}).value();
  CHECK(keys::read_certificate(late.certificate_pem).value().not_after == ca_end);
  auto dead = keys::issue_server_certificate(ca, kNames, Instant{ca_end.ms + 86'400'000LL * 30});
  REQUIRE_FALSE(dead);
  CHECK(dead.error().is(Errc::expired));
  for (const std::string bad :
       {"", "a b", "-x.example", "x-.example", "x..y", "hub.example,DNS:evil", "ហប់"}) {
    const std::vector<std::string> names = {bad};
    auto refused = keys::issue_server_certificate(ca, names, now);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().is(Errc::invalid_argument));
  }
  CHECK_FALSE(keys::issue_server_certificate(ca, {}, now));
  CHECK_FALSE(
      keys::read_certificate("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
}

TEST_CASE("clocks run, and the boot id is stable within a boot") {
  CHECK(keys::system_now() > instant_from_text("2024-01-01T00:00:00Z").value());
  const auto before = keys::monotonic_ms();
  CHECK(keys::monotonic_ms() >= before);
  CHECK(keys::boot_id().value() == keys::boot_id().value());
  CHECK(keys::boot_id().value() != 0);
}

TEST_CASE("random ids do not repeat") {
  const auto random = keys::system_random();
  std::set<Nonce> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random_id<Nonce>(random));
  CHECK(seen.size() == 1000);
  CHECK(random_actor(random) != random_actor(random));
}
