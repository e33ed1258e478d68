// SPDX-License-Identifier: Apache-2.0
// What is written down while one class is replaced by another, so that whoever comes after a sudden
// death knows whom to let go on and what to tell the class: a file in corrald's runtime folder,
// which is gone after a reboot as the class is. Its lock is held by the processes at work on it.
//
// One thread.
#ifndef CORRAL_AGENT_CLASS_HANDOVER_RECORD_H_
#define CORRAL_AGENT_CLASS_HANDOVER_RECORD_H_

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/class/paused_vms.h"
#include "kernel/class_layout.h"
#include "kernel/fd.h"

namespace corral {

struct HandoverRecord {
  PausedVms stopped;
  ClassSizes sizes;
  nlohmann::json state;  // class_state.h; null: the old class has not been touched yet
};

class HandoverFile {
 public:
  // `folder`: corrald's runtime folder.
  explicit HandoverFile(const std::string& folder);

  // None: nothing is under way. DataLoss: it cannot be understood, with the remedy.
  absl::StatusOr<std::optional<HandoverRecord>> Read() const;
  // On the disk when it returns; a death in between leaves what was there.
  absl::Status Write(const HandoverRecord& record) const;
  void Remove() const;
  // Held as long as the descriptor, or a copy of it in another process. Unavailable: somebody else
  // has held it for `patience`.
  absl::StatusOr<Fd> Lock(Duration patience) const;

 private:
  std::string path_;
  std::string lock_path_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_CLASS_HANDOVER_RECORD_H_
