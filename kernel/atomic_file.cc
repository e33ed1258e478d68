// SPDX-License-Identifier: Apache-2.0
#include "kernel/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "kernel/fd.h"

namespace corral {
namespace {

absl::Status Failed(const char* what, const std::string& file) {
  const int error = errno;
  const std::string text = absl::StrCat("cannot ", what, " ", file, ": ", strerror(error));
  if (error == EACCES || error == EPERM)
    return absl::PermissionDeniedError(absl::StrCat(text, "; run as root"));
  return absl::InternalError(absl::StrCat(text, "; nothing was changed"));
}

std::string FolderOf(const std::string& file) {
  const size_t end = file.rfind('/');
  return end == std::string::npos ? "." : file.substr(0, end + 1);
}

absl::Status WriteAll(int fd, const std::string& text, const std::string& file) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t written = write(fd, text.data() + done, text.size() - done);
    if (written < 0 && errno != EINTR) return Failed("write", file);
    if (written > 0) done += written;
  }
  return fsync(fd) == 0 ? absl::OkStatus() : Failed("write", file);
}

absl::Status SyncFolder(const std::string& folder) {
  const Fd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd && fsync(fd.get()) == 0 ? absl::OkStatus() : Failed("write", folder);
}

}  // namespace

absl::Status ReplaceFile(const std::string& file, const std::string& text) {
  const std::string folder = FolderOf(file);
  if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return Failed("make", folder);
  // Hidden, so that nobody takes it for the file.
  std::string draft = absl::StrCat(folder, "/.", file.substr(file.rfind('/') + 1), ".XXXXXX");
  const Fd fd(mkostemp(draft.data(), O_CLOEXEC));
  if (!fd) return Failed("write in", folder);
  absl::Status status = WriteAll(fd.get(), text, draft);
  if (status.ok() && fchmod(fd.get(), 0644) != 0) status = Failed("write", draft);
  if (status.ok() && rename(draft.c_str(), file.c_str()) != 0) status = Failed("write", file);
  if (!status.ok()) unlink(draft.c_str());
  return status.ok() ? SyncFolder(folder) : status;
}

absl::Status RemoveFile(const std::string& file) {
  if (unlink(file.c_str()) != 0) return Failed("remove", file);
  return SyncFolder(FolderOf(file));
}

}  // namespace corral
