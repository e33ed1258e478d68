// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf/class_succession.h"

#include <bpf/bpf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "kernel/bpf/class_files.h"

namespace corral {
namespace {

constexpr char kNextHeldVmsPin[] = "/sys/fs/bpf/corral-next/held_vms";

}  // namespace

absl::Status DisplaceClass() {
  const absl::StatusOr<Fd> link = OpenPin("link_class");
  if (!link.ok()) return link.status();
  if (bpf_link_detach(link->get()) != 0)
    return absl::InternalError(absl::StrCat("cannot detach the class: ", strerror(errno)));
  if (rename(kClassDir, kFormerDir) == 0) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("cannot rename ", kClassDir, " to ", kFormerDir, ": ", strerror(errno)));
}

absl::Status InstallNextClass() {
  if (ClassIsPinned()) return ThereIsAClass();
  // It is in one of them, or there is none.
  for (const char* const held : {kFormerHeldVmsPin, kHeldVmsPin}) rename(held, kNextHeldVmsPin);
  rmdir(kClassDir);
  if (rename(kNextDir, kClassDir) == 0) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("cannot rename ", kNextDir, " to ", kClassDir, ": ", strerror(errno)));
}

void RemoveOtherClasses() {
  // They are still to be let go on.
  for (const char* const held : {kFormerHeldVmsPin, kNextHeldVmsPin}) {
    if (access(held, F_OK) != 0) continue;
    mkdir(kClassDir, 0700);
    rename(held, kHeldVmsPin);
  }
  std::error_code ignored;  // what cannot be removed does no harm
  std::filesystem::remove_all(kNextDir, ignored);
  std::filesystem::remove_all(kFormerDir, ignored);
}

}  // namespace corral
