// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/cgroup_watcher.h"

#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "cgroup_watch.skel.h"
#include "vmm-integration/cgroup_watch.h"
#include "vmm-integration/qemu_process.h"

namespace corral {

absl::StatusOr<std::unique_ptr<CgroupWatcher>> CgroupWatcher::Start() {
  std::unique_ptr<CgroupWatcher> watcher(new CgroupWatcher);
  watcher->skeleton_ = cgroup_watch::open_and_load();
  if (watcher->skeleton_ == nullptr || cgroup_watch::attach(watcher->skeleton_) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot watch the vCPU cgroups: ", strerror(errno), "; run as root, on a kernel with BTF"));
  }
  watcher->ring_ = ring_buffer__new(bpf_map__fd(watcher->skeleton_->maps.entries), &OnSample,
                                    watcher.get(), nullptr);
  if (watcher->ring_ == nullptr)
    return absl::InternalError(
        absl::StrCat("cannot map the cgroup probe's ring: ", strerror(errno)));
  return watcher;
}

CgroupWatcher::~CgroupWatcher() {
  ring_buffer__free(ring_);
  cgroup_watch::destroy(skeleton_);
}

int CgroupWatcher::fd() const { return ring_buffer__epoll_fd(ring_); }

int CgroupWatcher::OnSample(void* self, void* data, size_t size) {
  if (size < sizeof(vcpu_cgroup_entry)) return 0;
  const auto& entry = *static_cast<const vcpu_cgroup_entry*>(data);
  const std::optional<int> vcpu =
      VcpuIndex(absl::string_view(entry.leaf, strnlen(entry.leaf, sizeof(entry.leaf))));
  if (!vcpu) return 0;  // a group of somebody else, such as "vcpu0-helpers"
  (*static_cast<CgroupWatcher*>(self)->handle_)({.tid = static_cast<pid_t>(entry.tid),
                                                 .tgid = static_cast<pid_t>(entry.tgid),
                                                 .vcpu = *vcpu,
                                                 .time = Time(Duration(entry.time_ns))});
  return 0;
}

void CgroupWatcher::Drain(absl::FunctionRef<void(const VcpuCgroupEntry&)> handle) {
  handle_ = &handle;
  ring_buffer__consume(ring_);
  handle_ = nullptr;
}

uint64_t CgroupWatcher::lost() const {
  return __atomic_load_n(&skeleton_->bss->lost, __ATOMIC_RELAXED);
}

}  // namespace corral
