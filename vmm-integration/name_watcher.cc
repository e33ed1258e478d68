// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/name_watcher.h"

#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "name_watch.skel.h"
#include "vmm-integration/name_watch.h"
#include "vmm-integration/plain_qemu.h"

namespace corral {

absl::StatusOr<std::unique_ptr<NameWatcher>> NameWatcher::Start() {
  std::unique_ptr<NameWatcher> watcher(new NameWatcher);
  watcher->skeleton_ = name_watch::open_and_load();
  if (watcher->skeleton_ == nullptr || name_watch::attach(watcher->skeleton_) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot watch threads take names: ", strerror(errno),
                     "; run as root, on a kernel with BTF"));
  }
  watcher->ring_ = ring_buffer__new(bpf_map__fd(watcher->skeleton_->maps.entries), &OnSample,
                                    watcher.get(), nullptr);
  if (watcher->ring_ == nullptr)
    return absl::InternalError(absl::StrCat("cannot map the name probe's ring: ", strerror(errno)));
  return watcher;
}

NameWatcher::~NameWatcher() {
  ring_buffer__free(ring_);
  name_watch::destroy(skeleton_);
}

int NameWatcher::fd() const { return ring_buffer__epoll_fd(ring_); }

int NameWatcher::OnSample(void* self, void* data, size_t size) {
  if (size < sizeof(vcpu_name_entry)) return 0;
  const auto& entry = *static_cast<const vcpu_name_entry*>(data);
  const std::optional<int> vcpu =
      VcpuOfThreadName(absl::string_view(entry.name, strnlen(entry.name, sizeof(entry.name))));
  if (!vcpu) return 0;
  (*static_cast<NameWatcher*>(self)->handle_)({.tid = static_cast<pid_t>(entry.tid),
                                               .tgid = static_cast<pid_t>(entry.tgid),
                                               .vcpu = *vcpu,
                                               .time = Time(Duration(entry.time_ns))});
  return 0;
}

void NameWatcher::Drain(absl::FunctionRef<void(const VcpuName&)> handle) {
  handle_ = &handle;
  ring_buffer__consume(ring_);
  handle_ = nullptr;
}

uint64_t NameWatcher::lost() const {
  return __atomic_load_n(&skeleton_->bss->lost, __ATOMIC_RELAXED);
}

}  // namespace corral
