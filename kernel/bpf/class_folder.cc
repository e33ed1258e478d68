// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf/class_folder.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "kernel/bpf/class_files.h"

namespace corral {

ClassFolder ClassFolder::Hold() {
  ClassFolder folder;
  folder.fd_ = Fd(open(kClassDir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return folder;
}

bool ClassFolder::IsCutOff() const {
  struct stat held, found;
  if (!fd_ || fstat(fd_.get(), &held) != 0) return false;
  return stat(kClassDir, &found) != 0 || found.st_dev != held.st_dev || found.st_ino != held.st_ino;
}

void MountBpffsIfGone() {
  if (!BpffsIsMounted()) mount("bpf", kBpffs, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700");
}

}  // namespace corral
