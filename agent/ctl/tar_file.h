// SPDX-License-Identifier: Apache-2.0
// Writes a .tar.gz of texts. One thread.
#ifndef CORRAL_AGENT_CTL_TAR_FILE_H_
#define CORRAL_AGENT_CTL_TAR_FILE_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernel/fd.h"

struct archive;

namespace corral::ctl {

class TarFile {
 public:
  // For its owner only. AlreadyExists, or FailedPrecondition with the reason.
  static absl::StatusOr<TarFile> Create(const std::string& file);

  absl::Status Add(const std::string& name, absl::string_view text);
  // Nothing is complete before. Internal: the disk is full, for example.
  absl::Status Close();

 private:
  struct Free {
    void operator()(archive* a) const;
  };
  TarFile(Fd fd, archive* a) : fd_(std::move(fd)), archive_(a) {}
  absl::Status Failed(absl::string_view what) const;

  Fd fd_;
  std::unique_ptr<archive, Free> archive_;  // gone before what it writes to
};

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_TAR_FILE_H_
