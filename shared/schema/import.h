// A CSV of records of one type, row by row, as documents (schemas/README.md, "CSV import").
//
// Thread rule: a CsvImport belongs to one thread.
// Invariants:
//   1. A bad row never stops the others; every fault names its physical line and column.
//   2. The same bytes and options give the same rows.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schema/check.h"
#include "schema/csv.h"

namespace fieldpost::schema {

struct ImportedRow {
  std::size_t line = 0;
  std::string external_id;    ///< empty when the file has none
  nlohmann::json document;    ///< null when the row could not be read at all
  std::vector<Fault> faults;  ///< paths are columns: "persons.0.age_estimate"
  bool good() const { return !has_error(faults); }
};

struct ImportOptions {
  int offset_minutes = 420;  ///< of instants written without one
  /// What any new record is filled with: id, unit, author, captured_at, ref_no … for this row.
  /// The row's own columns win; state defaults to final, type and schema_version are set here.
  std::function<nlohmann::json(std::size_t line, std::string_view external_id)> envelope;
  /// Default: the column's number, padded: "00000000", "00000001".
  std::function<std::string(std::string_view container, std::size_t number)> item_id;
};

/// A record's path as the file's columns say it, for items numbered by the default `item_id`:
/// "persons/00000001/dob" → "persons.1.dob", "position/lat" → "position.lat".
std::string column_of(std::string_view path);

class CsvImport {
 public:
  /// Errors: `invalid_argument` for an unknown type, no header, an unknown or repeated column, naming it.
  static Result<CsvImport> open(const Registry& registry, std::string_view type, BytesView file,
                                ImportOptions options);
  std::optional<ImportedRow> next();
  std::size_t columns() const { return columns_.size(); }

 private:
  struct Column {
    std::string name;  ///< as the header says
    std::string container;
    std::optional<std::size_t> number;
    const Field* field = nullptr;  ///< nullptr: external_id
  };
  CsvImport(const Registry& registry, const Form& form, CsvReader reader, ImportOptions options);
  static Result<Column> column(const Form& form, const std::string& name);
  ImportedRow row(CsvRecord record);
  void fill(const CsvRecord& record, ImportedRow& row);
  void check(ImportedRow& row) const;
  std::string item_id_of(std::string_view container, std::size_t number) const;

  const Registry* registry_;
  const Form* form_;
  CsvReader reader_;
  ImportOptions options_;
  std::vector<Column> columns_;
  std::map<std::string, std::size_t, std::less<>> seen_;  ///< external id → line of a good row
};

}  // namespace fieldpost::schema
