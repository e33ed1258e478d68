// SPDX-License-Identifier: Apache-2.0
// Which of libvirt's status files have just been written, from inotify: libvirt has no event for
// some of what virsh changes (setvcpus, numatune), but it writes all of it down.
//
// libvirt replaces a file by renaming another over it. The directory is libvirt's own and may come
// later than we do, or again: Retry() looks for it. One thread.
#ifndef CORRAL_VMM_INTEGRATION_STATUS_WATCH_H_
#define CORRAL_VMM_INTEGRATION_STATUS_WATCH_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "kernel/fd.h"

namespace corral {

class StatusWatch {
 public:
  explicit StatusWatch(std::string dir);

  // Readable when there is something to Drain; -1 if inotify cannot be had.
  int fd() const { return inotify_.get(); }
  // Watches the directory, if it is there and not watched yet. Returns whether it is watched.
  bool Retry();
  // The names of the VMs whose status was written or removed.
  void Drain(absl::FunctionRef<void(const std::string& vm)> handle);

 private:
  const std::string dir_;
  Fd inotify_;
  int watch_ = -1;
};

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_STATUS_WATCH_H_
