// What was asked of a disk, and what would be on it if the power went: images of a folder.
//
// The disk keeps what was synced. Of what was not, it may have any part: each write by itself, whole or in sectors, in
// any order. Names are kept in order, as journals of file systems do: of those that no sync of their folder made
// durable, the last ones may be missing.
//
// Thread rule: one thread.
// Invariants:
//   1. A sync makes durable what was written to that file before it. A write through a descriptor that syncs
//      each write is durable when it returns, and only itself.
//   2. A sector is written whole or not at all.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tests/crash/faulty_disk.h"
#include "tests/crash/subject.h"

namespace fieldpost::crash {

inline constexpr std::size_t kSectorBytes = 512;

struct LogCall {
  faulty_call call = FAULTY_NOTE;
  std::string path;
  std::string other;
  std::uint64_t offset = 0;  ///< or the size of a truncation, or the mark of a note
  BytesView bytes;           ///< of the log
  bool writes() const { return call == FAULTY_WRITE || call == FAULTY_WRITE_SYNC; }
  bool names() const {
    return call == FAULTY_CREATE || call == FAULTY_RENAME || call == FAULTY_UNLINK ||
           call == FAULTY_MKDIR;
  }
};

class DiskLog {
 public:
  /// `before`: the folder as it was when the log began; all of it is durable. Errors: `malformed`.
  static Result<DiskLog> read(const fs::path& file, const fs::path& before);

  const std::vector<LogCall>& calls() const { return calls_; }
  /// What had been acknowledged when `end` calls were done; `none` before the first note.
  std::uint64_t acknowledged(std::size_t end, std::uint64_t none) const;
  /// Calls before `end` that nothing has made durable by then, ascending.
  std::vector<std::size_t> pending(std::size_t end) const;

  /// Which part of a pending write is on the disk: first and last byte of a piece, counted within the write.
  /// Empty: none of it.
  struct Piece {
    std::size_t from = 0;
    std::size_t to = 0;
  };
  using Part = std::vector<Piece>;
  static Part whole(const LogCall& call) { return {{0, call.bytes.size()}}; }
  /// Decides for a pending call, or the last one, which is in flight; a name that is left out takes all later ones
  /// with it.
  using Choice = std::function<std::optional<Part>(std::size_t call)>;

  /// Makes `folder` what the disk would hold had the power gone after `end` calls. What `choose` answers nothing
  /// for is on the disk whole.
  void make_image(std::size_t end, const Choice& choose, const fs::path& folder) const;

  /// As if the disk kept syncs for itself: nothing of this log is ever durable. To see that the checks see.
  void ignore_syncs() { ignore_syncs_ = true; }

 private:
  using Names = std::map<std::string, std::size_t>;  ///< path → file

  Bytes log_;
  std::vector<LogCall> calls_;
  std::map<std::string, Bytes> before_;
  std::vector<std::string> folders_before_;
  bool ignore_syncs_ = false;
};

}  // namespace fieldpost::crash
