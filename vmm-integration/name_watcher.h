// SPDX-License-Identifier: Apache-2.0
// The moment at which a thread of a QEMU becomes a vCPU where no cgroup tells, from the kernel: its
// taking such a name. name_watch.bpf.c says why then.
//
// Needs CAP_BPF and CAP_PERFMON. Used from one thread.
#ifndef CORRAL_VMM_INTEGRATION_NAME_WATCHER_H_
#define CORRAL_VMM_INTEGRATION_NAME_WATCHER_H_

#include <sys/types.h>

#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "kernel/types.h"

struct name_watch;
struct ring_buffer;

namespace corral {

struct VcpuName {
  pid_t tid = 0;
  pid_t tgid = 0;
  int vcpu = 0;
  Time time{};
};

class NameWatcher {
 public:
  static absl::StatusOr<std::unique_ptr<NameWatcher>> Start();
  ~NameWatcher();

  // Readable when there is something to Drain.
  int fd() const;
  // Of any process that gives its threads such names: whether it is a QEMU is for the caller to
  // find out. Each thread once.
  void Drain(absl::FunctionRef<void(const VcpuName&)> handle);
  // Names that were not reported because the reader was too slow, since Start.
  uint64_t lost() const;

 private:
  NameWatcher() = default;
  static int OnSample(void* self, void* data, size_t size);

  name_watch* skeleton_ = nullptr;
  ring_buffer* ring_ = nullptr;
  absl::FunctionRef<void(const VcpuName&)>* handle_ = nullptr;  // during Drain
};

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_NAME_WATCHER_H_
