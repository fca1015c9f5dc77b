// Files compiled into the program by cmake/Embed.cmake.
//
// Thread rule: constants.
#pragma once

#include <span>
#include <string_view>

#include "base/bytes.h"

namespace fieldpost {

struct EmbeddedFile {
  std::string_view name;  ///< path relative to the folder given to fieldpost_embed
  BytesView bytes;
};

/// Each is defined in the target that embeds it.
std::span<const EmbeddedFile>
embedded_schemas();  ///< fieldpost_schema: schemas/{records,labels,lists,places}
std::span<const EmbeddedFile> embedded_dictionaries();  ///< fieldpost_wire: schemas/dictionaries
std::span<const EmbeddedFile> embedded_api();           ///< fieldpost_hub: hub/api/openapi.json

}  // namespace fieldpost
