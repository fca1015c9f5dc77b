// One record form, compiled: every leaf a record of this type may hold and what its schema says.
//
// Thread rule: immutable after Registry::load; shared across threads.
// Invariants:
//   1. `find` neither allocates nor throws, for any text.
//   2. Pointers and views handed out live as long as the Registry.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace fieldpost::schema {

struct Node;      // a compiled schema, shared/schema/node.h
struct FormData;  // the tables behind a Form

enum class Compartment : std::uint8_t { enforcement, health };
enum class LeafType : std::uint8_t { boolean, integer, text, list };
enum class Merge : std::uint8_t { conflict, latest, write_once };
enum class Kind : std::uint8_t { none, instant, date, record_id, attachment_item };
enum class Widget : std::uint8_t {
  hidden,
  text,
  textarea,
  select,
  multiselect,
  date,
  instant,
  integer,
  weight,
  money,
  plate,
  place,
  scan,
  position,
  boolean,
  attachment,
};

/// A condition of x-when or of a rule's `when`.
struct Condition {
  std::string field;            ///< of the same object or item; "/state" from the root
  std::optional<bool> present;  ///< else `in`
  std::vector<std::string> in_texts;
  std::vector<bool> in_booleans;
  std::vector<std::int64_t> in_integers;
};

/// One leaf: a field with a value.
struct Field {
  std::string container;   ///< "" at the root, "position" in an object, "vehicles" in a repeat
  std::string name;        ///< "plate"
  bool in_repeat = false;  ///< the path is container/<item id>/name
  std::string label;       ///< key in the catalogues; a choice's is label + "." + value
  LeafType type = LeafType::text;
  Merge merge = Merge::conflict;
  Kind kind = Kind::none;
  Widget widget = Widget::hidden;
  bool sealed = false;
  bool aggregate = false;
  bool envelope = false;
  bool nullable = true;
  bool free_text = false;   ///< Khmer digits stay: textarea and names
  bool restricted = false;  ///< x-restricted: identity
  std::string unit;         ///< mg, ml, minor, count, m, years, days, percent; may be empty
  int scale = 0;            ///< the integer is the value times 10^scale
  std::optional<std::int64_t> minimum, maximum;  ///< of an integer, where the form sets them
  std::optional<std::size_t> fixed_length;  ///< of a text whose pattern has one length (a date)
  std::optional<std::int64_t> plausible_max;
  std::string list;           ///< codes come from lists/NAME.json; may be empty
  std::string place;          ///< "checkpoint", "commune" or empty
  std::string default_kind;   ///< last, now, author, unit, device, const, or empty
  std::string default_value;  ///< of const:VALUE
  std::string derived_from;   ///< x-derived: the field of the same object or item
  std::string derived_how;    ///< plate_norm or month
  std::optional<int> ask;
  std::vector<Condition> when;
  std::vector<std::string> choices;  ///< of `enum`, of the leaf or of its members when a list
  const Node* node = nullptr;
};

class Form {
 public:
  explicit Form(std::unique_ptr<const FormData> data);
  ~Form();
  Form(Form&&) noexcept;
  Form& operator=(Form&&) noexcept;

  std::string_view type() const;
  std::uint32_t version() const;
  Compartment compartment() const;
  bool sealed() const;  ///< a property that does not say is sealed; the change's reason too
  std::string_view label() const;
  std::span<const std::string> title_fields() const;
  /// Every leaf, by container and name.
  std::span<const Field> fields() const;
  /// The leaf a path leads to, or nullptr. Knows "position/lat" and "vehicles/v3h1c2e1/plate"; an
  /// item id of the wrong shape leads nowhere.
  const Field* find(std::string_view path) const;
  /// The same by container and name, as a CSV header or a question names them.
  const Field* find(std::string_view container, std::string_view name) const;
  bool is_repeat(std::string_view name) const;
  bool is_object(std::string_view name) const;

  const FormData& data() const { return *data_; }

 private:
  std::unique_ptr<const FormData> data_;
};

/// Eight characters of 0-9 a-z without i l o u.
bool is_item_id(std::string_view text);

/// "plate" of "vehicles/v3h1c2e1/plate"; containers, names and ids apart.
struct PathParts {
  std::string_view container;
  std::string_view item;
  std::string_view name;
};
std::optional<PathParts> split_path(std::string_view path);

}  // namespace fieldpost::schema
