// SPDX-License-Identifier: Apache-2.0
// The moment at which a thread becomes a vCPU, from the kernel: its entry into a cgroup called
// vcpuN. cgroup_watch.bpf.c says why there. Its VM can be held from that moment on.
//
// Needs CAP_BPF and CAP_PERFMON. Used from one thread.
#ifndef CORRAL_VMM_INTEGRATION_CGROUP_WATCHER_H_
#define CORRAL_VMM_INTEGRATION_CGROUP_WATCHER_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "kernel/types.h"
#include "vmm-integration/held_vms.h"

struct cgroup_watch;
struct ring_buffer;

namespace corral {

struct VcpuCgroupEntry {
  pid_t tid = 0;
  pid_t tgid = 0;
  int vcpu = 0;
  Time time{};
  uint64_t hold = 0;  // its VM is stopped until HeldVms::Release(tgid, hold), if this is not 0
};

class CgroupWatcher {
 public:
  // `held_pin`: where in bpffs the record of held VMs is; "" holds none.
  static absl::StatusOr<std::unique_ptr<CgroupWatcher>> Start(const std::string& held_pin);
  // VMs that are held go on.
  ~CgroupWatcher();

  // Readable when there is something to Drain.
  int fd() const;
  void Drain(absl::FunctionRef<void(const VcpuCgroupEntry&)> handle);
  // Entries that were not reported because the reader was too slow, since Start.
  uint64_t lost() const;
  HeldVms& held() { return *held_; }

 private:
  explicit CgroupWatcher(std::string held_pin) : held_pin_(std::move(held_pin)) {}
  absl::Status Load();
  static int OnSample(void* self, void* data, size_t size);

  const std::string held_pin_;
  cgroup_watch* skeleton_ = nullptr;
  std::optional<HeldVms> held_;
  ring_buffer* ring_ = nullptr;
  absl::FunctionRef<void(const VcpuCgroupEntry&)>* handle_ = nullptr;  // during Drain
};

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_CGROUP_WATCHER_H_
