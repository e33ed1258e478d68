// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/cgroup_watcher.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "cgroup_watch.skel.h"
#include "vmm-integration/cgroup_watch.h"
#include "vmm-integration/qemu_process.h"

namespace corral {

namespace {

absl::Status CannotWatch() {
  return absl::FailedPreconditionError(absl::StrCat(
      "cannot watch the vCPU cgroups: ", strerror(errno), "; run as root, on a kernel with BTF"));
}

}  // namespace

// A pin of another version's would be refused; whom that one held goes on now.
absl::Status CgroupWatcher::Load() {
  skeleton_ = cgroup_watch::open();
  if (skeleton_ == nullptr) return CannotWatch();
  const bool traceable = libbpf_find_vmlinux_btf_id("cgroup_attach_task", BPF_TRACE_FEXIT) > 0;
  bpf_program__set_autoload(skeleton_->progs.vcpu_cgroup_attached, traceable);
  bpf_program__set_autoload(skeleton_->progs.vcpu_cgroup_entered, !traceable);
  skeleton_->rodata->hold = !held_pin_.empty();
  if (!held_pin_.empty()) bpf_map__set_pin_path(skeleton_->maps.held_vms, held_pin_.c_str());
  return cgroup_watch::load(skeleton_) == 0 ? absl::OkStatus() : CannotWatch();
}

absl::StatusOr<std::unique_ptr<CgroupWatcher>> CgroupWatcher::Start(const std::string& held_pin) {
  std::unique_ptr<CgroupWatcher> watcher(new CgroupWatcher(held_pin));
  if (const absl::Status status = watcher->Load(); !status.ok()) return status;
  watcher->held_.emplace(Fd(dup(bpf_map__fd(watcher->skeleton_->maps.held_vms))));
  watcher->ring_ = ring_buffer__new(bpf_map__fd(watcher->skeleton_->maps.entries), &OnSample,
                                    watcher.get(), nullptr);
  if (watcher->ring_ == nullptr)
    return absl::InternalError(
        absl::StrCat("cannot map the cgroup probe's ring: ", strerror(errno)));
  if (cgroup_watch::attach(watcher->skeleton_) != 0) return CannotWatch();
  return watcher;
}

CgroupWatcher::~CgroupWatcher() {
  if (skeleton_ != nullptr) cgroup_watch::detach(skeleton_);
  if (held_) held_->ReleaseAll(held_->All());
  if (!held_pin_.empty()) unlink(held_pin_.c_str());
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
                                                 .time = Time(Duration(entry.time_ns)),
                                                 .hold = entry.hold});
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
