#include "schema/form.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/limits.h"
#include "schema/node.h"

namespace fieldpost::schema {

Form::Form(std::unique_ptr<const FormData> data) : data_(std::move(data)) {}
Form::~Form() = default;
Form::Form(Form&&) noexcept = default;
Form& Form::operator=(Form&&) noexcept = default;

std::string_view Form::type() const { return data_->type; }
std::uint32_t Form::version() const { return data_->version; }
Compartment Form::compartment() const { return data_->compartment; }
bool Form::sealed() const { return data_->sealed; }
std::string_view Form::label() const { return data_->label; }
std::span<const std::string> Form::title_fields() const { return data_->title_fields; }
std::span<const Field> Form::fields() const { return data_->fields; }

bool is_item_id(std::string_view text) {
  constexpr std::size_t kChars = 8;
  return text.size() == kChars && std::all_of(text.begin(), text.end(), [](char c) {
           const bool letter = c >= 'a' && c <= 'z' && c != 'i' && c != 'l' && c != 'o' && c != 'u';
           return letter || (c >= '0' && c <= '9');
         });
}

std::optional<PathParts> split_path(std::string_view path) {
  const std::size_t first = path.find('/');
  if (first == std::string_view::npos) return PathParts{{}, {}, path};
  const std::string_view container = path.substr(0, first);
  const std::string_view rest = path.substr(first + 1);
  const std::size_t second = rest.find('/');
  if (second == std::string_view::npos) return PathParts{container, {}, rest};
  const std::string_view name = rest.substr(second + 1);
  if (name.find('/') != std::string_view::npos) return std::nullopt;
  return PathParts{container, rest.substr(0, second), name};
}

const Field* Form::find(std::string_view path) const {
  const auto parts = split_path(path);
  if (!parts) return nullptr;
  const Field* field = find(parts->container, parts->name);
  if (field == nullptr) return nullptr;
  const bool fits = field->in_repeat ? is_item_id(parts->item) : parts->item.empty();
  return fits ? field : nullptr;
}

const Field* Form::find(std::string_view container, std::string_view name) const {
  std::string_view key = name;
  std::array<char, limits::kPathBytesMax + 1> buffer;
  if (!container.empty()) {
    const std::size_t size = container.size() + 1 + name.size();
    if (size > buffer.size()) return nullptr;
    std::memcpy(buffer.data(), container.data(), container.size());
    buffer[container.size()] = '/';
    std::memcpy(buffer.data() + container.size() + 1, name.data(), name.size());
    key = {buffer.data(), size};
  }
  const auto found = data_->index.find(key);
  if (found == data_->index.end()) return nullptr;
  const Field& field = data_->fields[found->second];
  // "vehicles/plate" given as a name alone leads nowhere.
  return field.container == container ? &field : nullptr;
}

bool Form::is_repeat(std::string_view name) const {
  const auto found = data_->containers.find(name);
  return found != data_->containers.end() && found->second.repeat;
}

bool Form::is_object(std::string_view name) const {
  const auto found = data_->containers.find(name);
  return found != data_->containers.end() && !found->second.repeat;
}

}  // namespace fieldpost::schema
