#include "schema/rules.h"

#include <algorithm>
#include <optional>
#include <set>

#include "schema/calendar.h"

namespace fieldpost::schema {

namespace {

using nlohmann::json;

struct PathValue {
  std::string path;
  const json* value;
};

class Run {
 public:
  Run(const Rule& rule, const json& document, const std::vector<std::string>& sealed,
      std::vector<BrokenRule>& out)
      : rule_(rule), document_(document), sealed_(sealed), out_(out) {}

  void run() {
    switch (rule_.op) {
      case RuleOp::unique:
      case RuleOp::exists_in:
        return spread_rule();
      case RuleOp::min_items:
      case RuleOp::max_items:
        return count_rule();
      default:
        break;
    }
    if (rule_.scope.empty()) return one(nullptr);
    for (const LiveItem& item : live_items(document_, rule_.scope)) {
      if (!is_sealed(rule_.scope + "/" + item.name + "/void")) one(&item);
    }
  }

 private:
  bool is_sealed(const std::string& path) const {
    return std::binary_search(sealed_.begin(), sealed_.end(), path);
  }
  /// Is any `array/<id>/field` sealed? An unreadable `void` makes its item unreadable too.
  bool is_sealed_in(const std::string& array, const std::string& field) const {
    const auto items = live_items(document_, array);
    return std::any_of(items.begin(), items.end(), [&](const LiveItem& item) {
      const std::string base = array + "/" + item.name + "/";
      return is_sealed(base + field) || is_sealed(base + "void");
    });
  }

  std::string full(const RulePath& path, const LiveItem* item) const {
    if (path.from_root || item == nullptr) return path.text;  // only a rule of items has such paths
    return rule_.scope + "/" + item->name + "/" + path.text;
  }

  const json* look(const RulePath& path, const LiveItem* item) const {
    const json* at = path.from_root ? &document_ : item->item;
    for (const std::string& name : path.names) {
      if (at == nullptr || !at->is_object()) return nullptr;
      const auto found = at->find(name);
      at = found == at->end() ? nullptr : &*found;
    }
    return at;
  }

  /// nullopt: a value it needs is sealed.
  std::optional<bool> applies(const LiveItem* item) const {
    for (const RuleCondition& c : rule_.when) {
      if (is_sealed(full(c.path, item))) return std::nullopt;
      if (!condition_holds(c.condition, look(c.path, item))) return false;
    }
    return true;
  }

  void broken(std::string path) { out_.push_back({&rule_, std::move(path)}); }

  void one(const LiveItem* item) {
    for (const auto* side : {&rule_.left, &rule_.right}) {
      for (const RulePath& path : *side) {
        if (is_sealed(full(path, item))) return;
      }
    }
    if (applies(item) != true) return;
    if (rule_.op == RuleOp::required || rule_.op == RuleOp::require_one) return presence(item);
    const json* a = look(rule_.left[0], item);
    const json* b = look(rule_.right[0], item);
    if (a == nullptr || b == nullptr) return;
    if (!holds(*a, *b)) broken(full(rule_.left[0], item));
  }

  void presence(const LiveItem* item) {
    std::vector<const RulePath*> missing;
    for (const RulePath& path : rule_.left) {
      if (look(path, item) == nullptr) missing.push_back(&path);
    }
    if (rule_.op == RuleOp::require_one) {
      if (missing.size() == rule_.left.size()) broken(full(rule_.left[0], item));
      return;
    }
    for (const RulePath* path : missing) broken(full(*path, item));
  }

  bool holds(const json& a, const json& b) const {
    if (rule_.op == RuleOp::ne) return a != b;  // true is not 1
    if (rule_.op == RuleOp::starts_with) {
      if (!a.is_string() || !b.is_string()) return true;
      return a.get_ref<const std::string&>().starts_with(b.get_ref<const std::string&>());
    }
    const auto order = compare(a, rule_.left[0], b, rule_.right[0]);
    if (!order) return true;
    return rule_.op == RuleOp::le ? *order <= 0 : *order >= 0;
  }

  static std::optional<int> compare(const json& a, const RulePath& a_path, const json& b,
                                    const RulePath& b_path) {
    const auto timed = [](Kind kind) { return kind == Kind::instant || kind == Kind::date; };
    std::optional<std::int64_t> x, y;
    if (timed(a_path.kind) && timed(b_path.kind)) {
      const bool moments = a_path.kind == Kind::instant && b_path.kind == Kind::instant;
      x = moment(a, a_path.kind, moments);
      y = moment(b, b_path.kind, moments);
    } else {
      x = number(a, a_path);
      y = number(b, b_path);
    }
    if (!x || !y) return std::nullopt;
    return *x < *y ? -1 : *x > *y ? 1 : 0;
  }

  static std::optional<std::int64_t> moment(const json& value, Kind kind, bool as_moment) {
    if (!value.is_string()) return std::nullopt;
    const auto& text = value.get_ref<const std::string&>();
    if (kind == Kind::date) return days_of_date(text);
    const auto instant = parse_instant(text);
    if (!instant) return std::nullopt;
    return as_moment ? instant->ms : instant->days;
  }

  static std::optional<std::int64_t> number(const json& value, const RulePath& path) {
    if (path.band != nullptr) {
      if (!value.is_string()) return std::nullopt;
      const auto found = path.band->find(value.get_ref<const std::string&>());
      return found == path.band->end() ? std::nullopt : std::optional(found->second);
    }
    if (!value.is_number_integer()) return std::nullopt;
    return value.get<std::int64_t>();
  }

  void count_rule() {
    std::size_t count = 0;
    for (const RulePath& path : rule_.left) {
      if (is_sealed_in(path.text, "void")) return;
      count += live_items(document_, path.text).size();
    }
    if (applies(nullptr) != true) return;
    if (rule_.op == RuleOp::min_items ? count < rule_.count : count > rule_.count)
      broken(rule_.left[0].text);
  }

  /// Every value of array/field over the array's live items.
  std::vector<PathValue> spread(const RulePath& path) const {
    std::vector<PathValue> out;
    for (const LiveItem& live : live_items(document_, path.names[0])) {
      const auto value = live.item->find(path.names.back());
      if (value == live.item->end()) continue;
      out.push_back({path.names[0] + "/" + live.name + "/" + path.names.back(), &*value});
    }
    return out;
  }

  void spread_rule() {
    for (const auto* side : {&rule_.left, &rule_.right}) {
      for (const RulePath& path : *side) {
        if (path.names.size() != 2 || is_sealed_in(path.names[0], path.names[1])) return;
      }
    }
    if (applies(nullptr) != true) return;
    std::set<json> seen;
    for (const RulePath& path : rule_.right) {
      for (const PathValue& place : spread(path)) seen.insert(*place.value);
    }
    for (const RulePath& path : rule_.left) {
      for (PathValue& place : spread(path)) {
        const bool known = seen.contains(*place.value);
        if (rule_.op == RuleOp::unique ? known : !known) broken(std::move(place.path));
        if (rule_.op == RuleOp::unique) seen.insert(*place.value);
      }
    }
  }

  const Rule& rule_;
  const json& document_;
  const std::vector<std::string>& sealed_;
  std::vector<BrokenRule>& out_;
};

}  // namespace

std::vector<LiveItem> live_items(const json& document, std::string_view repeat) {
  std::vector<LiveItem> out;
  const auto array = document.find(std::string(repeat));
  if (array == document.end() || !array->is_array()) return out;
  for (std::size_t i = 0; i < array->size(); ++i) {
    const json& item = (*array)[i];
    if (!item.is_object()) continue;
    const auto voided = item.find("void");
    if (voided != item.end() && voided->is_boolean() && voided->get<bool>()) continue;
    const auto id = item.find("item_id");
    const bool named = id != item.end() && id->is_string();
    out.push_back({named ? id->get<std::string>() : std::to_string(i), &item});
  }
  return out;
}

bool condition_holds(const Condition& condition, const json* value) {
  const bool present = value != nullptr && !value->is_null();
  if (condition.present) return present == *condition.present;
  if (!present) return false;
  const auto among = [](const auto& choices, const auto& wanted) {
    return std::find(choices.begin(), choices.end(), wanted) != choices.end();
  };
  if (value->is_string()) return among(condition.in_texts, value->get_ref<const std::string&>());
  if (value->is_boolean()) return among(condition.in_booleans, value->get<bool>());
  if (value->is_number_integer()) return among(condition.in_integers, value->get<std::int64_t>());
  return false;
}

void run_rules(const std::vector<Rule>& rules, const json& document,
               const std::vector<std::string>& sealed, std::vector<BrokenRule>& out) {
  for (const Rule& rule : rules) Run(rule, document, sealed, out).run();
}

}  // namespace fieldpost::schema
