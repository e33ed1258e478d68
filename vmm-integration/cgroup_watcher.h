// SPDX-License-Identifier: Apache-2.0
// The moment at which a thread becomes a vCPU, from the kernel: its entry into a cgroup called
// vcpuN. cgroup_watch.bpf.c says why there.
//
// Needs CAP_BPF and CAP_PERFMON. Used from one thread.
#ifndef CORRAL_VMM_INTEGRATION_CGROUP_WATCHER_H_
#define CORRAL_VMM_INTEGRATION_CGROUP_WATCHER_H_

#include <sys/types.h>

#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "kernel/types.h"

struct cgroup_watch;
struct ring_buffer;

namespace corral {

struct VcpuCgroupEntry {
  pid_t tid = 0;
  pid_t tgid = 0;
  int vcpu = 0;
  Time time{};
};

class CgroupWatcher {
 public:
  static absl::StatusOr<std::unique_ptr<CgroupWatcher>> Start();
  ~CgroupWatcher();

  // Readable when there is something to Drain.
  int fd() const;
  void Drain(absl::FunctionRef<void(const VcpuCgroupEntry&)> handle);
  // Entries that were not reported because the reader was too slow, since Start.
  uint64_t lost() const;

 private:
  CgroupWatcher() = default;
  static int OnSample(void* self, void* data, size_t size);

  cgroup_watch* skeleton_ = nullptr;
  ring_buffer* ring_ = nullptr;
  absl::FunctionRef<void(const VcpuCgroupEntry&)>* handle_ = nullptr;  // during Drain
};

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_CGROUP_WATCHER_H_
