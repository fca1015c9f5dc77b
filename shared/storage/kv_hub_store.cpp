#include "storage/kv_hub_store.h"

#include <algorithm>

#include "storage/hub_apply.h"
#include "storage/hub_recovery.h"
#include "storage/hub_repair.h"
#include "storage/hub_staging.h"
#include "storage/hub_starts.h"
#include "storage/hub_values.h"
#include "wire/codec.h"

namespace fieldpost::storage {

using namespace hub_tables;

namespace {

constexpr std::string_view kHubKey = "hub";
constexpr const char* kCodeUseless =
    "this enrolment code is unknown or was used; ask for a new one";

class KvHubStore final : public HubStore {
 public:
  KvHubStore(Kv& kv, CodecMaker make_codec)
      : kv_(kv), make_codec_(std::move(make_codec)), codec_(make_codec_()) {}

  Status open(const HubIdentity& identity, Opening opening) {
    identity_ = identity;
    const HubId& hub = identity_.hub;
    // Freeing: a full hub must still start, to be read.
    return kv_.update(
        [&](KvWrite& write) -> Status {
          FP_TRY(const auto stored_hub, write.get(kMeta, as_bytes(kHubKey)));
          if (stored_hub && !std::equal(stored_hub->begin(), stored_hub->end(), hub.bytes.begin(),
                                        hub.bytes.end())) {
            return fail(Errc::conflict,
                        "this store belongs to another hub key; keep key and store together");
          }
          if (!stored_hub) FP_CHECK_OK(write.put(kMeta, as_bytes(kHubKey), hub.view()));
          if (opening == Opening::serving) return begin_start(write, identity_);
          FP_TRY(const auto epoch, read_epoch(write));
          if (epoch) identity_.epoch = *epoch;
          return {};
        },
        UpdateKind::freeing);
  }

  const HubIdentity& identity() const override { return identity_; }

  std::unique_ptr<HubReader> reader() const override {
    return make_hub_reader(kv_, make_codec_(), identity_);
  }

  Result<std::vector<BatchResult>> apply(const std::vector<IncomingBatch>& batches) override {
    std::vector<BatchResult> results;
    FP_CHECK_OK(kv_.update([&](KvWrite& write) -> Status {
      results.clear();
      HubApply run(write, *codec_);
      for (const IncomingBatch& batch : batches) {
        FP_TRY(auto revoked, refuse_revoked(write, batch));
        if (revoked) {
          // Keep the indices of results and batches the same.
          IncomingBatch none;
          none.device = batch.device;
          none.actor = batch.actor;
          FP_TRY(BatchResult skipped, run.add(none));
          revoked->head = skipped.head;
          revoked->hash = skipped.hash;
          results.push_back(std::move(*revoked));
          continue;
        }
        FP_TRY(BatchResult result, run.add(batch));
        results.push_back(std::move(result));
      }
      return run.finish(results);
    }));
    return results;
  }

  Status put_unit(const Unit& unit) override {
    return kv_.update(
        [&](KvWrite& write) { return write.put(kUnits, as_bytes(unit.code), pack_unit(unit)); });
  }

  Status put_device(const Device& device) override {
    return kv_.update(
        [&](KvWrite& write) { return write.put(kDevices, device.id.view(), pack_device(device)); });
  }

  Status note_contacts(const std::vector<Device>& devices) override {
    return kv_.update([&](KvWrite& write) -> Status {
      for (const Device& device : devices) {
        FP_TRY(const auto value, write.get(kDevices, device.id.view()));
        if (!value) continue;
        FP_TRY(Device stored, unpack_device(*value));
        stored.last_welcome = std::max(stored.last_welcome, device.last_welcome);
        stored.last_contact = device.last_contact;
        stored.last_complete = device.last_complete;
        stored.status = device.status;
        stored.status_at = device.status_at;
        stored.last_error = device.last_error;
        stored.last_error_at = device.last_error_at;
        stored.forks.add(device.forks);
        stored.said_welcome = std::max(stored.said_welcome, device.said_welcome);
        for (const AnnouncedChain& chain : device.announced) stored.announce(chain);
        for (const LostWelcomes& lost : device.lost) stored.note_lost(lost);
        FP_CHECK_OK(write.put(kDevices, device.id.view(), pack_device(stored)));
      }
      return {};
    });
  }

  Result<Device> move_device(const DeviceId& id, const std::string& unit, Instant now) override {
    Device device;
    FP_CHECK_OK(kv_.update([&](KvWrite& write) -> Status {
      FP_TRY(const auto value, write.get(kDevices, id.view()));
      if (!value) return fail(Errc::not_found, "no device " + id.hex());
      FP_TRY(device, unpack_device(*value));
      FP_TRY(const auto known, write.get(kUnits, as_bytes(unit)));
      if (!known) return fail(Errc::not_found, "no unit " + unit + " in this compartment");
      if (device.unit == unit) return {};
      FP_CHECK_OK(name_is_free(write, device.name, unit, id));
      // Any welcome up to now may have told it of the old unit: their ids follow the hub's clock.
      const auto until = std::max<std::uint64_t>(
          device.last_welcome, static_cast<std::uint64_t>(std::max<std::int64_t>(0, now.ms)));
      device.former.push_back({device.unit, until});
      device.unit = unit;
      device.last_welcome = std::max(device.last_welcome, until);
      return write.put(kDevices, id.view(), pack_device(device));
    }));
    return device;
  }

  Status put_invitation(const Invitation& invitation) override {
    return kv_.update([&](KvWrite& write) {
      return write.put(kInvitations, invitation.code_hash.view(), pack_invitation(invitation));
    });
  }

  Result<Device> enrol(const Hash& code_hash, const DeviceId& id, Instant now) override {
    Device device;
    FP_CHECK_OK(kv_.update([&](KvWrite& write) -> Status {
      FP_TRY(const auto value, write.get(kInvitations, code_hash.view()));
      if (!value) {
        return fail(Errc::not_found, kCodeUseless);
      }
      FP_TRY(Invitation invitation, unpack_invitation(code_hash, *value));
      if (invitation.expires < now) {
        return fail(Errc::expired, "this enrolment code expired at " + to_text(invitation.expires) +
                                       "; ask for a new one");
      }
      if (!invitation.used_by.is_zero()) return answer_again(write, invitation, id, device);
      FP_CHECK_OK(name_is_free(write, invitation.device_name, invitation.unit, id));
      device = Device{};
      device.id = id;
      device.name = invitation.device_name;
      device.unit = invitation.unit;
      device.enrolled = now;
      FP_CHECK_OK(drop_expired_invitations(write, now));
      invitation.used_by = id;
      FP_CHECK_OK(write.put(kInvitations, code_hash.view(), pack_invitation(invitation)));
      return write.put(kDevices, id.view(), pack_device(device));
    }));
    return device;
  }

  Status confirm(const std::vector<wire::Confirm::Item>& items) override {
    return kv_.update([&](KvWrite& write) -> Status {
      for (const wire::Confirm::Item& item : items) {
        const Bytes key = dot_key(item.actor, item.counter);
        FP_TRY(const auto value, write.get(kExceptions, key));
        if (!value) continue;
        FP_TRY(StoredException stored, unpack_stored_exception(*value));
        // A newer outcome than the confirmed one must still be heard.
        if (stored.exception.kind != item.kind || stored.confirmed) continue;
        stored.confirmed = true;
        FP_CHECK_OK(write.put(kExceptions, key, pack_stored_exception(stored)));
      }
      return {};
    });
  }

  Status put_backed_up(const ActorHeads& heads, BackedUp how) override {
    return kv_.update([&](KvWrite& write) -> Status {
      if (how == BackedUp::restate) FP_CHECK_OK(erase_all(write, kBackedUp));
      for (const auto& [actor, counter] : heads) {
        const Bytes key = Packer().actor(actor).take();
        FP_TRY(const auto known, write.get(kActors, key));
        if (!known) continue;
        FP_TRY(const ActorHeadState here, unpack_actor(*known));
        const Sequence next = std::min(counter, here.head);
        FP_TRY(const auto stored, write.get(kBackedUp, key));
        if (stored) {
          FP_TRY(const Sequence before, unpack_backed_up(*stored));
          if (next <= before) continue;
        }
        FP_CHECK_OK(write.put(kBackedUp, key, pack_backed_up(next)));
      }
      return {};
    });
  }

  Result<RepairReport> repair(const std::vector<StoredPlace>& places, Instant now) override {
    RepairReport report;
    FP_CHECK_OK(kv_.update(
        [&](KvWrite& write) -> Status {
          FP_TRY(report, repair_values(write, *codec_, places, now));
          return {};
        },
        UpdateKind::freeing));
    return report;
  }

  Result<BatchResult> rule(const RulingInput& input, ActorId hub_actor,
                           const SignHead& sign) override {
    return one([&](KvWrite& write, HubApply& run) -> Status {
      return rule_in(write, run, input, hub_actor, sign);
    });
  }

  Result<BatchResult> edit(const HubEdit& edit, ActorId hub_actor, const SignHead& sign) override {
    return one([&](KvWrite& write, HubApply& run) -> Status {
      FP_TRY(const model::Record* record, run.peek(edit.record));
      if (record == nullptr) return fail(Errc::not_found, "no record " + to_text(edit.record));
      if (!(record->vv == edit.expected)) {
        return fail(Errc::conflict, "the record changed since it was read; look at it again");
      }
      model::Change change;
      change.record = edit.record;
      change.type = record->type;
      change.unit = record->unit;
      FP_TRY(const Sequence head, hub_head(write, hub_actor));
      change.dot = {hub_actor, head.next()};
      change.prev = record->vv[hub_actor];
      change.context = record->vv;
      change.edits = edit.edits;
      change.seals = edit.seals;
      change.author = edit.author;
      change.times = edit.times;
      if (!edit.reason.empty()) change.reason = edit.reason;
      change.salt.bytes = edit.salt;
      for (const model::DotGroup& group : record->groups) {
        change.schema_version = std::max(change.schema_version, group.meta.schema_version);
      }
      return run.add_own(identity_.hub, change, sign, edit.times.wall);
    });
  }

  Result<Staging> stage_within(const std::vector<StagedState>& states,
                               std::uint64_t device_bytes_max) override {
    Staging result;
    FP_CHECK_OK(kv_.update([&](KvWrite& write) -> Status {
      FP_TRY(result, stage_states(write, *codec_, states, device_bytes_max));
      return {};
    }));
    return result;
  }

  Result<BatchResult> recover(const RecoveryInput& input, ActorId hub_actor,
                              const SignHead& sign) override {
    return one([&](KvWrite& write, HubApply& run) {
      return recover_record(write, run, *codec_, input, {identity_.hub, hub_actor, sign});
    });
  }

  Status stopped() override {
    return kv_.update([&](KvWrite& write) { return mark_clean_stop(write, identity_.start); },
                      UpdateKind::freeing);
  }

  Status doubt() override { return kv_.update(mark_doubt, UpdateKind::freeing); }

 private:
  Result<BatchResult> one(const std::function<Status(KvWrite&, HubApply&)>& body) {
    std::vector<BatchResult> results;
    FP_CHECK_OK(kv_.update([&](KvWrite& write) -> Status {
      results.assign(1, BatchResult{});
      HubApply run(write, *codec_);
      FP_CHECK_OK(body(write, run));
      return run.finish(results);
    }));
    return std::move(results.front());
  }

  /// To the device that used the code what it was told then; to any other what a stranger hears.
  static Status answer_again(const KvRead& read, const Invitation& invitation, const DeviceId& id,
                             Device& device) {
    if (invitation.used_by != id) return fail(Errc::not_found, kCodeUseless);
    FP_TRY(const auto value, read.get(kDevices, id.view()));
    if (!value) return fail(Errc::corrupt, "an enrolled device is missing from the store");
    FP_TRY(device, unpack_device(*value));
    if (device.standing != DeviceStanding::active) return fail(Errc::not_found, kCodeUseless);
    return {};
  }

  static Status erase_all(KvWrite& write, TableId table) {
    std::vector<Bytes> keys;
    FP_CHECK_OK(write.scan(table, {}, {}, [&](BytesView key, BytesView) -> Result<KvRead::Step> {
      keys.push_back(to_bytes(key));
      return KvRead::Step::more;
    }));
    for (const Bytes& key : keys) FP_CHECK_OK(write.erase(table, key));
    return {};
  }

  static Status drop_expired_invitations(KvWrite& write, Instant now) {
    std::vector<Bytes> old;
    FP_CHECK_OK(write.scan(kInvitations, {}, {},
                           [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
                             FP_TRY(const Hash code, Hash::from(key));
                             FP_TRY(const Invitation invitation, unpack_invitation(code, value));
                             if (invitation.expires < now) old.push_back(to_bytes(key));
                             return KvRead::Step::more;
                           }));
    for (const Bytes& key : old) FP_CHECK_OK(write.erase(kInvitations, key));
    return {};
  }

  /// Two codes may have been made for one name: the first device to come has it.
  static Status name_is_free(const KvRead& read, const std::string& name, const std::string& unit,
                             const DeviceId& id) {
    return read.scan(kDevices, {}, {}, [&](BytesView, BytesView value) -> Result<KvRead::Step> {
      FP_TRY(const Device other, unpack_device(value));
      if (other.name == name && other.unit == unit && other.id != id) {
        return fail(Errc::already_exists, "unit " + other.unit + " already has a device " +
                                              other.name + "; ask for a code with another name");
      }
      return KvRead::Step::more;
    });
  }

  Result<Sequence> hub_head(const KvRead& read, ActorId hub_actor) const {
    FP_TRY(const auto value, read.get(kActors, Packer().actor(hub_actor).bytes()));
    if (!value) return Sequence{};
    FP_TRY(const ActorHeadState head, unpack_actor(*value));
    return head.head;
  }

  Result<std::optional<BatchResult>> refuse_revoked(const KvRead& read,
                                                    const IncomingBatch& batch) const {
    std::optional<BatchResult> refused;
    FP_TRY(const auto value, read.get(kDevices, batch.device.view()));
    if (!value) return refused;
    FP_TRY(const Device device, unpack_device(*value));
    if (device.standing != DeviceStanding::revoked) return refused;
    refused.emplace();
    refused->kind = BatchResult::Kind::revoked;
    refused->actor = batch.actor;
    return refused;
  }

  Status rule_in(KvWrite& write, HubApply& run, const RulingInput& input, ActorId hub_actor,
                 const SignHead& sign) {
    const Bytes key = dot_key(input.actor, input.counter);
    const std::string name = model::to_text({input.actor, input.counter});
    FP_TRY(const auto value, write.get(kExceptions, key));
    if (!value) return fail(Errc::not_found, "change " + name + " is not in quarantine");
    FP_TRY(StoredException stored, unpack_stored_exception(*value));
    if (stored.exception.kind != wire::ExceptionKind::quarantined) {
      return fail(Errc::invalid_argument, "change " + name + " is not in quarantine but " +
                                              stored.exception.rule + ": " +
                                              stored.exception.detail);
    }
    if (input.ruling == Ruling::retry && input.still) {
      stored.exception.rule = input.still->rule;
      stored.exception.path = input.still->path;
      stored.exception.detail = input.still->detail;
      stored.confirmed = false;  // the tablet has heard the old reason only
      run.note_outcome({input.actor, input.counter});
      return write.put(kExceptions, key, pack_stored_exception(stored));
    }
    FP_TRY(const auto log, write.get(kLog, key));
    if (!log) return fail(Errc::corrupt, "quarantined change " + name + " is not in the log");
    FP_TRY(const LogEntry entry, decode_log_entry(*codec_, key, *log));
    const auto change = wire::decode_change(input.actor, entry.frame);
    if (!change && input.ruling == Ruling::reject)
      return run.refuse(stored.exception.record, {input.actor, input.counter}, reason_of(input));
    if (!change) {
      return fail(Errc::invalid_argument,
                  "change " + name + " cannot be read (" + change.error().detail +
                      "): it can be rejected, so that later edits of its record go on without it, "
                      "or stay in quarantine; it is kept as received either way");
    }
    if (stored.exception.rule == kDiffersRule && input.ruling == Ruling::retry)
      return fail(Errc::invalid_argument,
                  "change " + name +
                      " says otherwise than what was recovered, whatever the "
                      "forms say: accept it or reject it");
    if (stored.exception.rule == kDiffersRule)
      return settle_differing(write, run, *codec_, *change, input,
                              {identity_.hub, hub_actor, sign});
    if (input.ruling == Ruling::reject)
      return reject(write, run, input, *change, stored, hub_actor, sign);
    FP_TRY(const auto left, run.release(*change, input.times.wall));
    (void)left;
    return {};
  }

  static std::string reason_of(const RulingInput& input) {
    return input.note.empty() || !input.clear_texts ? "rejected by an operator"
                                                    : "rejected: " + input.note;
  }

  Status reject(KvWrite& write, HubApply& run, const RulingInput& input,
                const model::Change& change, const StoredException& stored, ActorId hub_actor,
                const SignHead& sign) {
    FP_TRY(const model::Record* known, run.peek(change.record));
    const model::Record before =
        known != nullptr ? *known : model::empty_record(change.record, change.type, change.unit);
    if (model::classify(before, change) != model::Applied::applied) {
      return fail(Errc::conflict, "this change waits for an earlier one; settle that first");
    }
    model::Record after = before;
    model::apply(after, change);
    // What does not fit its record cannot be merged and undone: it is refused.
    if (!wire::encode_record(after)) return run.refuse(change.record, change.dot, reason_of(input));
    FP_TRY(const Sequence head, hub_head(write, hub_actor));
    const std::string reason =
        input.clear_texts
            ? "rejected: " + (input.note.empty() ? stored.exception.detail : input.note)
            : "";
    const auto undo = undo_changes({before, after, change, stored.exception.path, hub_actor, head,
                                    input.times, input.author, reason, input.salt});
    FP_TRY(const auto left, run.release(change, input.times.wall));
    (void)left;
    for (const model::Change& own : undo) {
      FP_CHECK_OK(run.add_own(identity_.hub, own, sign, input.times.wall));
    }
    return {};
  }

  Kv& kv_;
  CodecMaker make_codec_;
  std::unique_ptr<ValueCodec> codec_;
  HubIdentity identity_;
};

}  // namespace

Result<std::unique_ptr<HubStore>> open_hub_store(Kv& kv, CodecMaker make_codec,
                                                 const HubIdentity& identity, Opening opening) {
  auto store = std::make_unique<KvHubStore>(kv, std::move(make_codec));
  FP_CHECK_OK(store->open(identity, opening));
  return std::unique_ptr<HubStore>(std::move(store));
}

Result<std::optional<Epoch>> clean_epoch(const Kv& kv) {
  std::optional<Epoch> epoch;
  FP_CHECK_OK(kv.view([&](const KvRead& read) -> Status {
    FP_TRY(epoch, read_clean_epoch(read));
    return {};
  }));
  return epoch;
}

}  // namespace fieldpost::storage
