#include "storage/hub_ledger.h"

#include "storage/hub_erase.h"
#include "storage/hub_holds.h"
#include "storage/hub_tables.h"

namespace fieldpost::storage {

using namespace hub_tables;

Bytes pack_ledger_entry(LedgerKind kind, BytesView body) {
  return Packer().u8(static_cast<std::uint8_t>(kind)).raw(body).take();
}

Status note_in_ledger(KvWrite& write, ValueCodec& codec, LedgerKind kind, BytesView body) {
  FP_TRY(const auto last, write.last_key(kLedger, {}));
  const Bytes key = Packer().u64(last ? Unpacker(*last).u64() + 1 : 1).take();
  return write.put(kLedger, key, codec.encode(kLedger, key, pack_ledger_entry(kind, body)));
}

Result<LedgerState> read_ledger(const KvRead& read, ValueCodec& codec) {
  LedgerState state;
  FP_TRY(const auto value, read.get(kMeta, as_bytes(kMetaLedgerRead)));
  if (value) {
    Unpacker in(*value);
    state.read.number = in.u64();
    state.read.hash = in.id<Hash>();
    FP_CHECK_OK(in.finish("place in the ledger"));
  }
  FP_CHECK_OK(
      read.scan(kLedger, {}, {}, [&](BytesView key, BytesView entry) -> Result<KvRead::Step> {
        FP_TRY(Bytes plain, codec.decode(kLedger, key, entry));
        state.waiting.push_back(std::move(plain));
        state.last = Unpacker(key).u64();
        return KvRead::Step::more;
      }));
  return state;
}

Status ledger_written(KvWrite& write, const LedgerPlace& file, std::uint64_t last) {
  std::vector<Bytes> done;
  FP_CHECK_OK(write.scan(kLedger, {}, {}, [&](BytesView key, BytesView) -> Result<KvRead::Step> {
    if (Unpacker(key).u64() > last) return KvRead::Step::stop;
    done.push_back(to_bytes(key));
    return KvRead::Step::more;
  }));
  for (const Bytes& key : done) FP_CHECK_OK(write.erase(kLedger, key));
  return write.put(kMeta, as_bytes(kMetaLedgerRead),
                   Packer().u64(file.number).id(file.hash).bytes());
}

Result<std::vector<Bytes>> whole_ledger(const KvRead& read, ValueCodec& codec) {
  std::vector<Bytes> all;
  FP_CHECK_OK(
      read.scan(kErased, {}, {}, [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
        FP_TRY(const Bytes plain, codec.decode(kErased, key, value));
        all.push_back(pack_ledger_entry(LedgerKind::erased, plain));
        return KvRead::Step::more;
      }));
  FP_TRY(const auto holds, read_holds(read, codec));
  for (const LegalHold& hold : holds)
    all.push_back(pack_ledger_entry(LedgerKind::hold, pack_hold(hold)));
  return all;
}

Status take_ledger_entry(KvWrite& write, ValueCodec& codec, BytesView entry, LedgerTaken& taken) {
  Unpacker in(entry);
  const std::uint8_t kind = in.u8();
  const BytesView body = in.rest();
  if (kind == static_cast<std::uint8_t>(LedgerKind::hold)) {
    FP_TRY(const LegalHold hold, unpack_hold(body));
    FP_TRY(const bool fresh, merge_hold(write, codec, hold));
    taken.holds += fresh ? 1 : 0;
    return {};
  }
  if (kind != static_cast<std::uint8_t>(LedgerKind::erased))
    return fail(Errc::unsupported, "an entry of a kind that this version does not know");
  FP_TRY(const ErasedRecord said, unpack_erased(body));
  FP_TRY(const auto known, read_erased(write, codec, said.id));
  FP_TRY(const auto there, write.get(kRecords, said.id.view()));
  if (known && known->known.covers(said.known) && !there) return {};
  std::uint64_t changes = 0;
  FP_TRY(ErasedRecord erased, erase_record(write, codec, said, changes));
  // This store knows more changes of it than the one that wrote the entry.
  if (!said.known.covers(erased.known))
    FP_CHECK_OK(note_in_ledger(write, codec, LedgerKind::erased, pack_erased(erased)));
  ++taken.erased;
  taken.records.push_back(std::move(erased));
  return {};
}

}  // namespace fieldpost::storage
