// A value compressed but not yet bound to its place in a store: see value_codec.h.
//
// Thread rule: plain values.
#pragma once

#include <cstdint>

#include "base/ids.h"

namespace fieldpost::storage {

struct PackedValue {
  std::uint8_t form = 0;  ///< the codec's own: compressed or not
  Bytes bytes;
  Hash digest;  ///< of form and bytes, where the codec's checksum rests on it
};

}  // namespace fieldpost::storage
