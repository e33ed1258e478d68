// SPDX-License-Identifier: Apache-2.0
#include "agent/main/sealed_options.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "agent/main/inherited_fd.h"

namespace corral {
namespace {

constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
constexpr off_t kMaxSize = 1 << 20;

}  // namespace

absl::StatusOr<std::string> ReadSealed(int fd) {
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) {
    return absl::PermissionDeniedError(
        "the options are not in a memory file sealed against every change; agents are started by "
        "corrald");
  }
  struct stat info = {};
  if (fstat(fd, &info) != 0) {
    return absl::InternalError(absl::StrCat("cannot read the options: ", strerror(errno)));
  }
  if (info.st_size > kMaxSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("the options have ", info.st_size, " bytes; at most 1 MiB are accepted"));
  }
  std::string text(static_cast<size_t>(info.st_size), '\0');
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = pread(fd, &text[done], text.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      return absl::InternalError(
          absl::StrCat("cannot read the options: ", n < 0 ? strerror(errno) : "end of file"));
    }
    done += static_cast<size_t>(n);
  }
  return text;
}

absl::StatusOr<std::string> InheritedOptions() {
  const Fd fd = InheritedFd(kOptionsFdName);
  if (!fd) return std::string("{}");
  return ReadSealed(fd.get());
}

}  // namespace corral
