// SPDX-License-Identifier: Apache-2.0
// The files by which a host is judged, below a root that tests put elsewhere. Reads only; a value,
// usable from any thread.
#ifndef CORRAL_AGENT_CHECK_HOST_TREE_H_
#define CORRAL_AGENT_CHECK_HOST_TREE_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernel/cpu_set.h"

namespace corral {

// The whole of a regular file. NotFound: there is none. Otherwise FailedPrecondition: it cannot be
// read, or is longer than `max_bytes`.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t max_bytes);

class HostTree {
 public:
  // "" is this machine.
  explicit HostTree(std::string root = "") : root_(std::move(root)) {}

  const std::string& root() const { return root_; }
  std::string Path(absl::string_view path) const;  // `path` begins with '/'
  bool Exists(absl::string_view path) const;
  // A small text file without the white space at its end. Errors as ReadWholeFile.
  absl::StatusOr<std::string> Text(absl::string_view path) const;
  // A file with one cpulist; an empty one is the empty set. InvalidArgument: it holds something
  // else.
  absl::StatusOr<CpuSet> Cpus(absl::string_view path) const;
  // Names in a folder, sorted; none if it cannot be read.
  std::vector<std::string> Names(absl::string_view path) const;
  // The type in a file's SELinux label; "" if it has none.
  std::string SelinuxType(absl::string_view path) const;

 private:
  std::string root_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_CHECK_HOST_TREE_H_
