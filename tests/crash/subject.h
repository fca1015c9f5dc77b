// What is killed: a tablet's store or a hub's stores, worked by the production code in a fixed way.
//
// The work is a list of operations, each acknowledged when it returns. It is divided into runs of the program:
// a run opens the store, as the program does when it starts, does its operations and ends. The first run makes
// the store. A run can be begun over any folder that the run before it left.
//
// Thread rule: one thread.
// Invariants:
//   1. Deterministic: an operation over the same store does the same, and stores the same bytes.
//   2. After the first start every operation is one commit in each store it touches.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random_source.h"
#include "model/change.h"
#include "storage/lmdb/lmdb_kv.h"

namespace fieldpost::crash {

namespace fs = std::filesystem;

/// A change as it was acknowledged.
struct Acknowledged {
  model::Dot dot;
  RecordId record;
  Bytes frame;
};

/// BLAKE2b over every key and value of every table of a store.
using Picture = Hash;

/// The program while it runs.
class Session {
 public:
  virtual ~Session() = default;
  /// Does the operation of this number. Answers the changes that are acknowledged with it. Errors: the store's.
  virtual Result<std::vector<Acknowledged>> act(std::size_t number) = 0;
  /// Of each store, in a fixed order.
  virtual Result<std::vector<Picture>> pictures() const = 0;
  /// Everything that the stores can prove of themselves, and what can be reckoned from outside: each chain from
  /// its beginning, signatures, records against changes, counts, positions. Nothing when all is sound.
  virtual std::optional<std::string> fault() const = 0;

  enum class Standing : std::uint8_t {
    missing,
    different,  ///< another change stands under its name
    there,      ///< with the bytes that were acknowledged
    removed,    ///< as it may be once all backups have it; its record has it
  };
  virtual Result<Standing> standing(const Acknowledged& change) const = 0;
  /// How many changes the chains hold, those removed counted.
  virtual Result<std::uint64_t> changes() const = 0;
};

class Subject {
 public:
  virtual ~Subject() = default;
  virtual std::string name() const = 0;
  /// What is done once, before the first start: a hub's `init`, a tablet's enrolment. It may be done again
  /// after it was cut off.
  virtual Status make(const fs::path& folder) const = 0;
  /// Starts the program; `number` is the operation that starting is. Errors: those of the start.
  virtual Result<std::unique_ptr<Session>> open(const fs::path& folder,
                                                std::size_t number) const = 0;
  /// The stores in `folder`, as the program would open them.
  virtual std::vector<storage::LmdbOptions> stores(const fs::path& folder) const = 0;
  /// From now on with this much room in each store; none: as in production.
  void limit_map(std::optional<std::uint64_t> bytes) { map_bytes_max_ = bytes; }

 protected:
  bool limited() const { return map_bytes_max_.has_value(); }
  void limit(storage::LmdbOptions& options) const {
    if (!map_bytes_max_) return;
    options.map_bytes_initial = 64 * 1024;
    options.map_bytes_max = *map_bytes_max_;
    options.reserve_bytes = std::min<std::uint64_t>(options.reserve_bytes, *map_bytes_max_ / 4);
  }

 private:
  std::optional<std::uint64_t> map_bytes_max_;
};

/// `through_desk`: people's work goes through the desk, as in the program; otherwise straight through the recorder,
/// without JSON.
std::unique_ptr<Subject> agent_subject(bool through_desk = true);
std::unique_ptr<Subject> hub_subject();

/// Every key and value of a store's tables.
Result<Picture> picture_of(const storage::LmdbKv& kv, std::size_t tables);
/// The same of stores that nobody has open.
Result<std::vector<Picture>> pictures_of(const std::vector<storage::LmdbOptions>& stores);

/// Random bytes that follow from a number alone.
class Chance {
 public:
  explicit Chance(std::uint64_t number);
  std::uint64_t next();
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(next() % n); }
  void fill(std::span<std::uint8_t> bytes);

 private:
  std::uint64_t state_;
};

}  // namespace fieldpost::crash
