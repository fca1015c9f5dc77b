// The API's answers in words, for a terminal.
//
// Thread rule: main's thread; prints to standard output.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace fieldpost::hub {

/// A value on one line of a terminal, which nothing in it can take over; nothing is "(none)".
std::string text(const nlohmann::json& value);
void line(const std::string& content);

void print_units(const nlohmann::json& answer);
void print_devices(const nlohmann::json& answer);
void print_device(const nlohmann::json& device);
void print_invitation(const nlohmann::json& answer);
void print_records(const nlohmann::json& answer);
void print_record(const nlohmann::json& record);
void print_history(const nlohmann::json& answer);
void print_conflicts(const nlohmann::json& answer);
void print_quarantine(const nlohmann::json& answer);
void print_held(const nlohmann::json& answer);
void print_recovery(const nlohmann::json& answer);
void print_status(const nlohmann::json& answer);
void print_damaged(const nlohmann::json& answer);
void print_repair(const nlohmann::json& answer);
void print_verify(const nlohmann::json& answer);

}  // namespace fieldpost::hub
