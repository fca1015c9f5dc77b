#include "base/result.h"

#include <cstdio>
#include <cstdlib>

namespace fieldpost {

namespace {

class Category final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "fieldpost"; }

  std::string message(int value) const override {
    switch (static_cast<Errc>(value)) {
      case Errc::malformed:
        return "malformed";
      case Errc::too_large:
        return "too large";
      case Errc::unsupported:
        return "not supported";
      case Errc::not_found:
        return "not found";
      case Errc::already_exists:
        return "already exists";
      case Errc::conflict:
        return "changed meanwhile";
      case Errc::unauthorised:
        return "not allowed";
      case Errc::bad_signature:
        return "does not verify";
      case Errc::chain_broken:
        return "chain broken";
      case Errc::corrupt:
        return "stored data damaged";
      case Errc::store_full:
        return "storage full";
      case Errc::store_failed:
        return "storage failed";
      case Errc::locked:
        return "in use by another process";
      case Errc::invalid_argument:
        return "invalid input";
      case Errc::io:
        return "input/output error";
      case Errc::closed:
        return "closed";
      case Errc::timeout:
        return "timed out";
      case Errc::expired:
        return "expired";
    }
    return "unknown error " + std::to_string(value);
  }
};

}  // namespace

const boost::system::error_category& fieldpost_category() noexcept {
  static const Category category;
  return category;
}

std::string Error::message() const {
  std::string what = code.message();
  if (detail.empty()) return what;
  return what + ": " + detail;
}

void throw_exception_from_error(const Error& error, const boost::source_location& at) {
  std::fprintf(stderr, "fieldpost: broken invariant: value() of a failed result at %s:%u: %s\n",
               at.file_name(), static_cast<unsigned>(at.line()), error.message().c_str());
  std::abort();
}

}  // namespace fieldpost
