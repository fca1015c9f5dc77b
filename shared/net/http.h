// HTTP requests and responses as plain values, and the one-shot answer to a request.
//
// Thread rule: plain values; a Responder may be called from any thread.
// Invariants:
//   1. `segments` and `query` are percent-decoded, UTF-8 and free of control characters; a request whose
//      target is not so never reaches a handler (400).
//   2. A Responder answers once: later calls are ignored; if every copy is destroyed without a call, the
//      answer is 500.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace fieldpost::net {

/// In order of arrival; names compare without case.
using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

/// The first header of that name, or null.
const std::string* find_header(const HttpHeaders& headers, std::string_view name);

struct HttpRequest;
/// How many headers of that name.
std::size_t count_headers(const HttpRequest& request, std::string_view name);

struct HttpRequest {
  std::string method;                         ///< "GET", as sent
  std::string target;                         ///< as sent: "/v1/records?unit=01-PPT"
  std::string path;                           ///< as sent, without the query: "/v1/records"
  std::vector<std::string> segments;          ///< decoded: {"v1", "records"}
  std::map<std::string, std::string> query;   ///< decoded; a name given twice is refused (400)
  std::map<std::string, std::string> params;  ///< {name} parts, filled in by Router
  HttpHeaders headers;
  std::string body;
  std::string remote;  ///< "address:port"
  bool tls = false;
  /// For the handler, from any thread: whoever asks has shown who they are, and the connection is not one
  /// of a stranger any more. May be empty.
  std::function<void()> known;

  const std::string* header(std::string_view name) const { return find_header(headers, name); }
  /// The query parameter, or "" when absent.
  std::string_view query_value(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";  ///< not sent when empty or without a body
  HttpHeaders headers;                            ///< a name given here replaces the default
  std::string body;

  const std::string* header(std::string_view name) const { return find_header(headers, name); }
};

/// {"error":{"code":…,"message":…}}, the one shape of every error answer.
HttpResponse error_response(int status, std::string_view code, std::string_view message);

/// Text as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

/// Levels of arrays and objects that a body may have: a form has six. A parsed bracket takes fifty times its byte.
inline constexpr std::size_t kJsonNestingMax = 64;
/// Whether a JSON text opens more than that many at a time, looked at before it is parsed.
bool nested_too_deep(std::string_view json);

class Responder {
 public:
  using Send = std::function<void(HttpResponse)>;
  Responder() = default;
  explicit Responder(Send send);
  void operator()(HttpResponse response) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

using HttpHandler = std::function<void(HttpRequest, Responder)>;

/// Splits and decodes an origin-form target into path, segments and query of `request`.
/// Errors: `malformed`, saying which part. Source: RFC 3986, through Boost.URL.
Status parse_target(HttpRequest& request);

/// The other way: a target from plain texts, each percent-encoded; parameters with an empty value are left out.
/// What parse_target makes of it are the same texts.
std::string make_target(const std::vector<std::string>& segments,
                        const std::vector<std::pair<std::string, std::string>>& query = {});

}  // namespace fieldpost::net
