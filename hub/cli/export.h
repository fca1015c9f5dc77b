// export: what the hub hands on, as a file.
//
// Thread rule: main's thread.
#pragma once

#include "hub/cli/client.h"

namespace fieldpost::hub {

struct SealedExport {
  std::string file;  ///< "-": standard output
  std::string unit;  ///< empty: all
};

/// Writes the sealed visits as NDJSON, page by page, to a new file of mode 0600; answers how many. The file
/// has its name only when it is whole. Errors: `already_exists`; `io`; the API's sentence.
Result<std::uint64_t> export_sealed(Client& client, const SealedExport& what);

}  // namespace fieldpost::hub
