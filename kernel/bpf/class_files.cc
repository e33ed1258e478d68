// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf/class_files.h"

#include <bpf/bpf.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"

namespace corral {
namespace {

// BPF_FS_MAGIC of linux/magic.h, which has not the type of what it is compared with.
constexpr long kBpffsMagic = 0xcafe4a11;

}  // namespace

absl::StatusOr<Fd> OpenPin(absl::string_view name, absl::string_view folder) {
  const std::string path = absl::StrCat(folder, "/", name);
  const int fd = bpf_obj_get(path.c_str());
  if (fd >= 0) return Fd(fd);
  if (errno == EPERM || errno == EACCES) {
    return absl::PermissionDeniedError(
        absl::StrCat("no permission to open ", path, "; run as root"));
  }
  return absl::FailedPreconditionError(absl::StrCat("the scheduling class is not loaded (", path,
                                                    ": ", strerror(errno),
                                                    "); start corral-class.service"));
}

bool BpffsIsMounted() {
  struct statfs fs;
  return statfs(kBpffs, &fs) == 0 && fs.f_type == kBpffsMagic;
}

bool ClassIsPinned() {
  std::error_code error;
  for (std::filesystem::directory_iterator it(kClassDir, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path() != kHeldVmsPin) return true;
  }
  return false;
}

absl::Status ThereIsAClass() {
  return absl::AlreadyExistsError(absl::StrCat("a class is loaded already (its pins are in ",
                                               kClassDir, "); stop corral-class.service first"));
}

}  // namespace corral
