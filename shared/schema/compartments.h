// Which records belong to which of the hub's separate stores.
//
// Thread rule: pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "schema/registry.h"

namespace fieldpost::schema {

/// Types whose form belongs to the other compartment: a device of `compartment` ("enforcement" or "health")
/// neither writes nor sees them.
std::vector<std::string> foreign_types(const Registry& registry, std::string_view compartment);

}  // namespace fieldpost::schema
