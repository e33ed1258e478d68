// SPDX-License-Identifier: Apache-2.0
// The class on the kernel that we run on, with one enclave and its agent, for as long as this
// lives. For benchmarks in the test host: root; one at a time; one thread.
#ifndef CORRAL_TESTS_BENCH_CORRAL_IN_CHARGE_H_
#define CORRAL_TESTS_BENCH_CORRAL_IN_CHARGE_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/daemon/agent_supervisor.h"
#include "kernel/bpf/bpf_control_kernel.h"
#include "kernel/cpu_set.h"

namespace corral::bench {

class CorralInCharge {
 public:
  struct Setup {
    std::string agent;  // the program
    std::string policy = "secure_vm";
    std::string options = "{}";  // the policy's, in JSON
    CpuSet cpus;                 // of the enclave: whole cores; empty: all
  };
  // DeadlineExceeded: the agent does not serve within half a minute. What was loaded until then is
  // taken out again.
  static absl::StatusOr<std::unique_ptr<CorralInCharge>> Make(const Setup& setup);
  ~CorralInCharge();

  // The threads, of one process, are a trust domain of their own: a VM's vCPUs, for example.
  absl::Status Attach(pid_t process, const std::vector<pid_t>& tids);

  Duration AgentTime() const;  // CPU time of the agent's threads so far
  uint64_t Sum(__u64 ghost_core_state::*counter) const;

 private:
  CorralInCharge() = default;
  absl::Status Start(const Setup& setup);

  std::unique_ptr<BpfControlKernel> kernel_;
  EnclaveId enclave_;
  std::optional<AgentSupervisor> supervisor_;
};

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_CORRAL_IN_CHARGE_H_
