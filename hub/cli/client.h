// How the hub's command line reaches the API: over TLS to the running hub, or in this process.
//
// Thread rule: main's thread.
#pragma once

#include <nlohmann/json.hpp>

#include "hub/app.h"

namespace fieldpost::hub {

class Client {
 public:
  explicit Client(std::filesystem::path directory) : directory_(std::move(directory)) {}
  /// `target`: net::make_target encodes what people typed. Errors: the API's sentence, or why it was not reached.
  Result<nlohmann::json> call(const std::string& method, const std::string& target,
                              const nlohmann::json& body = nullptr);

  /// All pages of the list `/v1/LIST` as one answer, its entries in `member`.
  Result<nlohmann::json> whole(const std::string& list, const std::string& member);

 private:
  Result<net::HttpResponse> send(const std::string& method, const std::string& target,
                                 const std::string& body);

  std::filesystem::path directory_;
  std::unique_ptr<LocalHub> local_;
};

}  // namespace fieldpost::hub
