// A tablet: its desk and its store, with what a sync writes between what people write.
#include <nlohmann/json.hpp>

#include "agent/app.h"
#include "keys/secret_file.h"
#include "tests/crash/subject.h"
#include "wire/codec.h"

namespace fieldpost::crash {
namespace {

using nlohmann::json;

constexpr std::int64_t kMorningMs = 1'772'349'300'000;
constexpr const char* kUnit = "01-PPT";
constexpr ActorId kOtherTablet{0xB0B0};

json a_stop(std::size_t number) {
  return {{"type", "stop"},
          {"checkpoint_code", kUnit},
          {"direction", number % 2 == 0 ? "entry" : "exit"},
          {"stop_type", "traffic"},
          {"stopped_at", "2026-03-14T07:10:00+07:00"},
          {"search_type", "none"},
          {"outcome", "no_action"},
          {"officer_id", "NP-2231"},
          {"position", {{"source", "none"}, {"reason", "under a roof"}}},
          {"vehicles", json::array({{{"plate", "2A-" + std::to_string(1000 + number)},
                                     {"country", "KH"},
                                     {"class", "car"}}})}};
}

class AgentSession final : public Session {
 public:
  AgentSession(agent::OpenStore open, agent::Identity identity,
               std::shared_ptr<const schema::Registry> registry, std::size_t tables,
               std::shared_ptr<Chance> chance, std::size_t number, bool through_desk)
      : open_(std::move(open)),
        identity_(std::move(identity)),
        tables_(tables),
        chance_(std::move(chance)),
        number_(number),
        through_desk_(through_desk) {
    agent::Desk::Parts parts;
    parts.identity = &identity_;
    parts.store = open_.store.get();
    parts.registry = std::move(registry);
    random_ = [chance = chance_](std::span<std::uint8_t> bytes) { chance->fill(bytes); };
    parts.random = random_;
    parts.clock = [this] {
      return sync::TimeReading{Instant{now_ms()}, 7, static_cast<std::uint64_t>(now_ms())};
    };
    desk_ = std::make_unique<agent::Desk>(std::move(parts));
  }

  Result<std::vector<Acknowledged>> act(std::size_t number) override {
    *chance_ = Chance(number);
    number_ = number;
    const storage::OwnActor before = *store().state().current();
    FP_CHECK_OK(work(number));
    const storage::OwnActor& after = *store().state().current();
    std::vector<Acknowledged> made;
    if (after.head == before.head) return made;
    FP_TRY(const auto page,
           store().chain_page(after.actor, before.head.next(), SIZE_MAX, SIZE_MAX));
    for (const storage::ChainEntry& entry : page) {
      FP_TRY(const auto framed, wire::decode_change_frame(entry.frame));
      made.push_back({{after.actor, entry.counter}, framed.record, entry.frame});
    }
    if (made.size() != after.head.value - before.head.value)
      return fail(Errc::corrupt, "the chain does not hold what was acknowledged a moment ago");
    return made;
  }

  Result<std::vector<Picture>> pictures() const override {
    FP_TRY(const Picture picture, picture_of(*open_.kv, tables_));
    return std::vector<Picture>{picture};
  }

  std::optional<std::string> fault() const override {
    if (const Status sound = store().verify([](std::uint64_t) {}); !sound)
      return "verify: " + sound.error().message();
    if (const auto damages = store().damages(); !damages || !damages->empty())
      return "something is called damaged";
    const storage::AgentState& state = store().state();
    if (state.actors.size() != 1)
      return "the tablet opened another chain, as if its store had been put back";
    if (const auto broken = chain_fault(state.actors.front())) return broken;
    const auto ids = store().ids_after({}, SIZE_MAX);
    if (!ids) return ids.error().message();
    std::uint64_t waiting = 0;
    for (const RecordId& id : *ids) {
      const auto view = store().load(id);
      if (!view || !*view || (*view)->damaged) return "record " + to_text(id) + " cannot be read";
      for (const storage::OwnChange& own : (*view)->own) {
        if (!own.applied) return "an own change of " + to_text(id) + " waits for another";
        waiting += own.acked ? 0 : 1;
      }
    }
    const auto counts = store().counts();
    if (!counts) return counts.error().message();
    if (counts->records != ids->size())
      return "the store says " + std::to_string(counts->records) + " records and has " +
             std::to_string(ids->size());
    if (counts->waiting != waiting)
      return "the store says " + std::to_string(counts->waiting) + " wait and " +
             std::to_string(waiting) + " do";
    return std::nullopt;
  }

  Result<Standing> standing(const Acknowledged& change) const override {
    const storage::OwnActor* own = store().state().find(change.dot.actor);
    if (own == nullptr) return Standing::missing;
    if (change.dot.counter <= own->purged_to) {
      FP_TRY(const auto view, store().load(change.record));
      return view && view->record.vv.covers(change.dot) ? Standing::removed : Standing::missing;
    }
    FP_TRY(const auto page, store().chain_page(change.dot.actor, change.dot.counter, 0, 1));
    if (page.empty() || page[0].counter != change.dot.counter) return Standing::missing;
    FP_TRY(const auto view, store().load(change.record));
    if (!view || !view->record.vv.covers(change.dot)) return Standing::missing;
    return page[0].frame == change.frame ? Standing::there : Standing::different;
  }

  Result<std::uint64_t> changes() const override {
    std::uint64_t all = 0;
    for (const storage::OwnActor& own : store().state().actors) {
      // Of what is on the disk, not only of what the store remembers.
      FP_TRY(const auto page,
             store().chain_page(own.actor, own.purged_to.next(), SIZE_MAX, SIZE_MAX));
      all += own.purged_to.value + page.size();
    }
    return all;
  }

 private:
  storage::AgentStore& store() const { return *open_.store; }
  std::int64_t now_ms() const { return kMorningMs + static_cast<std::int64_t>(number_) * 1000; }

  /// Each link from the first that is kept, reckoned here and not by the store.
  std::optional<std::string> chain_fault(const storage::OwnActor& own) const {
    Hash hash = own.purged_to.value > 0
                    ? own.purged_hash
                    : wire::chain_start(identity_.hub, identity_.device(), own.actor);
    const auto page = store().chain_page(own.actor, own.purged_to.next(), SIZE_MAX, SIZE_MAX);
    if (!page) return page.error().message();
    Sequence at = own.purged_to;
    for (const storage::ChainEntry& entry : *page) {
      if (entry.counter != at.next())
        return "change " + std::to_string(at.next().value) + " is not in the chain";
      hash = wire::chain_next(hash, entry.frame);
      if (hash != entry.hash) return "the chain breaks at " + std::to_string(entry.counter.value);
      at = entry.counter;
    }
    if (at != own.head || hash != own.hash) return "the chain does not end at its head";
    return std::nullopt;
  }

  Status work(std::size_t number) {
    switch (through_desk_ ? 0 : number % 20) {
      case 0:
        break;
      case 3:
      case 8:
      case 13:
      case 18: {
        FP_TRY(const RecordId id, some_record());
        return write_plainly({id});
      }
      case 5:
        return store().put_draft({new_id(), "stop", Instant{now_ms()}, Bytes(500, 1)});
      case 12:
        return write_plainly({new_id(), new_id(), new_id(), new_id()});
      case 15:
        return acknowledge();
      case 16:
        return deliver(number);
      case 19:
        return number % 40 < 20 ? welcome(number) : purge();
      default:
        return write_plainly({new_id()});
    }
    if (!through_desk_) return write_plainly({new_id()});
    switch (number % 20) {
      case 3:
      case 8:
      case 13:
      case 18:
        return amend(number);
      case 5:
        return done(desk_->create(a_stop(number), true, asker()));
      case 10:
        return finish_draft();
      case 12:
        return import_rows(number);
      case 15:
        return acknowledge();
      case 16:
        return deliver(number);
      case 19:
        return number % 40 < 20 ? welcome(number) : purge();
      default:
        return done(desk_->create(a_stop(number), false, asker()));
    }
  }

  static agent::Asker asker() { return {"NP-2231", "en"}; }
  static Status done(const Result<agent::Outcome>& outcome) {
    if (!outcome) return outcome.error();
    if (outcome->faults.empty()) return {};
    return fail(Errc::invalid_argument, "the workload's document: " + outcome->faults.dump());
  }

  RecordId new_id() {
    RecordId id;
    chance_->fill(id.bytes);
    return id;
  }
  /// One change for each record, in one commit.
  Status write_plainly(const std::vector<RecordId>& records) {
    sync::ChangeBatch batch(store(), {Instant{now_ms()}, 7, 1, std::nullopt}, random_);
    for (const RecordId& id : records) {
      sync::EditRequest request;
      request.record = id;
      request.type = "stop";
      request.unit = kUnit;
      request.edits = {{"outcome", std::string("no_action")},
                       {"witness", "Witness number " + std::to_string(number_)}};
      request.author = "NP-2231";
      FP_TRY(const auto dot, batch.add(request));
      (void)dot;
    }
    return batch.commit();
  }

  Result<RecordId> some_record() {
    FP_TRY(const auto ids, store().ids_after({}, SIZE_MAX));
    if (ids.empty()) return fail(Errc::not_found, "the workload has no record yet");
    return ids[chance_->below(ids.size())];
  }

  Status amend(std::size_t number) {
    FP_TRY(const RecordId id, some_record());
    agent::Desk::EditOrder order;
    order.set = {{"witness", "Witness " + std::to_string(number)}};
    order.reason = "read the log";
    return done(desk_->edit(id, order, asker()));
  }
  Status finish_draft() {
    FP_TRY(const auto drafts, store().drafts());
    if (drafts.empty()) return done(desk_->create(a_stop(0), false, asker()));
    if (chance_->below(4) == 0) return desk_->discard_draft(drafts.front().id);
    return done(desk_->finalise(drafts.front().id, asker()));
  }
  Status import_rows(std::size_t number) {
    json rows = json::array();
    for (std::size_t row = 0; row < 6; ++row)
      rows.push_back({{"line", row + 1},
                      {"external_id", std::to_string(number) + "-" + std::to_string(row)},
                      {"document", a_stop(number + row)}});
    return done(desk_->import_rows(rows, "stop", asker()));
  }
  Status acknowledge() {
    const storage::OwnActor own = *store().state().current();
    return store().acknowledge(own.actor, own.head, {});
  }

  /// What the hub would deliver of some records that it has: with another tablet's edit in some of them.
  Status deliver(std::size_t number) {
    FP_TRY(const auto ids, store().ids_after({}, SIZE_MAX));
    std::vector<model::Record> states;
    for (std::size_t tried = 0; tried < 24 && states.size() < 12; ++tried) {
      const RecordId& id = ids[(number * 7 + tried) % ids.size()];
      FP_TRY(const auto view, store().load(id));
      const bool at_hub = std::all_of(view->own.begin(), view->own.end(),
                                      [](const storage::OwnChange& own) { return own.acked; });
      const bool twice = std::any_of(states.begin(), states.end(),
                                     [&](const model::Record& state) { return state.id == id; });
      if (!at_hub || twice) continue;
      states.push_back(view->record);
      if (tried % 3 == 0) FP_CHECK_OK(edit_elsewhere(states.back(), number, tried));
    }
    return store().integrate(kUnit, to_bytes(as_bytes("cursor " + std::to_string(number))), states);
  }
  static Status edit_elsewhere(model::Record& state, std::size_t number, std::size_t n) {
    model::Change change;
    change.record = state.id;
    change.dot = {kOtherTablet, Sequence{number * 100 + n + 1}};
    change.prev = state.vv[kOtherTablet];
    change.type = state.type;
    change.unit = state.unit;
    change.context = state.vv;
    change.edits = {{"witness", "Seen by another, " + std::to_string(number)}};
    change.author = "NP-1187";
    change.times.wall = Instant{kMorningMs};
    if (model::apply(state, change) != model::Applied::applied)
      return fail(Errc::conflict, "the workload's delivery");
    return {};
  }
  Status welcome(std::size_t number) {
    const storage::OwnActor own = *store().state().current();
    storage::AgentStore::WelcomeFacts facts;
    facts.epoch.bytes.fill(1);
    facts.welcome_id = number;
    facts.grants = {{kUnit}};
    facts.compartment = "enforcement";
    facts.acked = {{own.actor, own.acked, own.acked, false}};
    return store().welcome(facts);
  }
  Status purge() {
    FP_TRY(const auto done, store().purge(Instant{now_ms() + 1}, 40));
    return done.entries > 0 ? Status{} : store().set_last_sync(Instant{now_ms()});
  }

  agent::OpenStore open_;
  agent::Identity identity_;
  std::size_t tables_;
  std::shared_ptr<Chance> chance_;
  std::size_t number_;
  bool through_desk_;
  RandomSource random_;
  std::unique_ptr<agent::Desk> desk_;
};

class AgentSubject final : public Subject {
 public:
  explicit AgentSubject(bool through_desk) : through_desk_(through_desk) {
    identity_.host = "127.0.0.1";
    identity_.server_name = "hub.example";
    identity_.hub.bytes.fill(7);
    identity_.device_seed.bytes.fill(1);
    identity_.box_seed.bytes.fill(2);
    identity_.device_name = "T07";
    identity_.unit = kUnit;
    identity_.compartment = "enforcement";
    registry_ = agent::load_registry({"/nowhere"}).value();
  }

  std::string name() const override { return "agent"; }

  Status make(const fs::path& folder) const override {
    const agent::DataDirectory data{folder};
    FP_CHECK_OK(keys::make_private_directory(data.path));
    return agent::save_identity(data, identity_);
  }

  /// As App::open does it, with chance and clock as parameters.
  Result<std::unique_ptr<Session>> open(const fs::path& folder, std::size_t number) const override {
    const agent::DataDirectory data{folder};
    auto chance = std::make_shared<Chance>(number);
    const RandomSource random = [chance](std::span<std::uint8_t> bytes) { chance->fill(bytes); };
    const storage::LmdbOptions options = stores(folder).front();
    FP_TRY(auto opened, agent::open_store(data, random, options));
    FP_CHECK_OK(sync::ensure_actor(*opened.store, identity_.hub, identity_.device(), random, {}));
    Hash machine;
    machine.bytes.fill(9);
    FP_TRY(const agent::StartFound found, agent::mark_start(data, *opened.store, identity_.hub,
                                                            identity_.device(), machine, random));
    if (found.put_back) return fail(Errc::conflict, "a crash was taken for a store put back");
    return std::unique_ptr<Session>(std::make_unique<AgentSession>(std::move(opened), identity_,
                                                                   registry_, options.tables.size(),
                                                                   chance, number, through_desk_));
  }

  std::vector<storage::LmdbOptions> stores(const fs::path& folder) const override {
    storage::LmdbOptions options = agent::store_options({folder}, true);
    limit(options);
    return {options};
  }

 private:
  bool through_desk_;
  agent::Identity identity_;
  std::shared_ptr<const schema::Registry> registry_;
};

}  // namespace

std::unique_ptr<Subject> agent_subject(bool through_desk) {
  return std::make_unique<AgentSubject>(through_desk);
}

}  // namespace fieldpost::crash
