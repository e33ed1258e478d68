// SPDX-License-Identifier: Apache-2.0
// A process that stands for a VM and tells, in memory that it shares with us, what it got done and
// how late its vCPUs ran when they woke up. It dies with the thread that started it. Used from that
// thread.
#ifndef CORRAL_TESTS_BENCH_BENCH_VM_H_
#define CORRAL_TESTS_BENCH_BENCH_VM_H_

#include <sys/types.h>

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernel/types.h"

namespace corral::bench {

// The vCPUs of a VM, by what they do all the time.
struct VmShape {
  int computing = 0;  // never sleep
  int waking = 0;     // sleep 1.5 to 3.5 ms, and see how late they run
  int serving = 0;    // the same, and then compute for about a millisecond: a request
  int vcpus() const { return computing + waking + serving; }
};

class BenchVm {
 public:
  // Its vCPUs run when this returns. ResourceExhausted.
  static absl::StatusOr<BenchVm> Start(const VmShape& shape);
  BenchVm(BenchVm&& other) noexcept;
  BenchVm& operator=(BenchVm&&) = delete;
  ~BenchVm();

  pid_t pid() const { return pid_; }
  std::vector<pid_t> tids() const;
  Duration CpuTime() const;  // of all vCPUs so far

  // Gives it a core-scheduling cookie of its own: the kernel lets it share a core with nobody.
  // Unimplemented: this kernel has none.
  absl::Status Separate() const;

  // Forgets what was done and waited until now.
  void Begin();
  uint64_t rounds() const;              // of a calculation, by all vCPUs
  std::vector<Duration> Waits() const;  // from a wake-up's moment until the vCPU ran; not sorted

 private:
  struct Shared;
  BenchVm() = default;
  [[noreturn]] static void Be(Shared& shared, const VmShape& shape);

  pid_t pid_ = -1;
  int vcpus_ = 0;
  Shared* shared_ = nullptr;
};

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_BENCH_VM_H_
