// A strict RFC 4180 reader that never stops at a bad line.
//
// Thread rule: a CsvReader belongs to one thread; it holds a view of the caller's bytes.
// Invariants:
//   1. Every byte belongs to exactly one record; a broken record ends where its line ends.
//   2. `line` is the physical line on which a record starts; the first is 1.
//   3. Cells and records are bounded before they are copied.
// Source: RFC 4180, with the leniencies of schemas/README.md (byte-order mark, LF, spaces around
// quoted cells, a quote inside an unquoted cell).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace fieldpost::schema {

inline constexpr std::size_t kCsvCellBytesMax = 16 * 1024;    ///< one text value
inline constexpr std::size_t kCsvRecordBytesMax = 64 * 1024;  ///< one change
inline constexpr std::size_t kCsvCellsMax = 1024;             ///< one change's edits

struct CsvRecord {
  std::size_t line = 0;
  std::vector<std::string> cells;     ///< trimmed; not necessarily UTF-8 where `bad_utf8` says so
  std::vector<std::size_t> bad_utf8;  ///< indices of cells that are not UTF-8
  std::string problem;  ///< rule id, "csv.quote" or "csv.too_large"; cells are empty then
};

class CsvReader {
 public:
  explicit CsvReader(BytesView bytes);
  /// The next record that is not blank, or nullopt at the end.
  std::optional<CsvRecord> next();

 private:
  enum class Outcome { record, blank, broken };
  Outcome read(CsvRecord& record);
  void skip_line();

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

}  // namespace fieldpost::schema
