// Errors as values: one error category, one Result type, shared with Asio's error codes.
//
// Thread rule: plain values.
// Invariants:
//   1. A Result is [[nodiscard]]: a failure cannot be dropped silently.
//   2. `Error::detail` says what, where and what to do; it never holds a secret or a payload.
#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <string>
#include <utility>

namespace fieldpost {

enum class Errc {
  malformed = 1,     ///< bytes or text that do not decode
  too_large,         ///< a limit of base/limits.h exceeded
  unsupported,       ///< a newer version or an unknown kind
  not_found,         ///< no such thing (also the answer to "not yours")
  already_exists,    ///< a name or id that is taken
  conflict,          ///< the state moved meanwhile; read again and retry
  unauthorised,      ///< the asker may not
  bad_signature,     ///< a signature or an authentication tag does not verify
  chain_broken,      ///< a hash chain does not join
  corrupt,           ///< stored bytes are not what was written
  store_full,        ///< the map or the disk is full
  store_failed,      ///< a write or sync failed: state unknown, refuse further writes
  locked,            ///< another process holds the store
  invalid_argument,  ///< the caller's input; `detail` says which and why
  io,                ///< the operating system refused
  closed,            ///< the peer or the program is closing
  timeout,           ///< the peer did not answer in time
  expired,           ///< a code, lease or certificate past its time
};

}  // namespace fieldpost

namespace boost::system {
template <>
struct is_error_code_enum<fieldpost::Errc> : std::true_type {};
}  // namespace boost::system

namespace fieldpost {

const boost::system::error_category& fieldpost_category() noexcept;

inline boost::system::error_code make_error_code(Errc code) noexcept {
  return {static_cast<int>(code), fieldpost_category()};
}

struct Error {
  boost::system::error_code code;
  std::string detail;

  Error() = default;
  Error(Errc errc, std::string text) : code(make_error_code(errc)), detail(std::move(text)) {}
  Error(boost::system::error_code ec, std::string text) : code(ec), detail(std::move(text)) {}

  bool is(Errc errc) const { return code == make_error_code(errc); }
  /// "what: where and what to do", for people.
  std::string message() const;
};

/// Called by Result::value() on an error: that is a broken invariant, so it aborts.
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& at);

template <class T>
class [[nodiscard]] Result : public boost::system::result<T, Error> {
 public:
  using Base = boost::system::result<T, Error>;
  using Base::Base;
  Result() = default;
};

using Status = Result<void>;

inline Error fail(Errc code, std::string detail) { return {code, std::move(detail)}; }

}  // namespace fieldpost

// FP_TRY(auto x, expression): binds the value, or returns the error to the caller.
// (__COUNTER__, not __LINE__: a macro argument that spans lines has one line number.)
#define FP_CONCAT_IMPL(a, b) a##b
#define FP_CONCAT(a, b) FP_CONCAT_IMPL(a, b)
#define FP_TRY(binding, ...) FP_TRY_IMPL(FP_CONCAT(fp_result_, __COUNTER__), binding, __VA_ARGS__)
#define FP_TRY_IMPL(name, binding, ...)      \
  auto name = (__VA_ARGS__);                 \
  if (!name) return std::move(name).error(); \
  binding = *std::move(name)
// FP_CHECK_OK(expression): for results without a value.
#define FP_CHECK_OK(...) FP_CHECK_OK_IMPL(FP_CONCAT(fp_status_, __COUNTER__), __VA_ARGS__)
#define FP_CHECK_OK_IMPL(name, ...)                                       \
  do {                                                                    \
    if (auto name = (__VA_ARGS__); !name) return std::move(name).error(); \
  } while (false)
