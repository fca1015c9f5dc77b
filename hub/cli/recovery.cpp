#include "hub/cli/recovery.h"

#include <cstdio>

#include "net/http.h"

namespace fieldpost::hub {

using nlohmann::json;

namespace {

/// The records that a decision on all of them is about.
Result<std::vector<std::string>> all_of(Client& client, const std::string& decision) {
  std::vector<std::string> ids;
  const bool release = decision == "release";
  FP_TRY(const json waiting,
         release ? client.whole("held", "held") : client.whole("recovery", "recovery"));
  for (const json& entry : waiting[release ? "held" : "recovery"]) {
    // What is here again meanwhile needs no decision.
    if (!release && !entry["missing"].get<bool>()) continue;
    const std::string id = entry["record"];
    if (ids.empty() || ids.back() != id) ids.push_back(id);
  }
  return ids;
}

}  // namespace

Result<json> decide_recovery(Client& client, const RecoveryOrder& order) {
  json body = {{"decision", order.decision}, {"note", order.note}};
  if (!order.author.empty()) body["author"] = order.author;
  json out = {{"decision", order.decision}, {"decided", json::array()}, {"refused", json::array()}};
  const auto decide = [&](const std::string& id) {
    return client.call("POST", net::make_target({"v1", "recovery", id}), body);
  };
  if (!order.id.empty()) {
    FP_TRY(const json done, decide(order.id));
    out["decided"].push_back(order.id);
    return out;
  }
  FP_TRY(const auto ids, all_of(client, order.decision));
  for (const std::string& id : ids) {
    const auto done = decide(id);
    if (done)
      out["decided"].push_back(id);
    else
      out["refused"].push_back({{"record", id}, {"reason", done.error().detail}});
  }
  return out;
}

void print_decided(const json& answer) {
  const std::string decision = answer["decision"];
  for (const json& id : answer["decided"])
    std::printf("%s  %s\n", id.get<std::string>().c_str(), decision.c_str());
  for (const json& one : answer["refused"])
    std::printf("%s  NOT DONE: %s\n", one["record"].get<std::string>().c_str(),
                one["reason"].get<std::string>().c_str());
  if (answer["decided"].empty() && answer["refused"].empty())
    std::printf("%s\n", decision == "release" ? "Nothing is held." : "Nothing is missing.");
}

}  // namespace fieldpost::hub
