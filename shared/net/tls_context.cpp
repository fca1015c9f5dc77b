#include "net/tls_context.h"

#include <algorithm>
#include <boost/asio/ssl/error.hpp>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace fieldpost::net {
namespace asio = boost::asio;

class TlsTrust {
 public:
  TlsTrust() : context(TlsContext::tls_client), roots(sk_X509_new_null()) {}
  ~TlsTrust() { sk_X509_pop_free(roots, X509_free); }
  TlsTrust(const TlsTrust&) = delete;
  TlsTrust& operator=(const TlsTrust&) = delete;

  mutable TlsContext context;  ///< SSL_new() takes a mutable one, and is thread-safe
  STACK_OF(X509) * roots;
  std::optional<Fingerprint> fingerprint;
};

namespace {

std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* text = ERR_reason_error_string(code);
  return text != nullptr ? text : "no reason given";
}

/// Returns false when this OpenSSL lacks what v1 needs.
bool set_common(SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
         SSL_CTX_set1_groups_list(context, "X25519:P-256") == 1 &&
         SSL_CTX_set_ciphersuites(
             context,
             "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384") == 1;
}

std::string common_name(const X509* certificate) {
  const X509_NAME* name = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0) return "without a name";
  unsigned char* text = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  if (size < 0) return "with an unreadable name";
  std::string result(reinterpret_cast<char*>(text), static_cast<std::size_t>(size));
  OPENSSL_free(text);
  return result;
}

Instant instant_of(const ASN1_TIME* time) {
  std::tm tm{};
  if (ASN1_TIME_to_tm(time, &tm) != 1) return {};
  return {static_cast<std::int64_t>(timegm(&tm)) * 1000};
}

std::string names_of(const X509* certificate) {
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  std::string result;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    std::string text;
    if (name->type == GEN_DNS) {
      text.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                  static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      const unsigned char* bytes = ASN1_STRING_get0_data(name->d.iPAddress);
      const int size = ASN1_STRING_length(name->d.iPAddress);
      if (size == 4) {
        asio::ip::address_v4::bytes_type v4;
        std::copy_n(bytes, 4, v4.begin());
        text = asio::ip::address_v4(v4).to_string();
      } else if (size == 16) {
        asio::ip::address_v6::bytes_type v6;
        std::copy_n(bytes, 16, v6.begin());
        text = asio::ip::address_v6(v6).to_string();
      }
    }
    if (text.empty() || result.size() > 300) continue;
    result += (result.empty() ? "" : ", ") + text;
  }
  GENERAL_NAMES_free(names);
  return result.empty() ? "no name" : result;
}

std::string pem_of(X509* certificate) {
  BIO* bio = BIO_new(BIO_s_mem());
  std::string result;
  if (PEM_write_bio_X509(bio, certificate) == 1) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    result.assign(data, static_cast<std::size_t>(size));
  }
  BIO_free(bio);
  return result;
}

int verification_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

/// The CA certificate among those the server sent (its own left out) with this fingerprint, or null.
X509* find_by_fingerprint(STACK_OF(X509) * sent, const X509* own, const Fingerprint& wanted) {
  for (int i = 0; i < sk_X509_num(sent); ++i) {
    X509* candidate = sk_X509_value(sent, i);
    Fingerprint found;
    unsigned size = 0;
    if (candidate == own || X509_check_ca(candidate) < 1) continue;
    if (X509_digest(candidate, EVP_sha256(), found.bytes.data(), &size) == 1 && found == wanted) {
      return candidate;
    }
  }
  return nullptr;
}

/// The one fault passed over: hub time known is a lower bound, and says nothing of a start that lies after it.
int pass_over_start(int good, X509_STORE_CTX* store) {
  if (good == 1 || X509_STORE_CTX_get_error(store) != X509_V_ERR_CERT_NOT_YET_VALID) return good;
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

Instant wall_clock() {
  using namespace std::chrono;
  return {duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count()};
}

/// Replaces OpenSSL's chain verification: the same, but against the trust's roots only.
int verify_chain(X509_STORE_CTX* store, void* argument) {
  const auto& trust = *static_cast<const TlsTrust*>(argument);
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto& verification = *static_cast<Verification*>(SSL_get_ex_data(ssl, verification_index()));
  STACK_OF(X509)* pinned = nullptr;
  if (trust.fingerprint) {
    X509* ca = find_by_fingerprint(X509_STORE_CTX_get0_untrusted(store),
                                   X509_STORE_CTX_get0_cert(store), *trust.fingerprint);
    if (ca == nullptr) {
      verification.no_fingerprint = true;
      verification.error = X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
      verification.subject = common_name(X509_STORE_CTX_get0_cert(store));
      X509_STORE_CTX_set_error(store, verification.error);
      return 0;
    }
    pinned = sk_X509_new_null();
    sk_X509_push(pinned, ca);
  }
  X509_STORE_CTX_set0_trusted_stack(store, pinned != nullptr ? pinned : trust.roots);
  if (!verification.start_counts) X509_STORE_CTX_set_verify_cb(store, pass_over_start);
  const int verified = X509_verify_cert(store);
  verification.error = verified == 1 ? X509_V_OK : X509_STORE_CTX_get_error(store);
  if (X509* at = X509_STORE_CTX_get_current_cert(store); verified != 1 && at != nullptr) {
    verification.subject = common_name(at);
    verification.names = names_of(at);
    verification.not_before = instant_of(X509_get0_notBefore(at));
    verification.not_after = instant_of(X509_get0_notAfter(at));
  }
  if (STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(store);
      verified == 1 && sk_X509_num(chain) > 0) {
    verification.ca_pem = pem_of(sk_X509_value(chain, sk_X509_num(chain) - 1));
  }
  sk_X509_free(pinned);
  return verified == 1 ? 1 : 0;
}

Result<std::shared_ptr<TlsTrust>> empty_trust() {
  auto trust = std::make_shared<TlsTrust>();
  SSL_CTX* context = trust->context.native_handle();
  if (!set_common(context))
    return fail(Errc::unsupported, "OpenSSL lacks TLS 1.3: " + openssl_reason());
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context, verify_chain, trust.get());
  return trust;
}

/// "2026-03-14", enough for people who compare it with a calendar.
std::string day(Instant at) { return to_text(at).substr(0, 10); }

Error date_error(const Verification& found, const HandshakePlace& place) {
  const bool expired = found.error == X509_V_ERR_CERT_HAS_EXPIRED;
  const std::string dates = place.where + " showed the hub's certificate (\"" + found.subject +
                            "\", valid from " + day(found.not_before) + " to " +
                            day(found.not_after) + "), ";
  if (!found.start_counts) {
    return fail(Errc::expired,
                dates + "which has expired: by the hub's own time it is " + day(found.judged_at) +
                    " or later. Ask the hub's operator to renew it (fieldpost-hub certificate "
                    "renew); this device's clock plays no part");
  }
  const std::string clock = "this device's clock says " + to_text(found.judged_at);
  if (expired) {
    return fail(Errc::expired, dates + "and " + clock +
                                   ". If that is not today, set the clock and try again; if it is, "
                                   "ask the hub's operator to renew the certificate");
  }
  return fail(Errc::expired, dates + "which is not valid yet: " + clock +
                                 ". Set date and time of this device and try again");
}

Error verification_error(const Verification& found, const HandshakePlace& place) {
  switch (found.error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return date_error(found, place);
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return fail(Errc::bad_signature,
                  place.where + " showed a certificate for " + found.names + ", not for " +
                      place.server_name +
                      ": another server answers under the hub's address, or the hub was given "
                      "another name. Nothing was sent; ask the hub's operator");
    default:
      break;
  }
  if (found.no_fingerprint) {
    return fail(Errc::bad_signature,
                place.where + " showed a certificate (\"" + found.subject +
                    "\") whose CA does not have the fingerprint of the enrolment code: "
                    "this is not the hub that made the code, or something stands between. Nothing "
                    "was sent; use the hub's own network, or ask for a new code");
  }
  return fail(
      Errc::bad_signature,
      place.where + " showed a certificate (\"" + found.subject +
          "\") that does not come from this hub's CA (" +
          X509_verify_cert_error_string(found.error) +
          "): a captive portal, or something else between, answered instead of the hub. Nothing "
          "was "
          "sent. If this network asks for a login, open a browser and log in; else use another "
          "network");
}

}  // namespace

Result<std::shared_ptr<TlsContext>> make_server_context(const TlsServerConfig& config) {
  auto context = std::make_shared<TlsContext>(TlsContext::tls_server);
  SSL_CTX* native = context->native_handle();
  if (!set_common(native) || SSL_CTX_set_num_tickets(native, 0) != 1) {
    return fail(Errc::unsupported, "OpenSSL lacks TLS 1.3: " + openssl_reason());
  }
  boost::system::error_code ec;
  context->use_certificate_chain(asio::buffer(config.certificate_chain_pem), ec);
  if (ec)
    return fail(Errc::invalid_argument, "the server's certificate cannot be used: " + ec.message());
  context->use_private_key(asio::buffer(config.key_pem), TlsContext::pem, ec);
  if (ec) {
    return fail(Errc::invalid_argument,
                "the server's key cannot be used with its certificate: " + ec.message());
  }
  ERR_clear_error();
  return context;
}

Result<std::shared_ptr<const TlsTrust>> trust_ca(std::string_view ca_pem) {
  FP_TRY(auto trust, empty_trust());
  BIO* bio = BIO_new_mem_buf(ca_pem.data(), static_cast<int>(ca_pem.size()));
  while (X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)) {
    sk_X509_push(trust->roots, certificate);
  }
  BIO_free(bio);
  ERR_clear_error();
  if (sk_X509_num(trust->roots) == 0) {
    return fail(Errc::malformed, "the hub's CA certificate is not PEM: enrol this device again");
  }
  return std::shared_ptr<const TlsTrust>(std::move(trust));
}

Result<std::shared_ptr<const TlsTrust>> trust_fingerprint(const Fingerprint& fingerprint) {
  FP_TRY(auto trust, empty_trust());
  trust->fingerprint = fingerprint;
  return std::shared_ptr<const TlsTrust>(std::move(trust));
}

TlsContext& context_of(const TlsTrust& trust) { return trust.context; }

Status attach_verification(TlsSocket& socket, const TlsTrust&, const std::string& server_name,
                           std::optional<Instant> hub_time_at_least, Verification& verification) {
  SSL* ssl = socket.native_handle();
  SSL_set_ex_data(ssl, verification_index(), &verification);
  X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  verification.start_counts = !hub_time_at_least;
  verification.judged_at = hub_time_at_least.value_or(wall_clock());
  X509_VERIFY_PARAM_set_time(parameters,
                             static_cast<std::time_t>(verification.judged_at.ms / 1000));
  boost::system::error_code not_address;
  asio::ip::make_address(server_name, not_address);
  const bool taken = not_address
                         ? X509_VERIFY_PARAM_set1_host(parameters, server_name.c_str(), 0) == 1 &&
                               SSL_set_tlsext_host_name(ssl, server_name.c_str()) == 1
                         : X509_VERIFY_PARAM_set1_ip_asc(parameters, server_name.c_str()) == 1;
  if (server_name.empty() || !taken) {
    return fail(Errc::invalid_argument, "\"" + server_name + "\" is not a host name or IP address");
  }
  return {};
}

Error handshake_error(const boost::system::error_code& ec, const Verification& verification,
                      const HandshakePlace& place) {
  if (verification.error != 0) return verification_error(verification, place);
  if (ec.category() == boost::asio::error::get_ssl_category()) {
    switch (ERR_GET_REASON(static_cast<unsigned long>(ec.value()))) {
      case SSL_R_UNSUPPORTED_PROTOCOL:
      case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        return fail(
            Errc::unsupported,
            place.where +
                " does not speak TLS 1.3: this is not a Fieldpost hub, or something between "
                "downgrades the connection. Use another network, or ask the hub's operator");
      case SSL_R_WRONG_VERSION_NUMBER:
      case SSL_R_HTTP_REQUEST:
      case SSL_R_PACKET_LENGTH_TOO_LONG:
      case SSL_R_BAD_RECORD_TYPE:
        return fail(
            Errc::unsupported,
            place.where +
                " does not answer with TLS: the login page of this network (a captive "
                "portal), or a wrong port. Open a browser and log in; if there is no login, "
                "ask the hub's operator for the port");
      default:
        return {ec, "the TLS handshake with " + place.where + " failed"};
    }
  }
  return {
      ec,
      place.where +
          " closed the connection during the TLS handshake: a hub that is full or stops, a wrong "
          "port, or a firewall between. It is tried again; if it stays so on another network too, "
          "ask the hub's operator"};
}

std::optional<Instant> certificate_end_of(TlsSocket& socket) {
  const X509* shown = SSL_get0_peer_certificate(socket.native_handle());
  if (shown == nullptr) return std::nullopt;
  return instant_of(X509_get0_notAfter(shown));
}

wire::ChannelBinding channel_binding_of(TlsSocket& socket) {
  static constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
  wire::ChannelBinding binding;
  // Cannot fail on an established TLS 1.3 connection; if it does, no peer may take it for a binding.
  if (SSL_export_keying_material(socket.native_handle(), binding.bytes.data(), binding.bytes.size(),
                                 kLabel.data(), kLabel.size(), nullptr, 0, 1) != 1) {
    std::abort();
  }
  return binding;
}

}  // namespace fieldpost::net
