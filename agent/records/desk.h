// The desk at which records are made, changed and read: everything a form, a script or the command line
// does with records, as functions from JSON to JSON.
//
// Thread rule: the store's thread.
// Invariants:
//   1. What is answered as recorded is durable.
//   2. A final record has passed its form's whole check; a draft never leaves the store's draft table.
//   3. After final every change has a reason, an author and its own amendment item.
//   4. A visit is sealed before it becomes a change, or refused.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "agent/records/import_ids.h"
#include "agent/store/identity.h"
#include "schema/check.h"
#include "schema/document.h"
#include "schema/registry.h"
#include "storage/agent_store.h"
#include "sync/recorder.h"

namespace fieldpost::agent {

/// What a request says about who asks and how.
struct Asker {
  std::string author;
  std::string language = "en";
};

/// A JSON answer. `faults` not empty: nothing was recorded, and this is why.
struct Outcome {
  nlohmann::json body;
  nlohmann::json faults = nlohmann::json::array();
};

class Desk {
 public:
  struct Parts {
    const Identity* identity = nullptr;
    storage::AgentStore* store = nullptr;
    std::shared_ptr<const schema::Registry> registry;
    RandomSource random;
    std::function<sync::TimeReading()> clock;
    std::function<std::optional<sync::HubAnchor>()> anchor;  ///< may be empty
    std::function<void()> recorded;  ///< may be empty: something is to be sent
    std::function<bool()> online;    ///< may be empty: never
    int offset_minutes = 420;        ///< of times written here: Cambodia has one zone
  };
  explicit Desk(Parts parts);

  // ---- making (create.cpp) ----
  /// A document, complete or (draft) not. Answers id, ref_no, state, warnings.
  Result<Outcome> create(nlohmann::json document, bool draft, const Asker& asker);
  /// A draft becomes a record.
  Result<Outcome> finalise(const RecordId& id, const Asker& asker);
  Status discard_draft(const RecordId& id);
  /// What this device answered last for this type, and what it knows of itself: offered as defaults.
  Result<nlohmann::json> defaults(const std::string& type);

  // ---- many at once (import_rows.cpp) ----
  /// rows: [{line, external_id, document}]. A row is known by its external_id and the time of its event, or
  /// without one by its whole content; what is known is left as it is. An external_id that comes again with
  /// another time is recorded, with a warning: a corrected time, or a book that counts from 1 again.
  /// Answers added, present, refused [{line, faults}].
  Result<Outcome> import_rows(const nlohmann::json& rows, const std::string& type,
                              const Asker& asker);

  // ---- changing (edit.cpp) ----
  /// What the author saw when the record was opened, and the chain that was current then: a fork between may
  /// have given the own changes in it other names.
  struct Opened {
    model::VersionVector seen;
    ActorId under;
  };
  struct EditOrder {
    nlohmann::json set = nlohmann::json::object();    ///< path → value; null clears
    nlohmann::json patch = nlohmann::json::object();  ///< part of a document
    std::string reason;
    std::optional<Opened> context;
    bool finalise = false;  ///< of a draft
  };
  Result<Outcome> edit(const RecordId& id, const EditOrder& order, const Asker& asker);
  Result<Outcome> void_record(const RecordId& id, const std::string& reason, const Asker& asker);

  // ---- reading (view.cpp) ----
  Result<nlohmann::json> show(const RecordId& id, const std::string& language) const;
  struct ListQuery {
    std::string type;
    std::string state;
    RecordId after;
    std::size_t limit = 50;
    bool documents = false;  ///< whole documents, as export needs them
    bool drafts = true;      ///< with the first page
  };
  /// {"records": […], "next": id or null}. One call looks at a bounded number of records.
  Result<nlohmann::json> list(const ListQuery& query, const std::string& language) const;
  Result<nlohmann::json> digests() const;

  const schema::Registry& registry() const { return *parts_.registry; }
  void replace_registry(std::shared_ptr<const schema::Registry> registry) {
    parts_.registry = std::move(registry);
  }
  const Parts& parts() const { return parts_; }

 private:
  struct Prepared {
    nlohmann::json document;  ///< normalised
    std::vector<schema::Fault> faults;
    RecordId id;
    std::string type;
    std::string ref_no;
    sync::EditRequest request;  ///< meaningless when there are errors
  };
  /// Shared by create, finalise and import. `ref_counter` is raised when a number is given out.
  Result<Prepared> prepare(nlohmann::json document, const Asker& asker, std::uint64_t& ref_counter,
                           const std::function<std::string()>& new_item_id);
  Status fill(nlohmann::json& document, const schema::Form& form, const Asker& asker);
  Result<Outcome> store_draft(nlohmann::json document, const schema::Form& form,
                              const Asker& asker);
  Result<Outcome> commit_new(Prepared prepared, std::uint64_t ref_counter, bool was_draft,
                             const Asker& asker);
  Result<const schema::Form*> form_for(const nlohmann::json& document) const;
  Status seal(const schema::Form& form, sync::EditRequest& request);
  Status ensure_unit(const std::string& unit) const;
  Result<std::optional<storage::Draft>> draft(const RecordId& id) const;
  Result<nlohmann::json> draft_document(const storage::Draft& draft) const;
  Result<Outcome> edit_draft(const storage::Draft& draft, const EditOrder& order,
                             const Asker& asker);
  Result<Outcome> change_record(const storage::RecordView& view, const EditOrder& order,
                                const char* kind, const Asker& asker);
  std::string next_ref_no(std::uint64_t counter) const;
  std::string new_item_id() const;
  model::ChangeTimes times_now() const;
  std::string now_text() const;
  nlohmann::json summary(const storage::RecordView& view, const std::string& language,
                         bool document) const;
  nlohmann::json draft_summary(const storage::Draft& draft, const std::string& language,
                               bool document) const;
  nlohmann::json fault_list(const std::vector<schema::Fault>& faults,
                            const std::string& language) const;
  schema::Unseal unseal(const model::Record& record) const { return unseal_with_keys(record); }
  schema::Unseal unseal_with_keys(const model::Record& record) const;

  Parts parts_;
  std::vector<crypto::BoxKeyPair> unit_keys_;
  ImportedIds imported_;
};

/// on_tablet, sending, at_hub, lost_at_hub, attention or draft; stable names for scripts.
std::string place_of(const storage::RecordView& view, bool online);
/// The same in words of the language.
std::string place_words(std::string_view place, std::string_view language);

}  // namespace fieldpost::agent
