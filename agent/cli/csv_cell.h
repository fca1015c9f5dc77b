// One cell of an exported CSV.
//
// Thread rule: pure function.
#pragma once

#include <string>
#include <string_view>

namespace fieldpost::agent {

/// Quoted; what a spreadsheet would run as a formula gets an apostrophe before it.
std::string csv_cell(std::string_view text);

}  // namespace fieldpost::agent
