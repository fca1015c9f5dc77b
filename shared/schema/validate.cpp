#include "schema/validate.h"

#include "schema/calendar.h"

namespace fieldpost::schema {

namespace {

using nlohmann::json;

bool type_fits(NodeType type, const json& value) {
  switch (type) {
    case NodeType::any:
      return true;
    case NodeType::object:
      return value.is_object();
    case NodeType::array:
      return value.is_array();
    case NodeType::string:
      return value.is_string();
    case NodeType::integer:
      return value.is_number_integer();
    case NodeType::boolean:
      return value.is_boolean();
  }
  return false;
}

std::int64_t saturated(const json& value) {
  if (value.is_number_unsigned() &&
      value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
    return INT64_MAX;
  }
  return value.get<std::int64_t>();
}

/// One walk; without `out` it only answers, and stops at the first fault.
class Walk {
 public:
  explicit Walk(std::vector<Found>* out) : out_(out) {}

  bool run(const Node& node, const json& value) {
    if (!type_fits(node.type, value)) return fault("type", node, value);
    bool good = leaf(node, value);
    if (!good && out_ == nullptr) return false;
    if (value.is_array() && !array(node, value)) good = false;
    if (!good && out_ == nullptr) return false;
    if (value.is_object() && !object(node, value)) good = false;
    if (!good && out_ == nullptr) return false;
    return combined(node, value) && good;
  }

 private:
  bool fault(std::string_view rule, const Node& node, const json& value) {
    if (out_ != nullptr) out_->push_back({path(), rule, &node, &value, {}});
    return false;
  }

  bool leaf(const Node& node, const json& value) {
    const auto report = [&](LeafFault found) {
      // `not` is judged with the combinations, for every kind of value.
      if (found.rule == "not") return true;
      fault(found.rule, node, value);
      return out_ != nullptr;
    };
    bool not_broken = false;
    const auto counted = [&](LeafFault found) {
      if (found.rule != "not") not_broken = true;
      return report(found);
    };
    if (value.is_string()) {
      check_text(node, value.get_ref<const std::string&>(), counted);
    } else if (value.is_number_integer()) {
      check_integer(node, saturated(value), counted);
    } else if (value.is_boolean()) {
      check_boolean(node, value.get<bool>(), counted);
    } else if (node.constant || !node.enumeration.empty()) {
      return fault(node.constant ? "const" : "enum", node, value);
    }
    return !not_broken;
  }

  bool array(const Node& node, const json& value) {
    bool good = true;
    if (node.min_items && value.size() < *node.min_items) good = fault("minItems", node, value);
    if (node.max_items && value.size() > *node.max_items) good = fault("maxItems", node, value);
    if (node.items == nullptr) return good;
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (!good && out_ == nullptr) return false;
      const std::size_t before = path_.size();
      step(item_name(value[i], i));
      if (!run(*node.items, value[i])) good = false;
      path_.resize(before);
    }
    return good;
  }

  static std::string item_name(const json& item, std::size_t index) {
    if (item.is_object()) {
      const auto id = item.find("item_id");
      if (id != item.end() && id->is_string()) return id->get<std::string>();
    }
    return std::to_string(index);
  }

  bool object(const Node& node, const json& value) {
    bool good = true;
    for (const std::string& name : node.required) {
      if (value.contains(name)) continue;
      if (out_ == nullptr) return false;
      good = at(name, [&] { return fault("required", node, value); });
    }
    for (const auto& [name, member] : value.items()) {
      const Node* known = node.property(name);
      if (known == nullptr && !node.closed) continue;
      const bool fits = at(name, [&] {
        // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): the analyzer loses the binding's value
        return known != nullptr ? run(*known, member) : fault("additionalProperties", node, member);
      });
      if (!fits) good = false;
      if (!good && out_ == nullptr) return false;
    }
    return good;
  }

  bool combined(const Node& node, const json& value) {
    bool good = true;
    for (const Node* part : node.all_of) {
      if (!run(*part, value)) good = false;
      if (!good && out_ == nullptr) return false;
    }
    if (!node.any_of.empty()) {
      bool any = false;
      for (const Node* part : node.any_of) any = any || valid(*part, value);
      if (!any) good = fault("anyOf", node, value);
    }
    if (!node.one_of.empty()) {
      int count = 0;
      for (const Node* part : node.one_of) count += valid(*part, value) ? 1 : 0;
      if (count != 1) good = fault("oneOf", node, value);
    }
    if (node.negated != nullptr && valid(*node.negated, value)) good = fault("not", node, value);
    if (node.condition != nullptr) {
      const Node* branch = valid(*node.condition, value) ? node.when_true : node.when_false;
      if (branch != nullptr && !run(*branch, value)) good = false;
    }
    return good;
  }

  template <class Body>
  bool at(std::string_view name, const Body& body) {
    const std::size_t before = path_.size();
    step(name);
    const bool good = body();
    path_.resize(before);
    return good;
  }
  void step(std::string_view name) {
    if (out_ == nullptr) return;
    if (!path_.empty()) path_ += '/';
    path_ += name;
  }
  std::string path() const { return path_; }

  std::vector<Found>* out_;
  std::string path_;
};

}  // namespace

void validate(const Node& node, const json& value, std::vector<Found>& out) {
  Walk(&out).run(node, value);
}

bool valid(const Node& node, const json& value) { return Walk(nullptr).run(node, value); }

namespace detail {

bool fits_text(const Node& node, std::string_view text) {
  return check_text(node, text, [](LeafFault) { return false; });
}

bool fits_integer(const Node& node, std::int64_t value) {
  return check_integer(node, value, [](LeafFault) { return false; });
}

}  // namespace detail

bool breaks_kind(Kind kind, const Node& node, std::string_view text) {
  if (kind != Kind::date && kind != Kind::instant) return false;
  if (node.pattern && !node.pattern->matches(text)) return false;
  return kind == Kind::date ? !days_of_date(text) : !parse_instant(text);
}

std::string limit_text(const Node& node, std::string_view rule) {
  const auto shown = [](const Scalar& value) {
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
    return std::string(std::get<bool>(value) ? "true" : "false");
  };
  if (rule == "minimum" && node.minimum) return std::to_string(*node.minimum);
  if (rule == "maximum" && node.maximum) return std::to_string(*node.maximum);
  if (rule == "minLength" && node.min_length) return std::to_string(*node.min_length);
  if (rule == "maxLength" && node.max_length) return std::to_string(*node.max_length);
  if (rule == "minItems" && node.min_items) return std::to_string(*node.min_items);
  if (rule == "maxItems" && node.max_items) return std::to_string(*node.max_items);
  if (rule == "const" && node.constant) return shown(*node.constant);
  if (rule == "pattern" && node.pattern) return node.pattern->source();
  if (rule == "enum") {
    std::string all;
    for (const Scalar& choice : node.enumeration) all += (all.empty() ? "" : ", ") + shown(choice);
    return all;
  }
  return {};
}

}  // namespace fieldpost::schema
