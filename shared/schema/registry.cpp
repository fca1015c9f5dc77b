#include "schema/registry.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "crypto/crypto.h"
#include "schema/node.h"

namespace fieldpost::schema {

using nlohmann::json;

struct Registry::Impl {
  std::map<std::string, Form, std::less<>> forms;
  std::map<std::string, CodeList, std::less<>> lists;
  Labels labels;
  PlaceList places;
  Hash digest;
};

namespace {

/// "records/stop.json" with folder "records/" and suffix ".json" is "stop"; else empty.
std::string_view stem(std::string_view name, std::string_view folder, std::string_view suffix) {
  if (!name.starts_with(folder) || !name.ends_with(suffix)) return {};
  return name.substr(folder.size(), name.size() - folder.size() - suffix.size());
}

Result<json> parse(std::string_view name, BytesView bytes) {
  auto document = json::parse(as_text(bytes), nullptr, false);
  if (document.is_discarded()) return fail(Errc::malformed, std::string(name) + " is not JSON");
  return document;
}

Result<CodeList> read_list(std::string_view name, BytesView bytes) {
  FP_TRY(const json root, parse(name, bytes));
  if (!root.is_object() || !root.contains("entries") || !root["entries"].is_array()) {
    return fail(Errc::malformed, std::string(name) + " has no entries");
  }
  std::vector<ListEntry> entries;
  for (const auto& raw : root["entries"]) {
    if (!raw.is_object() || !raw.contains("code") || !raw["code"].is_string()) {
      return fail(Errc::malformed, std::string(name) + ": an entry has no code");
    }
    ListEntry entry;
    entry.code = raw["code"].get<std::string>();
    const json labels = raw.value("labels", json::object());  // items() refers to it
    for (const auto& [language, label] : labels.items()) {
      if (label.is_object() && label.contains("text") && label["text"].is_string()) {
        entry.labels.emplace(language, label["text"].get<std::string>());
      }
    }
    entry.minor_digits = raw.value("minor_digits", 0);
    entries.push_back(std::move(entry));
  }
  return CodeList(std::move(entries));
}

}  // namespace

const ListEntry* CodeList::find(std::string_view code) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const ListEntry& entry) { return entry.code == code; });
  return found == entries_.end() ? nullptr : &*found;
}

Registry::Registry(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Registry::~Registry() = default;
Registry::Registry(Registry&&) noexcept = default;
Registry& Registry::operator=(Registry&&) noexcept = default;

Result<Registry> Registry::load(std::span<const EmbeddedFile> files) try {
  auto impl = std::make_unique<Impl>();
  std::map<std::string, BytesView, std::less<>> by_name;
  for (const EmbeddedFile& file : files) by_name[std::string(file.name)] = file.bytes;
  crypto::Hasher hasher("fieldpost schema digest v1");
  for (const auto& [name, bytes] : by_name) {
    if (const auto type = stem(name, "records/", ".json"); !type.empty()) {
      FP_TRY(const json root, parse(name, bytes));
      FP_TRY(auto form, compile_form(name, root));
      if (form.type() != type) {
        return fail(Errc::malformed, name + " describes the type " + std::string(form.type()));
      }
      hasher.update(crypto::hash("fieldpost schema file v1", {as_bytes(name)}).view());
      hasher.update(crypto::hash("fieldpost schema file v1", {bytes}).view());
      impl->forms.emplace(std::string(type), std::move(form));
    } else if (const auto language = stem(name, "labels/", ".json"); !language.empty()) {
      FP_CHECK_OK(impl->labels.add(language, bytes));
    } else if (const auto list = stem(name, "lists/", ".json"); !list.empty()) {
      FP_TRY(auto codes, read_list(name, bytes));
      impl->lists.emplace(std::string(list), std::move(codes));
    } else if (const auto places = stem(name, "places/", ".csv"); !places.empty()) {
      const auto problems = impl->places.add_csv(bytes);
      if (!problems.empty()) {
        return fail(Errc::malformed,
                    name + " line " + std::to_string(problems[0].line) + ": " + problems[0].text);
      }
    }
  }
  impl->digest = hasher.finish();
  for (const auto& [type, form] : impl->forms) {
    for (const Field& field : form.fields()) {
      if (!field.list.empty() && !impl->lists.contains(field.list)) {
        return fail(Errc::malformed, "records/" + type + ".json: " + field.name + " names lists/" +
                                         field.list + ".json, which is missing");
      }
    }
  }
  return Registry(std::move(impl));
} catch (const json::exception& error) {
  // A member of an unexpected kind; compile_form checks most by hand with a better message.
  return fail(Errc::malformed,
              std::string("a schema file is not as schemas/README.md says: ") + error.what());
}

const Hash& Registry::digest() const { return impl_->digest; }

std::vector<std::string_view> Registry::types() const {
  std::vector<std::string_view> out;
  for (const auto& [type, form] : impl_->forms) out.push_back(type);
  return out;
}

const Form* Registry::form(std::string_view type) const {
  const auto found = impl_->forms.find(type);
  return found == impl_->forms.end() ? nullptr : &found->second;
}

const CodeList* Registry::list(std::string_view name) const {
  const auto found = impl_->lists.find(name);
  return found == impl_->lists.end() ? nullptr : &found->second;
}

const Labels& Registry::labels() const { return impl_->labels; }
const PlaceList& Registry::places() const { return impl_->places; }

std::string Registry::message(const Fault& fault, std::string_view language,
                              bool with_value) const {
  const Labels& words = impl_->labels;
  std::string field(fault.field_label.empty() ? fault.path
                                              : words.text(fault.field_label, language));
  std::string others;
  for (const std::string& label : fault.other_labels) {
    others += (others.empty() ? "" : ", ") + std::string(words.text(label, language));
  }
  const std::string value = with_value && !fault.value.empty() ? fault.value : "…";
  std::string text =
      fill_in(words.text(fault.rule_label, language), {{"field", field},
                                                       {"value", value},
                                                       {"limit", fault.limit},
                                                       {"fields", others},
                                                       {"line", std::to_string(fault.line)},
                                                       {"count", value},          // csv.columns
                                                       {"other", fault.limit}});  // csv.duplicate
  // A rule's own message speaks of the fields itself; where it stands still helps in a long form.
  const bool names_field =
      words.text(fault.rule_label, language).find("{field}") != std::string_view::npos;
  return names_field || field.empty() ? text : field + ": " + text;
}

bool has_error(const std::vector<Fault>& faults) {
  return std::any_of(faults.begin(), faults.end(),
                     [](const Fault& fault) { return fault.severity == Severity::error; });
}

}  // namespace fieldpost::schema
