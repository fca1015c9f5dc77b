#include "schema/csv.h"

#include "base/text.h"

namespace fieldpost::schema {

namespace {

/// Spaces that schemas/README.md trims from a cell. Looked at byte by byte: a cell need not be UTF-8.
std::string_view trimmed_cell(std::string_view cell) {
  constexpr std::string_view kSpaces[] = {" ", "\t", "\r", "\n", "\xC2\xA0", "\xE2\x80\x8B"};
  for (bool moved = true; moved;) {
    moved = false;
    for (std::string_view space : kSpaces) {
      if (cell.starts_with(space)) {
        cell.remove_prefix(space.size());
        moved = true;
      }
      if (cell.ends_with(space)) {
        cell.remove_suffix(space.size());
        moved = true;
      }
    }
  }
  return cell;
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

}  // namespace

CsvReader::CsvReader(BytesView bytes) : text_(as_text(bytes)) {
  if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
}

void CsvReader::skip_line() {
  const std::size_t end = text_.find('\n', at_);
  at_ = end == std::string_view::npos ? text_.size() : end + 1;
  ++line_;
}

CsvReader::Outcome CsvReader::read(CsvRecord& record) {
  enum class In { start, plain, quoted, closed };
  const std::size_t begin = at_;
  const std::size_t first_line = line_;
  const auto broken = [&](const char* rule) {
    // Back to where the record began, and over that one physical line: the next line may be good.
    at_ = begin;
    line_ = first_line;
    skip_line();
    record.cells.clear();
    record.bad_utf8.clear();
    record.problem = rule;
    return Outcome::broken;
  };
  record = {};
  record.line = first_line;
  std::string cell;
  In in = In::start;
  bool blank = true;
  for (;; ++at_) {
    const bool end = at_ >= text_.size();
    if (end && in == In::quoted) return broken("csv.quote");
    const char c = end ? '\n' : text_[at_];
    if (in == In::quoted) {
      if (c == '"' && at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
        cell += '"';
        ++at_;
      } else if (c == '"') {
        in = In::closed;
      } else {
        if (c == '\n' && cell.ends_with('\r')) cell.pop_back();  // CRLF becomes LF
        cell += c;
        line_ += c == '\n';
      }
    } else if (c == ',' || c == '\n') {
      const std::string_view text = trimmed_cell(cell);
      if (!text.empty()) blank = false;
      if (!is_utf8(text)) record.bad_utf8.push_back(record.cells.size());
      record.cells.emplace_back(text);
      cell.clear();
      in = In::start;
      if (c == '\n') break;
    } else if (c == '"' && in == In::start) {
      cell.clear();  // the spaces before the quote
      in = In::quoted;
    } else if (in != In::closed) {
      cell += c;
      if (!is_blank(c)) in = In::plain;
    } else if (!is_blank(c)) {
      return broken("csv.quote");
    }
    if (cell.size() > kCsvCellBytesMax || at_ - begin > kCsvRecordBytesMax ||
        record.cells.size() >= kCsvCellsMax) {
      return broken("csv.too_large");
    }
  }
  if (at_ < text_.size()) ++at_;
  ++line_;
  return blank ? Outcome::blank : Outcome::record;
}

std::optional<CsvRecord> CsvReader::next() {
  CsvRecord record;
  while (at_ < text_.size()) {
    if (read(record) != Outcome::blank) return record;
  }
  return std::nullopt;
}

}  // namespace fieldpost::schema
