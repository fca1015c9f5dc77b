#include "schema/compartments.h"

namespace fieldpost::schema {

std::vector<std::string> foreign_types(const Registry& registry, std::string_view compartment) {
  const auto own = compartment == "health" ? Compartment::health : Compartment::enforcement;
  std::vector<std::string> types;
  for (const std::string_view type : registry.types()) {
    if (registry.form(type)->compartment() != own) types.emplace_back(type);
  }
  return types;
}

}  // namespace fieldpost::schema
