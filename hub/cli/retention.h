// The commands about retention and legal holds, in words.
//
// Thread rule: main's thread; prints to standard output.
#pragma once

#include <nlohmann/json.hpp>

namespace fieldpost::hub {

void print_retention(const nlohmann::json& answer);
void print_retention_plan(const nlohmann::json& answer);
void print_retention_run(const nlohmann::json& answer);
void print_hold(const nlohmann::json& hold);
void print_holds(const nlohmann::json& answer);

}  // namespace fieldpost::hub
