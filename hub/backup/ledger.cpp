#include "hub/backup/ledger.h"

#include <algorithm>

#include "base/text.h"
#include "storage/pack.h"

namespace fieldpost::hub::backup {

namespace {

using storage::Packer;
using storage::Unpacker;

constexpr std::uint8_t kPageVersion = 1;
constexpr std::string_view kLedgerFileTag = "fieldpost.v1.ledger-file";
constexpr std::size_t kLedgerFileBytesMax = std::size_t{256} << 20;

fs::path folder_of(const Repository& repository) { return repository.folder() / "ledger"; }
fs::path file_of(const Repository& repository, std::uint64_t number) {
  return folder_of(repository) / std::to_string(number);
}

Bytes pack_page(const LedgerPage& page) {
  Packer out;
  out.u8(kPageVersion).i64(page.time.ms).id(page.previous).u64(page.entries.size());
  for (const auto& [store, entries] : page.entries) {
    out.text(store).u64(entries.size());
    for (const Bytes& entry : entries) out.blob(entry);
  }
  return out.take();
}

Result<LedgerPage> unpack_page(BytesView bytes) {
  Unpacker in(bytes);
  if (in.u8() != kPageVersion)
    return fail(Errc::unsupported, "was written by a newer version of this program");
  LedgerPage page;
  page.time = Instant{in.i64()};
  page.previous = in.id<Hash>();
  for (std::uint64_t stores = in.u64(); stores > 0 && !in.failed(); --stores) {
    auto& entries = page.entries[in.text()];
    for (std::uint64_t n = in.u64(); n > 0 && !in.failed(); --n)
      entries.push_back(to_bytes(in.blob()));
  }
  FP_CHECK_OK(in.finish("file of the ledger"));
  return page;
}

Hash hash_of(BytesView file) { return crypto::hash(kLedgerFileTag, {file}); }

Result<std::vector<std::uint64_t>> numbers_of(const Repository& repository) {
  std::vector<std::uint64_t> numbers;
  std::error_code error;
  fs::directory_iterator at(folder_of(repository), error);
  if (error == std::errc::no_such_file_or_directory) return numbers;  // nothing was ever erased
  for (; !error && at != fs::directory_iterator(); at.increment(error)) {
    const std::string name = at->path().filename().string();
    const auto number = integer_from_text(name);
    if (number && *number > 0 && std::to_string(*number) == name)
      numbers.push_back(static_cast<std::uint64_t>(*number));
  }
  if (error)
    return fail(Errc::io, folder_of(repository).string() + " cannot be read: " + error.message());
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

LedgerFile read_one(Repository& repository, std::uint64_t number) {
  LedgerFile file;
  file.place.number = number;
  const fs::path path = file_of(repository, number);
  const auto sealed = keys::read_file(path, kLedgerFileBytesMax);
  if (!sealed) {
    file.fault =
        sealed.error().is(Errc::not_found) ? path.string() + " is missing" : sealed.error().detail;
    return file;
  }
  file.place.hash = hash_of(*sealed);
  const auto plain = repository.vault().open_ledger(number, *sealed);
  auto page = plain ? unpack_page(*plain) : Result<LedgerPage>(plain.error());
  if (page)
    file.page = *std::move(page);
  else
    file.fault = path.string() + ": " + page.error().detail;
  return file;
}

Result<storage::LedgerPlace> append_page(Repository& repository, std::uint64_t number,
                                         const LedgerPage& page) {
  FP_CHECK_OK(keys::make_private_directory(folder_of(repository)));
  const fs::path path = file_of(repository, number);
  FP_TRY(keys::AtomicFile file, keys::AtomicFile::create(path, 0600));
  const Bytes plain = pack_page(page);
  FP_CHECK_OK(file.write(repository.vault().seal_ledger(number, plain)));
  FP_CHECK_OK(file.sync());
  FP_TRY(const Bytes back, file.read_back());
  const auto read = repository.vault().open_ledger(number, back);
  if (!read || *read != plain)
    return fail(Errc::corrupt, path.string() +
                                   " came back from the disk otherwise than it was written: do "
                                   "not trust this disk, name a folder on another");
  FP_CHECK_OK(file.commit_new());
  FP_CHECK_OK(keys::sync_folder(repository.folder()));
  return storage::LedgerPlace{number, hash_of(back)};
}

/// How a store stands to the files after taking in what it could read of them.
struct TakenIn {
  bool same = true;      ///< it is the ledger that the store knew
  bool missing = false;  ///< a file that the store never took in cannot be read
  storage::LedgerPlace
      reached;  ///< all files up to this one; another ledger is known as read when it has the whole list
};
Result<TakenIn> take_in(const LedgerStore& store, const std::vector<LedgerFile>& files,
                        Carried& carried) {
  FP_TRY(const storage::LedgerState state, store.reader->ledger());
  TakenIn in;
  in.same = state.read.number == 0 ||
            std::any_of(files.begin(), files.end(),
                        [&](const LedgerFile& file) { return file.place == state.read; });
  // Up to the first that cannot be read: when that one is put back it is taken in, and those behind it again.
  if (in.same) in.reached = state.read;
  for (const LedgerFile& file : files) {
    if (in.same && file.place.number <= state.read.number) continue;
    if (!file.page) {
      in.missing = true;
      continue;
    }
    if (!in.missing) in.reached = file.place;
    const auto entries = file.page->entries.find(store.name);
    Result<storage::LedgerTaken> taken = fail(Errc::closed, "the hub is stopping");
    store.write([&](storage::HubStore& s) {
      taken = s.take_ledger(in.same ? in.reached : state.read, entries == file.page->entries.end()
                                                                   ? std::vector<Bytes>{}
                                                                   : entries->second);
    });
    FP_TRY(const storage::LedgerTaken done, std::move(taken));
    carried.taken.erased += done.erased;
    carried.taken.holds += done.holds;
    if (store.erased && !done.records.empty()) store.erased(done.records);
  }
  return in;
}

}  // namespace

Result<std::vector<LedgerFile>> read_ledger_files(Repository& repository) {
  FP_TRY(const auto numbers, numbers_of(repository));
  std::vector<LedgerFile> files;
  if (numbers.empty()) return files;
  for (std::uint64_t number = 1; number <= numbers.back(); ++number) {
    files.push_back(read_one(repository, number));
    if (!files.back().fault.empty()) continue;
    const Hash before = number == 1 ? Hash{} : files[number - 2].place.hash;
    if (files.back().page->previous != before)
      files.back().fault =
          file_of(repository, number).string() +
          " does not follow the file before it: one of them is not what was written";
  }
  return files;
}

std::vector<std::string> ledger_faults(const std::vector<LedgerFile>& files) {
  std::vector<std::string> faults;
  for (const LedgerFile& file : files) {
    if (!file.fault.empty()) faults.push_back("the ledger of erased records: " + file.fault);
  }
  return faults;
}

Result<Carried> carry_ledger(Repository& repository, const std::vector<LedgerStore>& stores,
                             Instant now, bool append) {
  Carried carried;
  FP_TRY(const auto files, read_ledger_files(repository));
  carried.faults = ledger_faults(files);
  LedgerPage page;
  page.time = now;
  if (!files.empty()) page.previous = files.back().place.hash;
  struct Noted {
    std::uint64_t last = 0;  ///< of the entries that the new file holds
    std::optional<storage::LedgerPlace>
        reached;  ///< where the store stays; at the new file without it
  };
  std::map<std::string, Noted> notes;
  for (const LedgerStore& store : stores) {
    FP_TRY(const TakenIn in, take_in(store, files, carried));
    if (!in.same && !append)
      carried.faults.push_back("the ledger of erased records is not the one that the " +
                               store.name + " store knew: its end is missing");
    if (!append) continue;
    FP_TRY(storage::LedgerState state, store.reader->ledger());
    Noted& note = notes[store.name];
    note.last = state.last;
    if (in.missing) note.reached = in.reached;
    std::vector<Bytes> entries = std::move(state.waiting);
    if (!in.same) {
      FP_TRY(entries, store.reader->whole_ledger());
    }
    carried.written += entries.size();
    if (!entries.empty()) page.entries[store.name] = std::move(entries);
  }
  if (carried.written == 0) return carried;
  FP_TRY(const storage::LedgerPlace place,
         append_page(repository, files.empty() ? 1 : files.back().place.number + 1, page));
  for (const LedgerStore& store : stores) {
    Status noted = fail(Errc::closed, "the hub is stopping");
    const Noted& note = notes[store.name];
    store.write([&](storage::HubStore& s) {
      noted = s.ledger_written(note.reached.value_or(place), note.last);
    });
    FP_CHECK_OK(noted);
  }
  return carried;
}

}  // namespace fieldpost::hub::backup
