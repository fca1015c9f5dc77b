// Field values and sealed values. A value is opaque to the merge: only equality matters there.
//
// Thread rule: plain values.
// Invariants:
//   1. No floating point exists here: quantities and money are integers in the smallest unit.
//   2. A Sealed value refers to a Seal that stands in the same change or dot group.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"

namespace fieldpost::model {

struct Null {
  friend bool operator==(const Null&, const Null&) = default;
};

using ListItem = std::variant<std::int64_t, std::string>;
using List = std::vector<ListItem>;

/// XChaCha20-Poly1305 ciphertext under the seal's content key; padded to size classes before sealing.
struct Sealed {
  SealId seal;
  Bytes ciphertext;
  friend bool operator==(const Sealed&, const Sealed&) = default;
};

using Value = std::variant<Null, bool, std::int64_t, std::string, List, Sealed>;

/// A path and the value it takes.
struct FieldValue {
  std::string path;  ///< "direction", "position/lat", "drug_items/k3x9d2m1/net_mg"
  Value value;
  friend bool operator==(const FieldValue&, const FieldValue&) = default;
};

/// The content key of a seal, sealed to one recipient.
struct KeyBox {
  KeyId recipient;
  Bytes box;  ///< crypto::box_seal of the 32-byte content key
  friend bool operator==(const KeyBox&, const KeyBox&) = default;
};

/// One fresh content key and the boxes that carry it. Stands once per change or dot group.
struct Seal {
  SealId id;
  std::vector<KeyBox> boxes;  ///< sorted by recipient; all begin with the same ephemeral key
  friend bool operator==(const Seal&, const Seal&) = default;
};

/// Lower-case letters, digits, '_' in 1–4 parts joined by '/', at most kPathBytesMax bytes.
[[nodiscard]] bool is_path(std::string_view path);

}  // namespace fieldpost::model
