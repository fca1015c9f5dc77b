#include "model/value.h"

#include <array>

#include "base/limits.h"

namespace fieldpost::model {
namespace {

enum class PathByte : std::uint8_t { refused, name, separator };

constexpr std::array<PathByte, 256> path_bytes() {
  std::array<PathByte, 256> table{};
  for (std::size_t c = 'a'; c <= 'z'; ++c) table[c] = PathByte::name;
  for (std::size_t c = '0'; c <= '9'; ++c) table[c] = PathByte::name;
  table['_'] = PathByte::name;
  table['/'] = PathByte::separator;
  return table;
}
constexpr auto kPathBytes = path_bytes();

}  // namespace

bool is_path(std::string_view path) {
  if (path.empty() || path.size() > limits::kPathBytesMax) return false;
  // Every field of every change passes here: one table look-up a byte, parts looked at only at a '/'.
  std::size_t parts = 1;
  std::size_t part_begin = 0;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const auto kind = kPathBytes[static_cast<std::uint8_t>(path[i])];
    if (kind == PathByte::name) continue;
    if (kind == PathByte::refused || i == part_begin || ++parts > 4) return false;
    part_begin = i + 1;
  }
  return part_begin < path.size();
}

}  // namespace fieldpost::model
