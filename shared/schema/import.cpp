#include "schema/import.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "schema/calendar.h"
#include "schema/words.h"

namespace fieldpost::schema {

namespace {

using nlohmann::json;

constexpr std::size_t kItemDigits = 8;
// An item id has eight characters; a file with more columns than this is not a form.
constexpr std::size_t kItemsMax = 1000;

Fault cell_fault(const std::string& column, std::string rule, const Field* field = nullptr) {
  Fault fault;
  fault.rule = std::move(rule);
  fault.path = column;
  fault.rule_label = "error." + fault.rule;
  if (field != nullptr) fault.field_label = field->label;
  return fault;
}

/// The value of a cell that is not empty, or nullopt: not the right kind (rule "type").
std::optional<json> cell_value(const Field& field, const std::string& cell, int offset_minutes) {
  std::string text = field.free_text ? cell : ascii_digits(cell);
  switch (field.type) {
    case LeafType::integer: {
      const bool bare =
          !text.empty() &&
          text.find_first_not_of("0123456789", text[0] == '-' ? 1 : 0) == std::string::npos;
      if (field.scale > 0) {
        auto scaled = scaled_from_text(text, field.scale);
        // Degrees are written with a point; a bare integer is what a document holds.
        if (!bare) return scaled ? std::optional<json>(*scaled) : std::nullopt;
      }
      const auto value = integer_from_text(text);
      return bare && value ? std::optional<json>(*value) : std::nullopt;
    }
    case LeafType::boolean: {
      const auto flag = yes_or_no(text);
      return flag ? std::optional<json>(*flag) : std::nullopt;
    }
    case LeafType::list: {
      json list = json::array();
      for (std::string_view part : split(text, ';')) {
        if (const auto bare = trimmed(part); !bare.empty()) list.push_back(std::string(bare));
      }
      return list;
    }
    case LeafType::text:
      break;
  }
  if (field.kind == Kind::instant) return with_offset(std::move(text), offset_minutes);
  return field.choices.empty() ? text : ascii_lower(text);
}

}  // namespace

std::string column_of(std::string_view path) {
  std::string column;
  for (const std::string_view part : split(path, '/')) {
    if (!column.empty()) column += '.';
    const auto number = part.size() == kItemDigits
                            ? integer_from_text(part)
                            : Result<std::int64_t>(fail(Errc::malformed, ""));
    column += number && *number >= 0 ? std::to_string(*number) : std::string(part);
  }
  return column;
}

CsvImport::CsvImport(const Registry& registry, const Form& form, CsvReader reader,
                     ImportOptions options)
    : registry_(&registry), form_(&form), reader_(reader), options_(std::move(options)) {}

Result<CsvImport::Column> CsvImport::column(const Form& form, const std::string& name) {
  Column column;
  column.name = name;
  if (name == "external_id") return column;
  const auto parts = split(name, '.');
  const auto unknown = [&] {
    return fail(Errc::invalid_argument,
                "column " + name + " is not a field of the form " + std::string(form.type()));
  };
  if (parts.size() > 3) return unknown();
  if (parts.size() > 1) column.container = parts[0];
  if (parts.size() == 3) {
    std::size_t number = 0;
    const char* end = parts[1].data() + parts[1].size();
    const auto read = std::from_chars(parts[1].data(), end, number);
    if (read.ec != std::errc{} || read.ptr != end || number >= kItemsMax) return unknown();
    column.number = number;
  }
  column.field = form.find(column.container, parts.back());
  if (column.field == nullptr || column.field->in_repeat != column.number.has_value())
    return unknown();
  return column;
}

Result<CsvImport> CsvImport::open(const Registry& registry, std::string_view type, BytesView file,
                                  ImportOptions options) {
  const Form* form = registry.form(type);
  if (form == nullptr)
    return fail(Errc::invalid_argument, "there is no form for " + std::string(type));
  CsvImport import(registry, *form, CsvReader(file), std::move(options));
  const auto header = import.reader_.next();
  if (!header || !header->problem.empty() || !header->bad_utf8.empty()) {
    return fail(Errc::invalid_argument, "the first line must name the columns, in UTF-8");
  }
  for (const std::string& name : header->cells) {
    FP_TRY(auto column, CsvImport::column(*form, name));
    for (const Column& earlier : import.columns_) {
      if (earlier.name == name)
        return fail(Errc::invalid_argument, "column " + name + " stands twice");
    }
    import.columns_.push_back(std::move(column));
  }
  return import;
}

std::optional<ImportedRow> CsvImport::next() {
  auto record = reader_.next();
  if (!record) return std::nullopt;
  ImportedRow read = row(*std::move(record));
  for (Fault& fault : read.faults) fault.line = read.line;
  return read;
}

ImportedRow CsvImport::row(CsvRecord record) {
  ImportedRow row;
  row.line = record.line;
  if (!record.problem.empty()) {
    row.faults.push_back(cell_fault("", record.problem));
  } else if (record.cells.size() != columns_.size()) {
    Fault fault = cell_fault("", "csv.columns");
    fault.value = std::to_string(record.cells.size());
    fault.limit = std::to_string(columns_.size());
    row.faults.push_back(std::move(fault));
  } else {
    for (std::size_t index : record.bad_utf8)
      row.faults.push_back(cell_fault(columns_[index].name, "csv.utf8", columns_[index].field));
  }
  if (!row.faults.empty()) return row;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i].field == nullptr) row.external_id = record.cells[i];
  }
  if (const auto earlier = seen_.find(row.external_id);
      !row.external_id.empty() && earlier != seen_.end()) {
    Fault fault = cell_fault("external_id", "csv.duplicate");
    fault.value = row.external_id;
    fault.limit = std::to_string(earlier->second);
    row.faults.push_back(std::move(fault));
    return row;
  }
  fill(record, row);
  if (row.faults.empty()) check(row);  // what cannot be read cannot be judged
  if (row.good() && !row.external_id.empty()) seen_.emplace(row.external_id, row.line);
  return row;
}

std::string CsvImport::item_id_of(std::string_view container, std::size_t number) const {
  if (options_.item_id) return options_.item_id(container, number);
  const std::string digits = std::to_string(number);
  return std::string(kItemDigits - digits.size(), '0') + digits;
}

void CsvImport::fill(const CsvRecord& record, ImportedRow& row) {
  json document = options_.envelope ? options_.envelope(row.line, row.external_id) : json::object();
  document["type"] = std::string(form_->type());
  document["schema_version"] = form_->version();
  if (!document.contains("state")) document["state"] = "final";
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const Column& column = columns_[i];
    if (column.field == nullptr || record.cells[i].empty()) continue;
    auto value = cell_value(*column.field, record.cells[i], options_.offset_minutes);
    if (!value) {
      Fault fault = cell_fault(column.name, "type", column.field);
      if (!column.field->sealed) fault.value = record.cells[i].substr(0, 80);
      row.faults.push_back(std::move(fault));
      continue;
    }
    json* holder = &document;
    if (!column.container.empty()) holder = &document[column.container];
    if (column.number) {
      const std::string id = item_id_of(column.container, *column.number);
      if (holder->is_null()) *holder = json::array();
      auto item = std::find_if(holder->begin(), holder->end(),
                               [&](const json& known) { return known["item_id"] == id; });
      if (item == holder->end()) {
        holder->push_back(json{{"item_id", id}});
        item = std::prev(holder->end());
      }
      holder = &*item;
    }
    (*holder)[column.field->name] = *std::move(value);
  }
  row.document = std::move(document);
}

void CsvImport::check(ImportedRow& row) const {
  auto clean = normalised(*registry_, form_->type(), row.document);
  if (!clean) {  // only what the envelope brought can do that
    Fault fault = cell_fault("", "type");
    fault.value = clean.error().detail;
    row.faults.push_back(std::move(fault));
    return;
  }
  row.document = *std::move(clean);
  row.faults = check_document(*registry_, form_->type(), row.document);
  for (Fault& fault : row.faults) {
    const auto parts = split_path(fault.path);
    if (parts && !parts->container.empty()) {
      for (const Column& column : columns_) {
        if (!column.number || column.container != parts->container) continue;
        const std::string_view item = parts->item.empty() ? parts->name : parts->item;
        if (item_id_of(column.container, *column.number) != item) continue;
        const std::string rest = parts->item.empty() ? "" : "." + std::string(parts->name);
        fault.path = column.container + "." + std::to_string(*column.number) + rest;
        break;
      }
    }
    std::replace(fault.path.begin(), fault.path.end(), '/', '.');
  }
}

}  // namespace fieldpost::schema
