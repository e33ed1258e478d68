// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf/mapped_array.h"

#include <bpf/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace corral {

RawMapping::~RawMapping() {
  if (address_ != nullptr) munmap(address_, bytes_);
}

absl::StatusOr<RawMapping> RawMapping::Map(int fd, absl::string_view name, size_t value_size) {
  bpf_map_info info = {};
  __u32 info_size = sizeof(info);
  if (bpf_map_get_info_by_fd(fd, &info, &info_size) != 0) {
    return absl::InternalError(
        absl::StrCat("cannot ask the kernel about map ", name, ": ", strerror(errno)));
  }
  if (info.value_size != value_size) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the loaded class is of another version: an element of ", name, " has ", info.value_size,
        " bytes there and ", value_size, " here; restart corral-class.service"));
  }
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  RawMapping mapping;
  mapping.entries_ = info.max_entries;
  mapping.bytes_ = (value_size * info.max_entries + page - 1) / page * page;
  void* const address = mmap(nullptr, mapping.bytes_, PROT_READ, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) {
    return absl::InternalError(absl::StrCat("cannot map ", name, ": ", strerror(errno)));
  }
  mapping.address_ = address;
  return mapping;
}

}  // namespace corral
