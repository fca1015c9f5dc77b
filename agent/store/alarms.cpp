#include "agent/store/alarms.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"

namespace fieldpost::agent {

namespace {

/// A record with its pages, when the tablet has none to judge by.
constexpr std::uint64_t kRecordBytesGuess = 8 * 1024;

std::string capital(std::string sentence) {
  if (!sentence.empty() && sentence[0] >= 'a' && sentence[0] <= 'z')
    sentence[0] = static_cast<char>(sentence[0] - 'a' + 'A');
  return sentence + ".";
}

std::string room_words(const storage::AgentCounts& counts) {
  if (counts.room_bytes == 0) {
    return "No room: nothing more can be recorded until some is made on this tablet's disk. Delete "
           "other files or drafts. What was recorded is here, and is still sent.";
  }
  const std::uint64_t each = counts.records == 0
                                 ? kRecordBytesGuess
                                 : std::max(kRecordBytesGuess, counts.store_bytes / counts.records);
  return "Room is short: " + std::to_string(counts.room_bytes >> 20) + " MiB are left, for about " +
         std::to_string(counts.room_bytes / each) +
         " more records. Make room on this tablet's disk before recording has to stop.";
}

}  // namespace

std::string Alarms::text() const {
  std::string all;
  for (const std::string& warning : warnings) {
    if (!all.empty()) all += ' ';
    all += warning;
  }
  const std::string cut = all.substr(0, limits::kAlarmBytesMax);
  return cut.substr(0, first_invalid_utf8(cut));
}

Result<Alarms> look_for_alarms(const DataDirectory& data, const storage::AgentStore& store) {
  Alarms alarms;
  FP_TRY(const auto damages, store.damages());
  std::vector<std::string> milder;
  for (const storage::Damage& damage : damages) {
    if (damage.settled) continue;
    // Of a change that the hub has, its record says enough.
    if (damage.kind == storage::Damage::Kind::own_change && damage.acked) continue;
    ++(damage.unsendable() ? alarms.unsendable : alarms.damaged);
    (damage.unsendable() ? alarms.warnings : milder).push_back(capital(damage_words(damage)));
  }
  FP_TRY(const auto counts, store.counts());
  alarms.room_bytes = counts.room_bytes;
  if (counts.room_bytes < kRoomWarnBytes) alarms.warnings.push_back(room_words(counts));
  alarms.warnings.insert(alarms.warnings.end(), milder.begin(), milder.end());
  for (const auto& copy : copies_from_before(data.store())) {
    alarms.warnings.push_back("A copy of the records from before an update stands in " +
                              copy.string() + ": remove it once this version has proved itself.");
  }
  return alarms;
}

std::vector<std::filesystem::path> copies_from_before(const std::filesystem::path& store) {
  std::vector<std::filesystem::path> found;
  const std::string prefix = store.filename().string() + ".before-format-";
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(store.parent_path(), failed)) {
    if (entry.path().filename().string().starts_with(prefix)) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace fieldpost::agent
