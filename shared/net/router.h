// Picks the handler of a request by method and path pattern. Answers 404 and 405 itself.
//
// Thread rule: filled before the server starts, then const; the handlers see to their own threads.
// Invariants:
//   1. A pattern is literal segments and {name} segments; literals win over names, whatever the order of
//      add(). A {name} matches one whole, non-empty, decoded segment. A last segment {name...} matches the rest,
//      joined by "/" (possibly empty).
//   2. HEAD is served by the GET handler, the server leaves out the body.
//   3. An exception of a handler ends in 500 with a sentence; it never leaves handle().
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "net/http.h"

namespace fieldpost::net {

class Router {
 public:
  /// `body_bytes_max` 0: the server's default limit. A bad or doubled pattern aborts: it is a mistake in the program.
  void add(std::string_view method, std::string_view pattern, HttpHandler handler,
           std::size_t body_bytes_max = 0);

  /// Calls the handler that matches, or answers 404 or 405 (with Allow).
  void handle(HttpRequest request, const Responder& respond) const;

  /// The body limit of the route that `request` would take; 0 when it has none of its own.
  std::size_t body_bytes_max(const HttpRequest& request) const;

  /// "GET /v1/records/{id}" of every route, in order of add(): for the API document's test.
  std::vector<std::string> routes() const;

 private:
  struct Route {
    std::string method;
    std::vector<std::string> parts;
    HttpHandler handler;
    std::size_t body_bytes_max;
  };
  const Route* match(const HttpRequest& request, std::string& allow) const;

  std::vector<Route> routes_;
};

}  // namespace fieldpost::net
