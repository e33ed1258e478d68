// SPDX-License-Identifier: Apache-2.0
// An agent's view of the class that counts the commits, and tells how long they take: so a loop can
// be measured that does not say when it commits.
//
// One thread.
#ifndef CORRAL_TESTS_BENCH_METERED_KERNEL_H_
#define CORRAL_TESTS_BENCH_METERED_KERNEL_H_

#include <memory>

#include "kernel/ghost_kernel.h"
#include "tests/bench/figure.h"

namespace corral::bench {

class MeteredKernel final : public AgentKernel {
 public:
  // `kernel` does the work, and must outlive it.
  explicit MeteredKernel(AgentKernel& kernel) : kernel_(kernel) {}

  // From now on, or not any more: reading the clock costs as well.
  void Meter(bool on) { on_ = on; }
  int commits() const { return commits_; }
  // CPU time in those that were metered.
  double commit_seconds() const { return commit_seconds_; }

  absl::Status Commit(ghost_commit& commit) override {
    ++commits_;
    if (!on_) return kernel_.Commit(commit);
    const double begin = ThreadSeconds();
    absl::Status status = kernel_.Commit(commit);
    commit_seconds_ += ThreadSeconds() - begin;
    return status;
  }

  Time Now() const override { return kernel_.Now(); }
  const ghost_class_info& info() const override { return kernel_.info(); }
  const ghost_enclave& enclave() const override { return kernel_.enclave(); }
  EnclaveId enclave_id() const override { return kernel_.enclave_id(); }
  absl::Span<const ghost_core_state> cores() const override { return kernel_.cores(); }
  absl::Span<const ghost_cpu_config> cpus() const override { return kernel_.cpus(); }
  absl::Span<const ghost_cpu_state> cpu_states() const override { return kernel_.cpu_states(); }
  absl::Span<const ghost_status_word> status_words() const override {
    return kernel_.status_words();
  }
  absl::Span<const ghost_affinity> affinities() const override { return kernel_.affinities(); }
  absl::Status EnterAgent(CoreId core) override { return kernel_.EnterAgent(core); }
  absl::Status LeaveAgent(CoreId core) override { return kernel_.LeaveAgent(core); }
  absl::StatusOr<Association> Associate(Gtid task, uint64_t barrier, QueueId queue) override {
    return kernel_.Associate(task, barrier, queue);
  }
  absl::Status ArmTimer(CpuId cpu, Time when, uint64_t cookie) override {
    return kernel_.ArmTimer(cpu, when, cookie);
  }
  absl::Status Grant(Gtid task, const Verdict& verdict) override {
    return kernel_.Grant(task, verdict);
  }
  absl::Status Account(Gtid task, const ghost_waits& waits) override {
    return kernel_.Account(task, waits);
  }
  absl::Status OfferTask(Gtid task, Offer offer) override { return kernel_.OfferTask(task, offer); }
  absl::StatusOr<std::unique_ptr<MessageQueue>> OpenQueue(QueueId queue) override {
    return kernel_.OpenQueue(queue);
  }

 private:
  AgentKernel& kernel_;
  bool on_ = false;
  int commits_ = 0;
  double commit_seconds_ = 0;
};

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_METERED_KERNEL_H_
