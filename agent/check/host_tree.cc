// SPDX-License-Identifier: Apache-2.0
#include "agent/check/host_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "kernel/fd.h"

namespace corral {
namespace {

constexpr size_t kMaxText = 1024 * 1024;
constexpr size_t kChunk = 64 * 1024;

absl::Status ReadError(const std::string& path, int error) {
  const std::string message = absl::StrCat("cannot read ", path, ": ", strerror(error));
  if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError(message);
  return absl::FailedPreconditionError(message);
}

}  // namespace

absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t max_bytes) {
  // A FIFO without a writer would block.
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return ReadError(path, errno);
  struct stat info = {};
  if (fstat(fd.get(), &info) != 0) return ReadError(path, errno);
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a regular file"));
  }
  // Files of /proc and /sys do not tell their size.
  std::string bytes;
  bytes.reserve(std::min<size_t>(info.st_size, max_bytes) + kChunk);
  for (;;) {
    const size_t size = bytes.size();
    bytes.resize(size + kChunk);
    const ssize_t got = read(fd.get(), bytes.data() + size, kChunk);
    bytes.resize(size + std::max<ssize_t>(got, 0));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ReadError(path, errno);
    if (got == 0) return bytes;
    if (bytes.size() > max_bytes) {
      return absl::FailedPreconditionError(absl::StrCat(path, " is longer than ", max_bytes,
                                                        " bytes, so it is not what it should be"));
    }
  }
}

std::string HostTree::Path(absl::string_view path) const { return absl::StrCat(root_, path); }

bool HostTree::Exists(absl::string_view path) const {
  std::error_code error;
  return std::filesystem::exists(Path(path), error);
}

absl::StatusOr<std::string> HostTree::Text(absl::string_view path) const {
  absl::StatusOr<std::string> text = ReadWholeFile(Path(path), kMaxText);
  if (text.ok()) absl::StripTrailingAsciiWhitespace(&*text);
  return text;
}

absl::StatusOr<CpuSet> HostTree::Cpus(absl::string_view path) const {
  const absl::StatusOr<std::string> text = Text(path);
  if (!text.ok()) return text.status();
  // Older kernels print this for a mask that was never made.
  if (text->empty() || *text == "(null)") return CpuSet();
  const absl::StatusOr<CpuSet> cpus = CpuSet::Parse(*text);
  if (cpus.ok()) return cpus;
  return absl::InvalidArgumentError(
      absl::StrCat(Path(path), " is no list of CPUs: ", cpus.status().message()));
}

std::vector<std::string> HostTree::Names(absl::string_view path) const {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(Path(path), error), end; !error && it != end;
       it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string HostTree::SelinuxType(absl::string_view path) const {
  char label[256];
  const ssize_t length =
      lgetxattr(Path(path).c_str(), "security.selinux", label, sizeof(label) - 1);
  if (length <= 0) return "";
  label[length] = '\0';
  // user:role:type:level
  const std::vector<std::string> parts = absl::StrSplit(label, ':');
  return parts.size() < 3 ? "" : parts[2];
}

}  // namespace corral
