// What this tablet knows of the hub's clock, kept beside the store: certificates are judged by it, however the
// tablet's own clock stands (net/client.h, invariant 4), and times of changes are estimated by it.
//
// Thread rule: the store's thread; reading and writing touch the disk.
// Invariants:
//   1. The last hub time wins, not the latest: a hub whose clock ran ahead for an hour is believed again.
//   2. What is kept never lies past the end of the certificate it came with (sync::up_to): a hub whose clock was
//      wrong must not lock this tablet out until that time has come.
//   3. A file that is missing or damaged costs knowledge, never a start: the wall clock judges then.
#pragma once

#include <optional>

#include "agent/store/directory.h"
#include "sync/time_reading.h"

namespace fieldpost::agent {

std::optional<sync::HubAnchor> load_hub_time(const DataDirectory& data);
/// Errors: those of the disk.
Status save_hub_time(const DataDirectory& data, const sync::HubAnchor& anchor);

}  // namespace fieldpost::agent
