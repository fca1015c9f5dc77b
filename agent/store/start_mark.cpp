#include "agent/store/start_mark.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/text.h"
#include "keys/secret_file.h"
#include "sync/recorder.h"

namespace fieldpost::agent {

using nlohmann::json;

namespace {

constexpr std::size_t kMarkBytesMax = 4096;
/// No tablet starts so often; a count beyond it was not written here, and one more would not fit the number.
constexpr std::uint64_t kStartsMax = std::uint64_t{1} << 53;

/// The count outside the store; nothing when the file is missing or holds none.
std::optional<std::uint64_t> read_mark(const DataDirectory& data) {
  const auto bytes = keys::read_file(data.start_mark(), kMarkBytesMax);
  if (!bytes) return std::nullopt;
  const json mark = json::parse(as_text(*bytes), nullptr, false);
  if (!mark.is_object() || !mark.contains("starts") || !mark["starts"].is_number_unsigned())
    return std::nullopt;
  const auto starts = mark["starts"].get<std::uint64_t>();
  return starts <= kStartsMax ? std::optional(starts) : std::nullopt;
}

StartFound compare(const storage::AgentState& state, std::optional<std::uint64_t> outside,
                   const Hash& machine) {
  if (state.generation == 0) return {};  // the first start of this store
  if (!state.machine.is_zero() && !machine.is_zero() && state.machine != machine)
    return {true, "this data was last used on another machine"};
  if (!outside) return {true, "start.json, which counts this tablet's starts, is missing"};
  // One ahead: a crash between the two writes.
  const bool same = *outside == state.generation || *outside == state.generation + 1;
  if (same) return {};
  return {true, *outside > state.generation
                    ? "the store is older than start.json: it was put back"
                    : "start.json is older than the store: it was put back"};
}

}  // namespace

Hash this_machine() {
  const auto id = keys::read_file("/etc/machine-id", kMarkBytesMax);
  if (!id || trimmed(as_text(*id)).empty()) return {};
  return crypto::hash("fieldpost.v1.machine", {as_bytes(trimmed(as_text(*id)))});
}

Result<StartFound> mark_start(const DataDirectory& data, storage::AgentStore& store,
                              const HubId& hub, const DeviceId& device, const Hash& machine,
                              const RandomSource& random) {
  const storage::AgentState& state = store.state();
  const auto outside = read_mark(data);
  const StartFound found = compare(state, outside, machine);
  storage::AgentStore::Start start;
  start.generation = std::max(outside.value_or(0), state.generation) + 1;
  start.machine = machine;
  // One ahead after a crash: the file may stay, the store catches up.
  if (outside && !found.put_back && *outside == state.generation + 1) start.generation = *outside;
  if (found.put_back) start.fresh = sync::new_chain(hub, device, random);
  const json mark = {{"starts", start.generation}};
  const Status written =
      keys::write_file_atomically(data.start_mark(), as_bytes(mark.dump() + "\n"), 0600);
  // Without the file the store must not run ahead of it; a fresh chain is owed all the same.
  if (!written) start.generation = state.generation;
  if (!written && !start.fresh) return found;
  const Status begun = store.begin(start);
  // A full tablet must still be read, synced and emptied; what is owed then, the next start or the hub notices.
  if (!begun && !begun.error().is(Errc::store_full)) return begun.error();
  return found;
}

}  // namespace fieldpost::agent
