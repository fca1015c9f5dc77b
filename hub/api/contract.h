// What a request may carry, by the API's own document: hub/api/openapi.json is the contract, and a name that
// stands nowhere in it is a mistake of the caller's that is told, not a wish that is passed over.
//
// Thread rule: immutable after construction.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "net/http.h"

namespace fieldpost::hub {

class Contract {
 public:
  /// From the document that the program carries.
  Contract();

  /// Errors: `invalid_argument`, naming what is not known and what is. A body that is no JSON object is the
  /// handler's matter; a route that the document does not have is not judged.
  Status check(std::string_view method, const std::string& pattern,
               const net::HttpRequest& request) const;

 private:
  struct Route {
    std::set<std::string, std::less<>> parameters;  ///< of the query
    std::set<std::string, std::less<>> members;     ///< of the body
    bool any_member = true;
  };
  std::map<std::string, Route, std::less<>> routes_;  ///< by "GET /v1/records/{id}"
};

}  // namespace fieldpost::hub
