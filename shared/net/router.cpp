#include "net/router.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/text.h"

namespace fieldpost::net {
namespace {

bool is_name(std::string_view part) {
  return part.size() > 2 && part.front() == '{' && part.back() == '}';
}
bool is_rest(std::string_view part) {
  return is_name(part) && part.size() > 5 && part.ends_with("...}");
}

/// Literal 0, {name} 1, {name...} 2: the smaller wins, segment by segment.
int looseness(std::string_view part) { return is_rest(part) ? 2 : is_name(part) ? 1 : 0; }

bool matches(const std::vector<std::string>& parts, const std::vector<std::string>& segments) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (is_rest(parts[i])) return segments.size() >= i;
    if (i >= segments.size()) return false;
    if (is_name(parts[i]) ? segments[i].empty() : parts[i] != segments[i]) return false;
  }
  return parts.size() == segments.size();
}

bool tighter(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    if (const int x = looseness(a[i]), y = looseness(b[i]); x != y) return x < y;
  }
  return a.size() < b.size();  // both match, so the longer one goes on with an empty rest
}

[[noreturn]] void bad_pattern(std::string_view method, std::string_view pattern, const char* why) {
  std::fprintf(stderr, "route %.*s %.*s: %s\n", static_cast<int>(method.size()), method.data(),
               static_cast<int>(pattern.size()), pattern.data(), why);
  std::abort();
}

void bind(HttpRequest& request, const std::vector<std::string>& parts) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (is_rest(parts[i])) {
      std::string rest;
      for (std::size_t j = i; j < request.segments.size(); ++j) {
        rest += (j == i ? "" : "/") + request.segments[j];
      }
      request.params[parts[i].substr(1, parts[i].size() - 5)] = std::move(rest);
    } else if (is_name(parts[i])) {
      request.params[parts[i].substr(1, parts[i].size() - 2)] = request.segments[i];
    }
  }
}

}  // namespace

void Router::add(std::string_view method, std::string_view pattern, HttpHandler handler,
                 std::size_t body_bytes_max) {
  if (pattern.empty() || pattern.front() != '/') bad_pattern(method, pattern, "must begin with /");
  Route route{std::string(method), {}, std::move(handler), body_bytes_max};
  if (pattern.size() > 1) {
    for (const std::string_view part : split(pattern.substr(1), '/'))
      route.parts.emplace_back(part);
  }
  for (std::size_t i = 0; i + 1 < route.parts.size(); ++i) {
    if (is_rest(route.parts[i])) bad_pattern(method, pattern, "{name...} must come last");
  }
  for (const Route& other : routes_) {
    const bool same =
        std::ranges::equal(other.parts, route.parts, [](const auto& a, const auto& b) {
          return looseness(a) == looseness(b) && (looseness(a) != 0 || a == b);
        });
    if (same && other.method == route.method) bad_pattern(method, pattern, "is there already");
  }
  routes_.push_back(std::move(route));
}

const Router::Route* Router::match(const HttpRequest& request, std::string& allow) const {
  const std::string_view method =
      request.method == "HEAD" ? std::string_view("GET") : request.method;
  const Route* best = nullptr;
  for (const Route& route : routes_) {
    if (!matches(route.parts, request.segments)) continue;
    if (route.method != method) {
      if (allow.find(route.method) == std::string::npos)
        allow += (allow.empty() ? "" : ", ") + route.method;
      continue;
    }
    if (best == nullptr || tighter(route.parts, best->parts)) best = &route;
  }
  return best;
}

void Router::handle(HttpRequest request, const Responder& respond) const {
  std::string allow;
  if (const Route* route = match(request, allow)) {
    bind(request, route->parts);
    try {
      return route->handler(std::move(request), respond);
    } catch (const std::exception& mistake) {
      // A fault of this program, or no memory: it costs the request, never the process and what others wait for.
      return respond(error_response(500, "internal",
                                    std::string("this program failed at the request (") +
                                        mistake.what() +
                                        "); it goes on working: report this with what was asked"));
    }
  }
  if (allow.empty())
    return respond(error_response(404, "not_found", "there is nothing at " + request.path));
  HttpResponse response = error_response(
      405, "method_not_allowed", request.path + " takes " + allow + ", not " + request.method);
  response.headers.emplace_back("Allow", allow);
  respond(std::move(response));
}

std::size_t Router::body_bytes_max(const HttpRequest& request) const {
  std::string allow;
  const Route* route = match(request, allow);
  return route != nullptr ? route->body_bytes_max : 0;
}

std::vector<std::string> Router::routes() const {
  std::vector<std::string> result;
  for (const Route& route : routes_) {
    std::string text = route.method + " ";
    for (const std::string& part : route.parts) text += "/" + part;
    result.push_back(route.parts.empty() ? text + "/" : text);
  }
  return result;
}

}  // namespace fieldpost::net
