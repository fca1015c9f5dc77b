#include "net/http.h"

#include <algorithm>
#include <atomic>
#include <boost/url/encode.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <boost/url/url_view.hpp>

#include "base/text.h"

namespace fieldpost::net {
namespace urls = boost::urls;

namespace {

bool equal_without_case(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

Result<std::string> decoded(urls::pct_string_view encoded, std::string_view part,
                            bool plus_is_space) {
  urls::encoding_opts options;
  options.space_as_plus = plus_is_space;
  std::string text = encoded.decode(options);
  for (const char c : text) {
    if (is_control(c))
      return fail(Errc::malformed, std::string(part) + " of the address holds a control character");
  }
  if (!is_utf8(text))
    return fail(Errc::malformed, std::string(part) + " of the address is not UTF-8");
  return text;
}

}  // namespace

const std::string* find_header(const HttpHeaders& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (equal_without_case(key, name)) return &value;
  }
  return nullptr;
}

std::size_t count_headers(const HttpRequest& request, std::string_view name) {
  return static_cast<std::size_t>(
      std::count_if(request.headers.begin(), request.headers.end(),
                    [&](const auto& header) { return equal_without_case(header.first, name); }));
}

std::string_view HttpRequest::query_value(std::string_view name) const {
  const auto it = query.find(std::string(name));
  return it == query.end() ? std::string_view{} : std::string_view(it->second);
}

std::string json_string(std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string result = "\"";
  while (!text.empty()) {
    const std::size_t bad = first_invalid_utf8(text);
    const std::string_view good = text.substr(0, bad);
    for (const char c : good) {
      if (c == '"' || c == '\\') {
        result += '\\';
        result += c;
      } else if (c == '\n') {
        result += "\\n";
      } else if (is_control(c)) {
        result += "\\u00";
        result += kDigits[static_cast<unsigned char>(c) >> 4];
        result += kDigits[static_cast<unsigned char>(c) & 15];
      } else {
        result += c;
      }
    }
    if (bad == std::string_view::npos) break;
    result += "\xEF\xBF\xBD";
    text.remove_prefix(good.size() + 1);
  }
  return result + '"';
}

HttpResponse error_response(int status, std::string_view code, std::string_view message) {
  HttpResponse response;
  response.status = status;
  response.body =
      "{\"error\":{\"code\":" + json_string(code) + ",\"message\":" + json_string(message) + "}}\n";
  return response;
}

bool nested_too_deep(std::string_view json) {
  std::size_t depth = 0;
  bool in_text = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_text) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_text = false;
    } else if (c == '"') {
      in_text = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kJsonNestingMax) return true;
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return false;
}

struct Responder::State {
  Send send;
  std::atomic<bool> answered{false};

  ~State() {
    if (!answered && send)
      send(error_response(500, "internal", "the program gave no answer to this request"));
  }
};

Responder::Responder(Send send) : state_(std::make_shared<State>()) {
  state_->send = std::move(send);
}

void Responder::operator()(HttpResponse response) const {
  if (!state_ || state_->answered.exchange(true)) return;
  state_->send(std::move(response));
}

Status parse_target(HttpRequest& request) {
  const auto parsed = urls::parse_origin_form(request.target);
  if (!parsed) return fail(Errc::malformed, "the address is not a path with an optional query");
  const urls::url_view url = *parsed;
  request.path = std::string(url.encoded_path());
  request.segments.clear();
  request.query.clear();
  // To Boost.URL a "/." in front is no segment but a way to write what follows.
  if (request.path.starts_with("/./")) return fail(Errc::malformed, "the path holds \".\"");
  for (const urls::pct_string_view encoded : url.encoded_segments()) {
    FP_TRY(std::string segment, decoded(encoded, "the path", false));
    // "." and ".." have no business in an address made by a program, and confuse whoever serves files.
    if (segment == "." || segment == "..")
      return fail(Errc::malformed, "the path holds \"" + segment + "\"");
    request.segments.push_back(std::move(segment));
  }
  for (const auto& parameter : url.encoded_params()) {
    FP_TRY(std::string name, decoded(parameter.key, "the query", true));
    FP_TRY(std::string value, decoded(parameter.value, "the query", true));
    if (name.empty() && value.empty()) continue;
    const std::string shown = name;
    if (!request.query.emplace(std::move(name), std::move(value)).second) {
      return fail(Errc::malformed, "the query gives \"" + shown + "\" twice");
    }
  }
  return {};
}

std::string make_target(const std::vector<std::string>& segments,
                        const std::vector<std::pair<std::string, std::string>>& query) {
  std::string target;
  for (const std::string& segment : segments)
    target += "/" + urls::encode(segment, urls::unreserved_chars);
  if (target.empty()) target = "/";
  char separator = '?';
  for (const auto& [name, value] : query) {
    if (value.empty()) continue;
    target += separator + urls::encode(name, urls::unreserved_chars) + "=" +
              urls::encode(value, urls::unreserved_chars);
    separator = '&';
  }
  return target;
}

}  // namespace fieldpost::net
