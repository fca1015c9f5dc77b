#include "model/value.h"

#include "base/limits.h"

namespace fieldpost::model {

bool is_path(std::string_view path) {
  if (path.empty() || path.size() > limits::kPathBytesMax) return false;
  std::size_t parts = 1;
  std::size_t part_length = 0;
  for (char c : path) {
    if (c == '/') {
      if (part_length == 0 || ++parts > 4) return false;
      part_length = 0;
      continue;
    }
    const bool allowed = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    if (!allowed) return false;
    ++part_length;
  }
  return part_length > 0;
}

}  // namespace fieldpost::model
