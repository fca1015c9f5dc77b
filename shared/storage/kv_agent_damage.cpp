// Damaged values of a tablet's store: noticed while reading, set aside, settled when the hub has said again
// what they said.
//
// Keys of the damaged table: kind (its high bit: settled) ‖ the value's own key. A damaged base is moved there.
// An own change stays in its chain, where a copy goes from here: its place must not look as if nothing had
// been. An exception stays, too: hello names its change, and the hub says it again.
#include "base/planted.h"
#include "storage/kv_agent_tables.h"

namespace fieldpost::storage {

namespace {

constexpr std::uint8_t kSettled = 0x80;

Bytes pack_damage(const Damage& damage) {
  return Packer()
      .u8(1)
      .id(damage.record)
      .u8(damage.found ? 1 : 0)
      .i64(damage.found.value_or(Instant{}).ms)
      .u8(damage.acked ? 1 : 0)
      .blob(damage.raw)
      .take();
}

std::string number_words(const model::Dot& dot) {
  return "change " + std::to_string(dot.counter.value) + " of this tablet (" + model::to_text(dot) +
         ")";
}

}  // namespace

std::string damage_words(const Damage& damage) {
  const std::string since = damage.found ? ", found " + to_text(*damage.found) : std::string();
  const std::string of = damage.record.is_zero() ? "" : " of record " + to_text(damage.record);
  switch (damage.kind) {
    case Damage::Kind::record:
      return "record " + to_text(damage.record) + " was damaged on this tablet's disk" + since +
             (damage.settled ? "; the hub delivered it again"
                             : "; it is fetched again at the next sync");
    case Damage::Kind::draft:
      return "draft " + to_text(damage.record) + " was damaged on this tablet's disk" + since +
             " and was nowhere else: write it again" +
             (damage.settled
                  ? ""
                  : ", then dismiss this with: fieldpost-agent discard " + to_text(damage.record));
    case Damage::Kind::own_change:
      break;
  }
  if (damage.acked) {
    return number_words(damage.dot) + of + " was damaged on this tablet's disk" + since +
           "; the hub has it" +
           (damage.settled ? ", and what it said is here"
                           : ", and what it said comes back at the next sync");
  }
  std::string when;
  if (damage.made_after) when += " after " + to_text(*damage.made_after);
  if (damage.made_before)
    when += (when.empty() ? " before " : " and before ") + to_text(*damage.made_before);
  return number_words(damage.dot) + of + (when.empty() ? "" : ", made" + when) +
         ", was damaged on this tablet's disk before it was sent" + since +
         (damage.settled
              ? "; the chain goes on without it"
              : ": it cannot be sent, and what was recorded after it waits. Write it down again "
                "from "
                "memory or paper as a new record, keep this tablet, and tell the hub's operator");
}

Bytes KvAgentStore::damage_key(Damage::Kind kind, bool settled, BytesView key) {
  const auto first = static_cast<std::uint8_t>(kind);
  return Packer().u8(settled ? first | kSettled : first).raw(key).take();
}

std::string KvAgentStore::unreadable_words(BytesView dot_key) {
  Unpacker in(dot_key);
  const ActorId actor = in.actor();
  return number_words({actor, in.seq()}) +
         " was damaged on this tablet's disk; 'fieldpost-agent status' says what becomes of it";
}

Result<std::optional<Bytes>> KvAgentStore::open_value(TableId table, BytesView key,
                                                      BytesView value) const {
  auto plain = codec_.decode(table, key, value);
  if (plain) return std::optional<Bytes>(*std::move(plain));
  if (!plain.error().is(Errc::corrupt)) return std::move(plain).error();
  note_damage(plain.error(), table, key);
  return std::optional<Bytes>();
}

Result<wire::ChangeException> KvAgentStore::open_exception(BytesView key, BytesView value) const {
  FP_TRY(const auto plain, open_value(kExceptions, key, value));
  if (plain) return unpack_exception(*plain);
  Unpacker in(key);
  wire::ChangeException unknown;
  unknown.actor = in.actor();
  unknown.counter = in.seq();
  unknown.kind = wire::ExceptionKind::quarantined;
  unknown.rule = "damaged";
  unknown.detail =
      "what the hub said of this change was damaged on this tablet's disk; the hub says it again "
      "at "
      "the next sync.";
  return unknown;
}

Result<bool> KvAgentStore::is_damaged(const KvRead& read, const RecordId& id) {
  FP_TRY(const auto open, read.get(kDamaged, damage_key(Damage::Kind::record, false, id.view())));
  return open.has_value();
}

Status KvAgentStore::collect_damaged(const KvRead& read, const RecordId& after, std::size_t limit,
                                     std::vector<RecordId>& ids) {
  std::size_t found = 0;
  return read.scan(kDamaged, damage_key(Damage::Kind::record, false, {}),
                   damage_key(Damage::Kind::record, false, after.view()),
                   [&](BytesView key, BytesView) -> Result<KvRead::Step> {
                     FP_TRY(const RecordId id, RecordId::from(key.subspan(1)));
                     if (id == after) return KvRead::Step::more;
                     ids.push_back(id);
                     return ++found < limit ? KvRead::Step::more : KvRead::Step::stop;
                   });
}

// ---- setting aside ----

Status KvAgentStore::put_damage(KvWrite& write, const Damage& damage, BytesView key) const {
  const Bytes place = damage_key(damage.kind, damage.settled, key);
  return write.put(kDamaged, place, codec_.encode(kDamaged, place, pack_damage(damage)));
}

Result<std::optional<Damage>> KvAgentStore::get_damage(const KvRead& read, Damage::Kind kind,
                                                       bool settled, BytesView key) const {
  const Bytes place = damage_key(kind, settled, key);
  FP_TRY(const auto value, read.get(kDamaged, place));
  if (!value) return std::optional<Damage>();
  FP_TRY(Damage damage, open_damage(place, *value));
  return std::optional<Damage>(std::move(damage));
}

Result<Damage> KvAgentStore::open_damage(BytesView key, BytesView value) const {
  Damage damage;
  damage.kind = static_cast<Damage::Kind>(key[0] & ~kSettled);
  damage.settled = (key[0] & kSettled) != 0;
  const BytesView place = key.subspan(1);
  if (damage.kind == Damage::Kind::own_change) {
    Unpacker dot(place);
    damage.dot.actor = dot.actor();
    damage.dot.counter = dot.seq();
  } else {
    FP_TRY(damage.record, RecordId::from(place));
  }
  auto plain = codec_.decode(kDamaged, key, value);
  // Rot may strike twice: that something was damaged is known all the same.
  if (!plain && plain.error().is(Errc::corrupt)) return damage;
  if (!plain) return std::move(plain).error();
  Unpacker in(*plain);
  in.u8();
  damage.record = in.id<RecordId>();
  const bool known = in.u8() != 0;
  const Instant found{in.i64()};
  if (known) damage.found = found;
  damage.acked = in.u8() != 0;
  damage.raw = to_bytes(in.blob());
  FP_CHECK_OK(in.finish("damaged value's note"));
  return damage;
}

Status KvAgentStore::stand_on_own_changes(KvWrite& write, const RecordId& id) const {
  std::vector<Bytes> own;
  for (const OwnActor& actor : stored_.state.actors) {
    FP_CHECK_OK(write.scan(kChain, Packer().actor(actor.actor).bytes(), {},
                           [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
                             const auto entry = open_chain(key, value);
                             if (!entry) return KvRead::Step::more;  // noted: its turn comes
                             FP_TRY(const auto framed, wire::decode_change_frame(entry->frame));
                             if (framed.record == id)
                               own.push_back(Packer().id(id).raw(key).take());
                             return KvRead::Step::more;
                           }));
  }
  for (const Bytes& key : own) FP_CHECK_OK(write.put(kOwn, key, {}));
  return {};
}

Status KvAgentStore::set_change_aside(KvWrite& write, BytesView dot, BytesView raw, Instant now,
                                      bool& fetch) const {
  Damage damage;
  damage.kind = Damage::Kind::own_change;
  Unpacker in(dot);
  damage.dot.actor = in.actor();
  damage.dot.counter = in.seq();
  for (const bool settled : {false, true}) {
    FP_TRY(const auto known, get_damage(write, damage.kind, settled, dot));
    if (known) return {};
  }
  damage.found = now;
  damage.raw = to_bytes(raw);
  const OwnActor* chain = stored_.state.find(damage.dot.actor);
  damage.acked = chain != nullptr && damage.dot.counter <= chain->acked;
  FP_CHECK_OK(write.scan(kOwn, {}, {}, [&](BytesView key, BytesView) -> Result<KvRead::Step> {
    if (!names_record(key) ||
        !std::equal(dot.begin(), dot.end(), key.begin() + RecordId::kSize, key.end()))
      return KvRead::Step::more;
    FP_TRY(damage.record, record_of_key(key));
    return KvRead::Step::stop;
  }));
  const bool covered = damage.record.is_zero();
  damage.settled = damage.acked && covered;  // the base says it
  FP_CHECK_OK(put_damage(write, damage, dot));
  if (!damage.acked || covered) return {};
  // The hub left out of its deliveries what this tablet had pushed: now it is wanted.
  fetch = true;
  FP_TRY(const bool waits, is_damaged(write, damage.record));
  if (waits) return {};
  Damage record;
  record.record = damage.record;
  record.found = now;
  return put_damage(write, record, damage.record.view());
}

Status KvAgentStore::set_aside(KvWrite& write, const Place& place, Instant now, bool& fetch) const {
  const auto& [table, key] = place;
  FP_TRY(const auto value, write.get(table, key));
  if (!value || codec_.decode(table, key, *value)) return {};
  const Bytes raw = to_bytes(*value);
  if (table == kChain) return set_change_aside(write, key, raw, now, fetch);
  if (table != kBase && table != kDrafts) return {};
  Damage damage;
  damage.kind = table == kBase ? Damage::Kind::record : Damage::Kind::draft;
  // A key that the disk damaged may be no record's id any more: it must not keep the others from being set aside.
  if (key.size() == RecordId::kSize) {
    FP_TRY(damage.record, RecordId::from(key));
  }
  damage.found = now;
  damage.raw = raw;
  FP_CHECK_OK(put_damage(write, damage, damage.record.view()));
  FP_CHECK_OK(write.erase(table, key));
  if (table == kDrafts) return {};
  fetch = true;
  return stand_on_own_changes(write, damage.record);
}

Result<std::size_t> KvAgentStore::settle_damage(Instant now) {
  std::size_t settled = 0;
  bool fetch = false;
  // Setting one aside may meet the next.
  while (!seen_.empty()) {
    const std::set<Place> places = seen_;
    StoredAgentState next = stored_;
    FP_CHECK_OK(commit(
        next,
        [&](KvWrite& write) -> Status {
          bool refetch = false;
          for (const Place& place : places) FP_CHECK_OK(set_aside(write, place, now, refetch));
          refetch = refetch && !planted(Bug::damaged_not_fetched);
          if (refetch) next.state.deliver_again(), next.state.sweep = true;
          fetch = fetch || refetch;
          return {};
        },
        UpdateKind::freeing));
    settled += places.size();
    for (const Place& place : places) seen_.erase(place);
    const bool again = std::all_of(seen_.begin(), seen_.end(),
                                   [&](const Place& place) { return places.contains(place); });
    if (again) break;
  }
  if (fetch) ++refetches_;
  return settled;
}

Status KvAgentStore::settle_delivered(KvWrite& write, const RecordId& id,
                                      const std::vector<Bytes>& covered) {
  // A base damaged at this very moment: its successor is at hand, and takes its place.
  FP_TRY(const auto value, write.get(kBase, id.view()));
  if (value && !codec_.decode(kBase, id.view(), *value)) {
    Damage damage;
    damage.record = id;
    damage.settled = true;
    damage.raw = to_bytes(*value);
    FP_CHECK_OK(put_damage(write, damage, id.view()));
  }
  FP_CHECK_OK(settle(write, Damage::Kind::record, id.view()));
  for (const Bytes& own : covered) {
    FP_CHECK_OK(settle(write, Damage::Kind::own_change, BytesView(own).subspan(RecordId::kSize)));
  }
  return {};
}

Status KvAgentStore::settle(KvWrite& write, Damage::Kind kind, BytesView key) const {
  FP_TRY(auto damage, get_damage(write, kind, false, key));
  if (!damage) return {};
  FP_CHECK_OK(write.erase(kDamaged, damage_key(kind, false, key)));
  damage->settled = true;
  return put_damage(write, *damage, key);
}

// ---- telling ----

std::optional<Instant> KvAgentStore::made_at(const KvRead& read, ActorId actor,
                                             Sequence counter) const {
  const Bytes key = dot_key(actor, counter);
  const auto value = read.get(kChain, key);
  if (!value || !*value) return std::nullopt;
  const auto plain = codec_.decode(kChain, key, **value);
  if (!plain || plain->size() < Hash::kSize) return std::nullopt;
  const auto change =
      wire::decode_change(actor, BytesView(*plain).first(plain->size() - Hash::kSize));
  return change ? std::optional<Instant>(change->times.wall) : std::nullopt;
}

Result<std::vector<Damage>> KvAgentStore::damages() const {
  std::vector<Damage> all;
  FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
    return read.scan(kDamaged, {}, {}, [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
      FP_TRY(Damage damage, open_damage(key, value));
      if (damage.kind == Damage::Kind::own_change) {
        const Sequence at = damage.dot.counter;
        // As it is now: the hub may have got it since, or lost it.
        const OwnActor* chain = stored_.state.find(damage.dot.actor);
        if (chain != nullptr) damage.acked = at <= chain->acked;
        if (at.value > 1)
          damage.made_after = made_at(read, damage.dot.actor, Sequence{at.value - 1});
        damage.made_before = made_at(read, damage.dot.actor, at.next());
      }
      all.push_back(std::move(damage));
      return KvRead::Step::more;
    });
  }));
  return all;
}

Result<bool> KvAgentStore::scrub(std::size_t bytes) {
  bool ended = false;
  FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
    std::size_t left = bytes;
    auto& [table, from] = scrubbed_;
    while (left > 0 && !ended) {
      bool more = false;
      FP_CHECK_OK(read.scan(
          table, {}, from,
          [&, table = table, from = from](BytesView key, BytesView value) -> Result<KvRead::Step> {
            if (std::equal(from.begin(), from.end(), key.begin(), key.end()))
              return KvRead::Step::more;
            if (left == 0) {
              more = true;
              return KvRead::Step::stop;
            }
            if (table != kOwn)
              FP_CHECK_OK([&]() -> Status {
                FP_TRY(const auto sound, open_value(table, key, value));
                (void)sound;
                return {};
              }());
            left -= std::min(left, value.size() + key.size());
            scrubbed_.second = to_bytes(key);
            return KvRead::Step::more;
          }));
      if (more) return {};
      from.clear();
      ended = table == kRenames;
      table = ended ? kMeta : static_cast<TableId>(table + 1);
    }
    return {};
  }));
  return ended;
}

}  // namespace fieldpost::storage
