// What the tablet itself can say: free disk and battery.
//
// Thread rule: safe from any thread; reads the file system.
#pragma once

#include <filesystem>

#include "sync/agent_session.h"

namespace fieldpost::agent {

/// Zero bytes when the volume cannot be asked; no percentage where there is no battery.
sync::DeviceFacts read_device_facts(const std::filesystem::path& data);

}  // namespace fieldpost::agent
