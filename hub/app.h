// The hub, wired together: on one page, through constructors.
//
// Thread rule: made and run by main's thread; N network threads and one writer thread per store inside.
#pragma once

#include <filesystem>

#include "hub/api/api.h"

namespace fieldpost::hub {

/// A hub's stores opened by this process, without any listening socket: what the command line uses when
/// no hub runs.
class LocalHub {
 public:
  /// Errors: those of layout.h; `locked` when a hub runs on this directory.
  static Result<std::unique_ptr<LocalHub>> open(const std::filesystem::path& directory);
  /// Answers a request of the command line.
  net::HttpResponse call(net::HttpRequest request);

 private:
  LocalHub() = default;
  Settings settings_;
  Keys keys_;
  std::vector<OpenStore> open_;
  std::optional<schema::Registry> registry_;
  std::vector<std::unique_ptr<Writer>> writers_;
  std::unique_ptr<backup::BackupService> backups_;
  std::unique_ptr<RetentionService> retention_;
  std::unique_ptr<Api> api_;
};

struct RunOptions {
  std::optional<std::string> listen;
  std::optional<std::uint16_t> port;
  std::optional<unsigned> threads;
  bool new_epoch = false;  ///< begin another life of the data, whatever the stores say
};

/// Runs until SIGINT or SIGTERM. Should the data turn out to be older than what tablets were told (a virtual
/// machine's snapshot), it opens the stores anew, in a new epoch. Errors: what kept it from starting.
Status run_hub(const std::filesystem::path& directory, const RunOptions& options);

}  // namespace fieldpost::hub
