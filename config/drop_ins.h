// SPDX-License-Identifier: Apache-2.0
// The drop-ins of a corral.yaml: files in a folder beside it that is named like it, with ".d" for
// ".yaml". Of /etc/corral/corral.yaml that is /etc/corral/corral.d.
//
// Each *.yaml there that does not begin with a dot is read, in the order of the bytes of its name,
// and wins over what came before it. Any thread.
#ifndef CORRAL_CONFIG_DROP_INS_H_
#define CORRAL_CONFIG_DROP_INS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace corral {

// More is a mistake, and each may have 256 KiB.
inline constexpr size_t kMaxDropIns = 64;

std::string DropInFolder(const std::string& file);

struct DropIns {
  std::vector<std::string> files;    // paths, in order
  std::vector<std::string> ignored;  // whose names do not end in .yaml; hidden ones are not listed
};

// None if there is no such folder. NotFound: it cannot be read. InvalidArgument: there are too
// many.
absl::StatusOr<DropIns> FindDropIns(const std::string& file);

}  // namespace corral

#endif  // CORRAL_CONFIG_DROP_INS_H_
