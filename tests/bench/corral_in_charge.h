// SPDX-License-Identifier: Apache-2.0
// The class on the kernel that we run on, with an agent of secure_vm for all CPUs, for as long as
// this lives. For benchmarks in the test host: root; one at a time; one thread.
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

namespace corral::bench {

class CorralInCharge {
 public:
  // `agent` is the program, `options` secure_vm's in JSON. DeadlineExceeded: it does not serve
  // within half a minute. What was loaded until then is taken out again.
  static absl::StatusOr<std::unique_ptr<CorralInCharge>> Make(const std::string& agent,
                                                              const std::string& options);
  ~CorralInCharge();

  // The threads are the vCPUs of one VM, a trust domain of its own.
  absl::Status Attach(pid_t vm, const std::vector<pid_t>& tids);

  uint64_t Sum(__u64 ghost_core_state::*counter) const;

 private:
  CorralInCharge() = default;
  absl::Status Start(const std::string& agent, const std::string& options);

  std::unique_ptr<BpfControlKernel> kernel_;
  EnclaveId enclave_;
  std::optional<AgentSupervisor> supervisor_;
};

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_CORRAL_IN_CHARGE_H_
