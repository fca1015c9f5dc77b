#include "hub/cli/export.h"

#include <cstdio>
#include <filesystem>
#include <optional>

#include "keys/secret_file.h"
#include "net/http.h"

namespace fieldpost::hub {

using nlohmann::json;

namespace {

constexpr int kPage = 200;

Result<std::optional<keys::AtomicFile>> open_file(const std::string& name) {
  std::optional<keys::AtomicFile> file;
  if (name == "-") return file;
  std::error_code unreadable;
  const auto there = std::filesystem::symlink_status(name, unreadable);
  if (unreadable && there.type() != std::filesystem::file_type::not_found)
    return fail(Errc::invalid_argument,
                "'" + name + "' cannot be written: " + unreadable.message());
  if (std::filesystem::exists(there)) {
    return fail(Errc::already_exists,
                "'" + name + "' is there already and is left as it is; name a new file");
  }
  FP_TRY(keys::AtomicFile made, keys::AtomicFile::create(name, 0600));
  file.emplace(std::move(made));
  return file;
}

}  // namespace

Result<std::uint64_t> export_sealed(Client& client, const SealedExport& what) {
  FP_TRY(auto file, open_file(what.file));
  std::uint64_t count = 0;
  std::string after;
  do {
    FP_TRY(const json page, client.call("GET", net::make_target({"v1", "export", "sealed"},
                                                                {{"limit", std::to_string(kPage)},
                                                                 {"unit", what.unit},
                                                                 {"after", after}})));
    std::string lines;
    for (const json& visit : page["visits"]) lines += visit.dump() + "\n";
    if (file)
      FP_CHECK_OK(file->write(as_bytes(lines)));
    else if (std::fwrite(lines.data(), 1, lines.size(), stdout) != lines.size())
      return fail(Errc::io, "cannot write to standard output");
    count += page["visits"].size();
    after = page.value("next_after", "");
  } while (!after.empty());
  if (file)
    FP_CHECK_OK(file->commit_new());
  else if (std::fflush(stdout) != 0)
    return fail(Errc::io, "cannot write to standard output");
  return count;
}

}  // namespace fieldpost::hub
