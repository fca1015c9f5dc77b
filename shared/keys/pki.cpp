#include "keys/pki.h"

#include <algorithm>
#include <arpa/inet.h>
#include <ctime>
#include <memory>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

namespace fieldpost::keys {
namespace {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;

constexpr std::int64_t kDaySeconds = 86'400;
constexpr int kCaDays = 3653;

Error openssl_error(const char* what) {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  return fail(Errc::malformed, std::string("cannot ") + what + ": " +
                                   (reason != nullptr ? reason : "OpenSSL gives no reason"));
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

Result<KeyAndCertificate> to_pem(EVP_PKEY* key, X509* certificate) {
  const Bio key_bio(BIO_new(BIO_s_secmem()));
  const Bio certificate_bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(key_bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) !=
          1 ||
      PEM_write_bio_X509(certificate_bio.get(), certificate) != 1) {
    return openssl_error("write the certificate");
  }
  return KeyAndCertificate{text_of(key_bio.get()), text_of(certificate_bio.get())};
}

Result<Certificate> certificate_from(std::string_view pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!certificate) return openssl_error("read the certificate");
  return certificate;
}

/// Never asks for a pass phrase at the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

Result<Key> key_from(std::string_view pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key) return openssl_error("read the key");
  return key;
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  const bool added = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

/// Version 3, random 127-bit serial, key, subject and dates.
Result<Certificate> begin_certificate(EVP_PKEY* key, std::string_view common_name,
                                      std::int64_t from_s, std::int64_t to_s) {
  Certificate certificate(X509_new());
  std::array<unsigned char, 16> serial{};
  if (RAND_bytes(serial.data(), serial.size()) != 1) return openssl_error("draw a serial number");
  serial[0] = static_cast<unsigned char>((serial[0] & 0x7f) | 0x40);
  BIGNUM* number = BN_bin2bn(serial.data(), serial.size(), nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.get()));
  BN_free(number);
  const bool made =
      X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
      X509_set_pubkey(certificate.get(), key) == 1 &&
      ASN1_TIME_set(X509_getm_notBefore(certificate.get()), static_cast<std::time_t>(from_s)) !=
          nullptr &&
      ASN1_TIME_set(X509_getm_notAfter(certificate.get()), static_cast<std::time_t>(to_s)) !=
          nullptr &&
      X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.data()),
                                 static_cast<int>(common_name.size()), -1, 0) == 1;
  if (!made) return openssl_error("make the certificate (is its name above 64 characters?)");
  return certificate;
}

bool is_ip(const std::string& name) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

/// Labels of letters, digits and inner hyphens. Source: RFC 1123 section 2.1.
bool is_host_name(const std::string& name) {
  if (name.empty() || name.size() > 253) return false;
  std::size_t label = 0;
  for (std::size_t i = 0; i <= name.size(); ++i) {
    const char c = i < name.size() ? name[i] : '.';
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (c == '.') {
      if (label == 0 || label > 63 || name[i - 1] == '-') return false;
      label = 0;
      continue;
    }
    if (!word && (c != '-' || label == 0)) return false;
    ++label;
  }
  return true;
}

Result<std::string> alternative_names(std::span<const std::string> names) {
  std::string result;
  if (names.empty())
    return fail(Errc::invalid_argument,
                "a server certificate needs at least one host name or IP address");
  for (const std::string& name : names) {
    const bool ip = is_ip(name);
    if (!ip && !is_host_name(name)) {
      return fail(Errc::invalid_argument,
                  "\"" + name + "\" is neither a host name nor an IP address");
    }
    result += (result.empty() ? "" : ",") + std::string(ip ? "IP:" : "DNS:") + name;
  }
  return result;
}

Instant instant_of(const ASN1_TIME* time) {
  std::tm tm{};
  if (ASN1_TIME_to_tm(time, &tm) != 1) return {};
  return {static_cast<std::int64_t>(timegm(&tm)) * 1000};
}

std::string common_name(const X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0) return {};
  unsigned char* text = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  if (size < 0) return {};
  std::string result(reinterpret_cast<char*>(text), static_cast<std::size_t>(size));
  OPENSSL_free(text);
  return result;
}

std::string text_of(const GENERAL_NAME* name) {
  if (name->type == GEN_DNS) {
    return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
            static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName))};
  }
  if (name->type != GEN_IPADD) return {};
  const int size = ASN1_STRING_length(name->d.iPAddress);
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (size != 4 && size != 16) return {};
  inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress), text.data(),
            text.size());
  return text.data();
}

std::vector<std::string> names_of(const X509* certificate) {
  std::vector<std::string> result;
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    if (std::string text = text_of(sk_GENERAL_NAME_value(names, i)); !text.empty())
      result.push_back(std::move(text));
  }
  GENERAL_NAMES_free(names);
  return result;
}

}  // namespace

Result<KeyAndCertificate> make_ca(std::string_view common_name, Instant now) {
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error("make a key");
  const std::int64_t from_s = now.ms / 1000 - kDaySeconds;
  FP_TRY(const Certificate certificate,
         begin_certificate(key.get(), common_name, from_s, from_s + (kCaDays + 1) * kDaySeconds));
  X509* x509 = certificate.get();
  const bool made =
      X509_set_issuer_name(x509, X509_get_subject_name(x509)) == 1 &&
      add_extension(x509, x509, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
      add_extension(x509, x509, NID_key_usage, "critical,keyCertSign,cRLSign") &&
      add_extension(x509, x509, NID_subject_key_identifier, "hash") &&
      X509_sign(x509, key.get(), EVP_sha256()) > 0;
  if (!made) return openssl_error("make the CA certificate");
  return to_pem(key.get(), x509);
}

Result<KeyAndCertificate> issue_server_certificate(const KeyAndCertificate& ca,
                                                   std::span<const std::string> names, Instant now,
                                                   int days) {
  FP_TRY(const std::string alternatives, alternative_names(names));
  FP_TRY(const Certificate issuer, certificate_from(ca.certificate_pem));
  FP_TRY(const Key issuer_key, key_from(ca.key_pem));
  if (X509_check_private_key(issuer.get(), issuer_key.get()) != 1) {
    return openssl_error("use the CA: its key does not belong to its certificate");
  }
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error("make a key");
  const std::int64_t ca_end_s = instant_of(X509_get0_notAfter(issuer.get())).ms / 1000;
  const std::int64_t ca_begin_s = instant_of(X509_get0_notBefore(issuer.get())).ms / 1000;
  const std::int64_t from_s = std::max(now.ms / 1000 - kDaySeconds, ca_begin_s);
  const std::int64_t to_s = std::min(now.ms / 1000 + days * kDaySeconds, ca_end_s);
  if (to_s <= from_s)
    return fail(Errc::expired,
                "the CA is not valid now: make a new one and enrol the devices again");
  // A common name holds 64 characters; the names that count are the alternative ones.
  FP_TRY(const Certificate certificate,
         begin_certificate(key.get(), std::string_view(names[0]).substr(0, 64), from_s, to_s));
  X509* x509 = certificate.get();
  const bool made = X509_set_issuer_name(x509, X509_get_subject_name(issuer.get())) == 1 &&
                    add_extension(x509, issuer.get(), NID_basic_constraints, "critical,CA:FALSE") &&
                    add_extension(x509, issuer.get(), NID_key_usage, "critical,digitalSignature") &&
                    add_extension(x509, issuer.get(), NID_ext_key_usage, "serverAuth") &&
                    add_extension(x509, issuer.get(), NID_authority_key_identifier, "keyid") &&
                    add_extension(x509, issuer.get(), NID_subject_alt_name, alternatives) &&
                    X509_sign(x509, issuer_key.get(), EVP_sha256()) > 0;
  if (!made) return openssl_error("make the server's certificate");
  return to_pem(key.get(), x509);
}

Result<CertificateInfo> read_certificate(std::string_view pem) {
  FP_TRY(const Certificate certificate, certificate_from(pem));
  CertificateInfo info;
  info.subject = common_name(X509_get_subject_name(certificate.get()));
  info.issuer = common_name(X509_get_issuer_name(certificate.get()));
  info.names = names_of(certificate.get());
  info.not_before = instant_of(X509_get0_notBefore(certificate.get()));
  info.not_after = instant_of(X509_get0_notAfter(certificate.get()));
  info.ca = X509_check_ca(certificate.get()) == 1;
  unsigned size = 0;
  if (X509_digest(certificate.get(), EVP_sha256(), info.fingerprint.bytes.data(), &size) != 1) {
    return openssl_error("hash the certificate");
  }
  return info;
}

Status check_key_pair(const KeyAndCertificate& pair) {
  FP_TRY(const Certificate certificate, certificate_from(pair.certificate_pem));
  FP_TRY(const Key key, key_from(pair.key_pem));
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    return fail(Errc::invalid_argument, "the key does not belong to the certificate");
  }
  return {};
}

}  // namespace fieldpost::keys
