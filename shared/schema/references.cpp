#include "schema/references.h"

#include <algorithm>

namespace fieldpost::schema {

std::vector<RecordId> references(const Registry& registry, const model::Record& record) {
  std::vector<RecordId> found;
  const Form* form = registry.form(record.type);
  for (const model::DotGroup& group : record.groups) {
    for (const model::FieldValue& value : group.fields) {
      const auto* text = std::get_if<std::string>(&value.value);
      if (text == nullptr) continue;
      const Field* field = form == nullptr ? nullptr : form->find(value.path);
      if (field != nullptr && (field->kind != Kind::record_id || field->envelope)) continue;
      const auto id = record_id_from_text(*text);
      if (id && *id != record.id) found.push_back(*id);
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace fieldpost::schema
