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
      renew_certificate(made.keys, made.names, Instant{made.now.ms + 300 * kDayMs}, 365);
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
  REQUIRE(renew_certificate(made.keys, made.names, made.now, 400));
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
    REQUIRE(renew_certificate(made.keys, made.names, made.now, 500));
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
  const auto early = renew_certificate(made.keys, made.names, Instant{0}, 365);
  REQUIRE_FALSE(early);
  CHECK(early.error().detail.find("set the clock") != std::string::npos);
  const auto late =
      renew_certificate(made.keys, made.names, Instant{made.now.ms + 4'000 * kDayMs}, 365);
  REQUIRE_FALSE(late);
  CHECK(late.error().is(Errc::expired));
  CHECK(made.shown().fingerprint == before.fingerprint);
}
