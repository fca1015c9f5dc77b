#include "tests/crash/disk_log.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <set>

namespace fieldpost::crash {
namespace {

Bytes slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

void spill(const fs::path& path, const Bytes& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) throw std::runtime_error(path.string() + " cannot be written");
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

void put(Bytes& file, std::uint64_t offset, BytesView bytes) {
  if (file.size() < offset + bytes.size()) file.resize(offset + bytes.size());
  std::copy(bytes.begin(), bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(offset));
}

/// Which file a call was about when it was made, whatever the file is called later.
std::vector<std::size_t> files_of(const std::vector<LogCall>& calls,
                                  std::map<std::string, std::size_t> names, std::size_t next) {
  std::vector<std::size_t> files;
  for (const LogCall& call : calls) {
    if (call.call == FAULTY_CREATE) names[call.path] = next++;
    const auto at = names.find(call.path);
    files.push_back(at == names.end() ? SIZE_MAX : at->second);
    if (call.call == FAULTY_RENAME && at != names.end()) {
      names[call.other] = at->second;
      names.erase(call.path);
    }
    if (call.call == FAULTY_UNLINK) names.erase(call.path);
  }
  return files;
}

}  // namespace

Result<DiskLog> DiskLog::read(const fs::path& file, const fs::path& before) {
  DiskLog log;
  log.log_ = slurp(file);
  for (const auto& entry : fs::recursive_directory_iterator(before)) {
    const std::string path = fs::relative(entry.path(), before).string();
    if (entry.is_directory())
      log.folders_before_.push_back(path);
    else
      log.before_[path] = slurp(entry.path());
  }
  const auto cut = fail(Errc::malformed, "the log of the disk is cut short");
  std::size_t at = 0;
  while (at < log.log_.size()) {
    faulty_entry entry;
    if (log.log_.size() - at < sizeof entry) return cut;
    std::memcpy(&entry, log.log_.data() + at, sizeof entry);
    at += sizeof entry;
    LogCall call;
    call.call = static_cast<faulty_call>(entry.call);
    call.offset = entry.offset;
    const std::size_t names = std::size_t{entry.path_size} + entry.other_size;
    if (log.log_.size() - at < names + entry.size) return cut;
    const auto* text = reinterpret_cast<const char*>(log.log_.data()) + at;
    call.path.assign(text, entry.path_size);
    call.other.assign(text + entry.path_size, entry.other_size);
    call.bytes = BytesView(log.log_).subspan(at + names, entry.size);
    at += names + entry.size;
    log.calls_.push_back(std::move(call));
  }
  return log;
}

std::uint64_t DiskLog::acknowledged(std::size_t end, std::uint64_t none) const {
  std::uint64_t mark = none;
  for (std::size_t i = 0; i < end; ++i)
    if (calls_[i].call == FAULTY_NOTE) mark = calls_[i].offset;
  return mark;
}

std::vector<std::size_t> DiskLog::pending(std::size_t end) const {
  Names names;
  std::size_t next = 0;
  for (const auto& [path, bytes] : before_) names[path] = next++;
  const std::vector<std::size_t> files = files_of(calls_, names, next);
  std::vector<std::size_t> open;
  for (std::size_t i = 0; i < end; ++i) {
    const LogCall& call = calls_[i];
    const bool data = call.call == FAULTY_WRITE || call.call == FAULTY_TRUNCATE;
    if (data || call.names() || (call.call == FAULTY_WRITE_SYNC && ignore_syncs_))
      open.push_back(i);
    if (ignore_syncs_) continue;
    if (call.call == FAULTY_SYNC)
      std::erase_if(open,
                    [&](std::size_t j) { return !calls_[j].names() && files[j] == files[i]; });
    if (call.call == FAULTY_SYNC_FOLDER) {
      // A journal keeps the order: what came before a durable name is durable.
      std::size_t last = 0;
      for (const std::size_t j : open) {
        const bool here = calls_[j].names() && folder_of(calls_[j].path) == call.path;
        if (here) last = j + 1;
      }
      std::erase_if(open, [&](std::size_t j) { return calls_[j].names() && j < last; });
    }
  }
  return open;
}

void DiskLog::make_image(std::size_t end, const Choice& choose, const fs::path& folder) const {
  Names names;
  std::vector<Bytes> files;
  for (const auto& [path, bytes] : before_) {
    names[path] = files.size();
    files.push_back(bytes);
  }
  const std::vector<std::size_t> file_of = files_of(calls_, names, files.size());
  std::set<std::string> folders(folders_before_.begin(), folders_before_.end());
  const std::vector<std::size_t> pending_calls = pending(end);
  bool names_end = false;
  for (std::size_t i = 0; i < end; ++i) {
    const LogCall& call = calls_[i];
    const bool in_flight = i + 1 == end;
    const bool open =
        in_flight || std::binary_search(pending_calls.begin(), pending_calls.end(), i);
    const std::optional<Part> part = open ? choose(i) : std::nullopt;
    if (call.call == FAULTY_CREATE && files.size() <= file_of[i]) files.resize(file_of[i] + 1);
    if (call.writes() && file_of[i] < files.size()) {
      for (const Piece& piece : part ? *part : whole(call))
        put(files[file_of[i]], call.offset + piece.from,
            call.bytes.subspan(piece.from, piece.to - piece.from));
    }
    const bool left_out = part && part->empty();
    if (call.call == FAULTY_TRUNCATE && file_of[i] < files.size() && !left_out)
      files[file_of[i]].resize(call.offset);
    if (!call.names()) continue;
    names_end = names_end || left_out;
    if (names_end) continue;
    if (call.call == FAULTY_MKDIR) folders.insert(call.path);
    if (call.call == FAULTY_CREATE) names[call.path] = file_of[i];
    if (call.call == FAULTY_UNLINK) names.erase(call.path);
    if (call.call == FAULTY_RENAME) {
      names[call.other] = file_of[i];
      names.erase(call.path);
    }
  }
  fs::remove_all(folder);
  fs::create_directory(folder);
  for (const std::string& path : folders)
    if (!path.empty()) fs::create_directories(folder / path);
  for (const auto& [path, file] : names)
    if (file < files.size()) spill(folder / path, files[file]);
}

}  // namespace fieldpost::crash
