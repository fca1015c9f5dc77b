// The whole document: JSON Schema, x-kind, x-rules, and what is only worth a warning.
#include <algorithm>
#include <set>

#include "base/text.h"
#include "schema/check.h"
#include "schema/node.h"
#include "schema/rules.h"
#include "schema/validate.h"
#include "schema/words.h"

namespace fieldpost::schema {

namespace {

using nlohmann::json;

/// The effective document (schemas/README.md): without nulls, voided items bare, and without what a
/// newer form added.
class Effective {
 public:
  Effective(const FormData& form, bool newer) : form_(form), newer_(newer) {}

  json run(const json& document) const {
    json out = json::object();
    for (const auto& [name, value] : document.items()) {
      if (value.is_null() || (newer_ && form_.root->property(name) == nullptr)) continue;
      const auto container = form_.containers.find(name);
      const bool known = container != form_.containers.end();
      if (known && container->second.repeat && value.is_array()) {
        out[name] = items(name, value);
      } else if (known && !container->second.repeat && value.is_object()) {
        out[name] = members(*form_.root->property(name), value);
      } else {
        out[name] = value;
      }
    }
    return out;
  }

 private:
  json items(const std::string& name, const json& array) const {
    json out = json::array();
    const Node* item_node = form_.root->property(name)->items;
    for (const json& item : array) {
      if (item.is_null()) continue;
      if (!item.is_object()) {
        out.push_back(item);
        continue;
      }
      json kept = members(*item_node, item);
      const auto voided = kept.find("void");
      if (voided != kept.end() && voided->is_boolean() && voided->get<bool>()) kept = bare(kept);
      out.push_back(std::move(kept));
    }
    return out;
  }

  static json bare(const json& item) {
    json out = json::object();
    for (const char* name : {"item_id", "void", "void_reason"}) {
      if (item.contains(name)) out[name] = item[name];
    }
    return out;
  }

  json members(const Node& node, const json& object) const {
    json out = json::object();
    for (const auto& [name, value] : object.items()) {
      if (value.is_null() || (newer_ && node.property(name) == nullptr)) continue;
      out[name] = value;
    }
    return out;
  }

  const FormData& form_;
  bool newer_;
};

std::string shown(const json& value) {
  return shortened(value.is_string() ? value.get<std::string>()
                                     : value.dump(-1, ' ', false, json::error_handler_t::replace));
}

class Checker {
 public:
  Checker(const Registry& registry, const Form& form, const std::vector<std::string>& sealed)
      : registry_(registry), form_(form), data_(form.data()), sealed_(sealed) {}

  std::vector<Fault> run(const json& document) {
    if (!document.is_object()) {
      add("type", "", Severity::error);
      return take();
    }
    for (const std::string& name : data_.not_nullable) {
      const auto found = document.find(name);
      if (found != document.end() && found->is_null()) add("x-nullable", name, Severity::error);
    }
    const auto version = document.find("schema_version");
    const bool newer = version != document.end() && version->is_number_integer() &&
                       version->get<std::int64_t>() > static_cast<std::int64_t>(data_.version);
    // Most documents are their own effective document; copying one costs as much as checking it.
    if (!newer && is_effective(document)) {
      judge(document, newer);
    } else {
      judge(Effective(data_, newer).run(document), newer);
    }
    return take();
  }

 private:
  /// Without nulls and voided items, to the depth that Effective looks.
  static bool is_effective(const json& document) {
    const auto plain = [](const json& object) {
      return std::none_of(object.begin(), object.end(),
                          [](const json& value) { return value.is_null(); });
    };
    if (!plain(document)) return false;
    for (const json& value : document) {
      if (value.is_object() && !plain(value)) return false;
      if (!value.is_array()) continue;
      for (const json& item : value) {
        if (item.is_null()) return false;
        if (item.is_object() && (!plain(item) || item.contains("void"))) return false;
      }
    }
    return true;
  }

  void judge(const json& document, bool newer) {
    schema(document, newer);
    leaves(document);
    if (!wrong_type_) rules(document);
  }

  void schema(const json& document, bool newer) {
    std::vector<Found> found;
    validate(*data_.root, document, found);
    for (const Found& f : found) {
      if (f.rule == "type") wrong_type_ = true;
      if (hidden(f.path)) continue;
      if (f.rule == "required" && faults_.contains({f.path, "x-nullable"})) continue;
      // A choice that a newer form may have added.
      const bool unknown_choice = newer && f.rule == "enum";
      Fault& fault = add(f.rule, f.path, unknown_choice ? Severity::warn : Severity::error);
      fault.limit = limit_text(*f.node, f.rule);
      const Field* field = leaf_of(f.path);
      const bool named = f.rule == "required" || f.rule == "anyOf";
      if (!named && f.value != nullptr && (field == nullptr || !field->sealed))
        fault.value = shown(*f.value);
      if (f.rule == "anyOf") name_alternatives(*f.node, f.path, fault);
    }
  }

  /// "at least one of": the labels of what each alternative requires.
  void name_alternatives(const Node& node, const std::string& path, Fault& fault) const {
    const std::string container = path.substr(0, path.find('/'));
    for (const Node* part : node.any_of) {
      for (const std::string& name : part->required) {
        const Field* field = form_.find(container, name);
        fault.other_labels.push_back(field != nullptr ? field->label : name);
      }
    }
  }

  void leaves(const json& document) {
    for (const Field& field : data_.fields) {
      if (field.kind == Kind::none && field.list.empty() && field.place.empty() &&
          !field.plausible_max)
        continue;
      if (field.container.empty()) {
        leaf(field, field.name, document);
        continue;
      }
      const auto holder = document.find(field.container);
      if (holder == document.end()) continue;
      if (holder->is_object()) leaf(field, field.container + "/" + field.name, *holder);
      if (!holder->is_array()) continue;
      for (std::size_t i = 0; i < holder->size(); ++i) {
        const json& item = (*holder)[i];
        if (!item.is_object()) continue;
        const auto id = item.find("item_id");
        const std::string name =
            id != item.end() && id->is_string() ? id->get<std::string>() : std::to_string(i);
        leaf(field, field.container + "/" + name + "/" + field.name, item);
      }
    }
  }

  void leaf(const Field& field, const std::string& path, const json& holder) {
    const auto value = holder.find(field.name);
    if (value == holder.end()) return;
    if (value->is_string()) return text_leaf(field, path, value->get_ref<const std::string&>());
    if (value->is_number_integer() && field.plausible_max &&
        value->get<std::int64_t>() > *field.plausible_max) {
      Fault& fault = add("implausible", path, Severity::warn);
      fault.rule_label = "ui.implausible";
      fault.limit = std::to_string(*field.plausible_max);
      if (!field.sealed) fault.value = value->dump();
    }
    if (!value->is_array() || field.list.empty()) return;
    for (std::size_t i = 0; i < value->size(); ++i) {
      if (!(*value)[i].is_string()) continue;
      listed(field, path + "/" + std::to_string(i), (*value)[i].get_ref<const std::string&>());
    }
  }

  void text_leaf(const Field& field, const std::string& path, const std::string& text) {
    if (breaks_kind(field.kind, *field.node, text)) {
      Fault& fault = add("x-kind", path, Severity::error);
      if (!field.sealed) fault.value = shown(json(text));
    }
    listed(field, path, text);
  }

  /// A code that breaks the leaf's own keywords is reported as that, not as unlisted too.
  void listed(const Field& field, const std::string& path, const std::string& code) {
    bool known = true;
    if (!field.list.empty()) {
      const CodeList* list = registry_.list(field.list);
      known = list == nullptr || list->find(code) != nullptr;
    }
    if (!field.place.empty()) {
      // Without a gazetteer of this kind every code would be flagged, which tells nobody anything.
      known =
          registry_.places().find(code) != nullptr || registry_.places().all(field.place).empty();
    }
    const Node& node = field.type == LeafType::list ? *field.node->items : *field.node;
    if (known || !check_text(node, code, [](LeafFault) { return false; })) return;
    Fault& fault = add("unlisted", path, Severity::warn);
    if (!field.sealed) fault.value = shown(json(code));
  }

  void rules(const json& document) {
    std::vector<BrokenRule> broken;
    run_rules(data_.rules, document, sealed_, broken);
    for (const BrokenRule& b : broken) {
      Fault& fault = add(b.rule->id, b.path, b.rule->severity);
      fault.rule_label = b.rule->label;
    }
  }

  /// A fault that may only be there because a sealed value could not be read: at the value, at what
  /// holds it, or anywhere in the same object or item.
  bool hidden(const std::string& path) const {
    if (sealed_.empty()) return false;
    const auto parts = split_path(path);
    std::string scope = path;
    if (parts && !parts->container.empty()) {
      const Container* container = nullptr;
      const auto found = data_.containers.find(parts->container);
      if (found != data_.containers.end()) container = &found->second;
      scope = std::string(parts->container);
      if (container != nullptr && container->repeat) {
        scope += "/" + std::string(parts->item.empty() ? parts->name : parts->item);
      }
    }
    return std::any_of(sealed_.begin(), sealed_.end(), [&](const std::string& sealed) {
      return sealed == path || sealed.starts_with(scope + "/");
    });
  }

  const Field* leaf_of(std::string_view path) const {
    if (const Field* field = form_.find(path)) return field;
    const std::size_t last = path.rfind('/');
    if (last == std::string_view::npos) return nullptr;
    return form_.find(path.substr(0, last));  // a list's member
  }

  std::string label_of(std::string_view path) const {
    if (const Field* field = leaf_of(path)) return field->label;
    const auto container = data_.containers.find(path.substr(0, path.find('/')));
    return container == data_.containers.end() ? std::string() : container->second.label;
  }

  Fault& add(std::string_view rule, const std::string& path, Severity severity) {
    Fault& fault = faults_[{path, std::string(rule)}];
    fault.rule = rule;
    fault.path = path;
    fault.severity = severity;
    fault.rule_label = "error." + fault.rule;
    fault.field_label = label_of(path);
    return fault;
  }

  std::vector<Fault> take() {
    std::vector<Fault> out;
    out.reserve(faults_.size());
    for (auto& [key, fault] : faults_) out.push_back(std::move(fault));
    return out;
  }

  const Registry& registry_;
  const Form& form_;
  const FormData& data_;
  const std::vector<std::string>& sealed_;
  std::map<std::pair<std::string, std::string>, Fault> faults_;
  bool wrong_type_ = false;
};

std::vector<Fault> unknown_type(std::string_view type) {
  Fault fault;
  fault.rule = "unknown_type";
  fault.path = "type";
  fault.rule_label = "error.unknown_type";
  fault.value = shown(json(std::string(type)));
  return {fault};
}

}  // namespace

std::vector<Fault> check_document(const Registry& registry, std::string_view type,
                                  const json& document, Purpose purpose) {
  const Form* form = registry.form(type);
  if (form == nullptr) return unknown_type(type);
  const std::vector<std::string> nothing_sealed;
  Checker checker(registry, *form, nothing_sealed);
  if (purpose == Purpose::draft || !document.is_object() ||
      document.value("state", json()) == "amended") {
    return checker.run(document);
  }
  json final = document;
  final["state"] = "final";
  return checker.run(final);
}

std::vector<Fault> check_record(const Registry& registry, const model::Record& record,
                                const Unseal& unseal) {
  const Form* form = registry.form(record.type);
  if (form == nullptr) return unknown_type(record.type);
  const DocumentView view = to_document(registry, record, unseal);
  return Checker(registry, *form, view.sealed).run(view.document);
}

}  // namespace fieldpost::schema
