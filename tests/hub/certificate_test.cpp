// Renewing the hub's certificate, also when it is cut off between its two files.
#include "hub/store/certificate.h"

#include "hub/store/layout.h"
#include "keys/clock.h"
#include "keys/pki.h"
#include "keys/random.h"
#include "keys/secret_file.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace fieldpost;
using namespace fieldpost::hub;

namespace {

struct Made {
  test::TempDir dir;
  fs::path path = dir / "hub";
  fs::path keys = path / "keys";
  Instant now = keys::system_now();
  std::vector<std::string> names = certificate_names("hub.example");

  Made() {
    REQUIRE(crypto::init());
    Settings settings;
    settings.name = "hub.example";
    REQUIRE(init(path, settings, keys::system_random(), now));
  }
  Bytes file(const char* name) const { return *keys::read_file(keys / name, 65'536); }
  void put(const char* name, const Bytes& bytes) const {
    REQUIRE(keys::write_secret_file(keys / name, bytes));
  }
  /// The pair that the hub would show, which is one.
  keys::CertificateInfo shown() const {
    const auto loaded = load_keys(path);
    REQUIRE(loaded);
    REQUIRE(keys::check_key_pair({loaded->server_key_pem, loaded->server_pem}));
    return *keys::read_certificate(loaded->server_pem);
  }
};

constexpr std::int64_t kDayMs = 86'400'000;

}  // namespace

TEST_CASE(
    "a renewed certificate comes from the same authority, for the same names, and lasts longer") {
  const Made made;
  const auto before = made.shown();
  const Bytes authority = made.file("ca.pem");
  const auto renewed =
      renew_certificate(made.keys, made.names, {Instant{made.now.ms + 300 * kDayMs}, 365});
  REQUIRE(renewed);
  const auto after = made.shown();
  CHECK(renewed->old_end == before.not_after);
  CHECK(renewed->new_end == after.not_after);
  CHECK(after.not_after.ms - before.not_after.ms == 300 * kDayMs);
  CHECK(after.names == before.names);
  CHECK(after.issuer == before.issuer);
  CHECK(after.fingerprint != before.fingerprint);
  CHECK(made.file("ca.pem") == authority);
}

TEST_CASE("a renewal that was cut off leaves one whole pair, whichever file was written last") {
  const Made made;
  const auto before = made.shown();
  const Bytes old_key = made.file("server.key");
  const Bytes old_pem = made.file("server.pem");
  REQUIRE(renew_certificate(made.keys, made.names, {made.now, 400}));
  const Bytes new_key = made.file("server.key");
  const Bytes new_pem = made.file("server.pem");
  const auto renewed = made.shown();
  SECTION("only the coming certificate was written: the old pair stands") {
    made.put("server.pem.next", new_pem);
    made.put("server.key", old_key);
    made.put("server.pem", old_pem);
    CHECK(made.shown().fingerprint == before.fingerprint);
    CHECK(made.shown().fingerprint == before.fingerprint);
    // And the next renewal is not in its way.
    REQUIRE(renew_certificate(made.keys, made.names, {made.now, 500}));
    CHECK(made.shown().not_after > renewed.not_after);
  }
  SECTION("the key was replaced too: the new pair is made whole") {
    made.put("server.pem.next", new_pem);
    made.put("server.key", new_key);
    made.put("server.pem", old_pem);
    CHECK(made.shown().fingerprint == renewed.fingerprint);
    CHECK_FALSE(fs::exists(made.keys / "server.pem.next"));
    CHECK(made.shown().fingerprint == renewed.fingerprint);
  }
}

TEST_CASE("a machine whose clock is wrong does not renew") {
  const Made made;
  const auto before = made.shown();
  const auto early = renew_certificate(made.keys, made.names, {Instant{0}, std::nullopt});
  REQUIRE_FALSE(early);
  CHECK(early.error().is(Errc::invalid_argument));
  CHECK(early.error().detail.find("--clock-is-right") != std::string::npos);
  const auto late = renew_certificate(made.keys, made.names,
                                      {Instant{made.now.ms + 4'000 * kDayMs}, std::nullopt});
  REQUIRE_FALSE(late);
  CHECK(late.error().is(Errc::expired));
  CHECK(made.shown().fingerprint == before.fingerprint);
}

TEST_CASE(
    "a certificate that was made while the clock was ahead is replaced on the operator's word") {
  const Made made;
  const Instant ahead{made.now.ms + 700 * kDayMs};
  REQUIRE(renew_certificate(made.keys, made.names, {ahead, std::nullopt}));
  const auto future = made.shown();
  REQUIRE(made.now < future.not_before);
  const auto told = date_fault("server certificate", future, made.now);
  REQUIRE(told);
  CHECK(told->find("begins in the future") != std::string::npos);
  CHECK(told->find("--clock-is-right") != std::string::npos);
  CHECK_FALSE(renew_certificate(made.keys, made.names, {made.now, std::nullopt}));
  CHECK(made.shown().fingerprint == future.fingerprint);
  const auto renewed = renew_certificate(made.keys, made.names, {made.now, std::nullopt, true});
  REQUIRE(renewed);
  const auto after = made.shown();
  CHECK(after.not_before <= made.now);
  CHECK_FALSE(date_fault("server certificate", after, made.now));
  // Tablets may have heard any hub time up to the old one's end: the new one must outlast it.
  CHECK(after.not_after >= future.not_after);
  CHECK(renewed->new_end == after.not_after);
}

TEST_CASE("a renewed certificate never ends before the one it replaces") {
  const Made made;
  REQUIRE(renew_certificate(made.keys, made.names, {made.now, 700}));
  const auto long_one = made.shown();
  const auto shorter = renew_certificate(made.keys, made.names, {made.now, 20});
  REQUIRE_FALSE(shorter);
  CHECK(shorter.error().is(Errc::invalid_argument));
  CHECK(shorter.error().detail.find("at least 700") != std::string::npos);
  CHECK(made.shown().fingerprint == long_one.fingerprint);
  REQUIRE(renew_certificate(made.keys, made.names, {made.now, std::nullopt}));
  CHECK(made.shown().fingerprint != long_one.fingerprint);
  CHECK(made.shown().not_after >= long_one.not_after);
}

TEST_CASE("an authority from the future is told, and its certificates last as long as before") {
  test::TempDir dir;
  REQUIRE(crypto::init());
  const Instant now = keys::system_now();
  Settings settings;
  settings.name = "hub.example";
  REQUIRE(init(dir / "hub", settings, keys::system_random(), Instant{now.ms + 500 * kDayMs}));
  const fs::path folder = dir / "hub" / "keys";
  const auto authority =
      *keys::read_certificate(as_text(*keys::read_file(folder / "ca.pem", 65'536)));
  const auto told = date_fault("certificate authority", authority, now);
  REQUIRE(told);
  CHECK(told->find("only a new hub") != std::string::npos);
  const auto names = certificate_names("hub.example");
  const auto renewed = renew_certificate(folder, names, {now, std::nullopt, true});
  REQUIRE(renewed);
  CHECK(renewed->new_end >= renewed->old_end);
}
