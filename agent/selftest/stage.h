// SPDX-License-Identifier: Apache-2.0
// Where a self-test's throwaway VMs run: a few cores, under an agent with the secure VM policy, in
// an enclave that is there, or in one made for the purpose in a class that may be loaded for it.
//
// Whatever was made goes with the stage. Used from one thread.
#ifndef CORRAL_AGENT_SELFTEST_STAGE_H_
#define CORRAL_AGENT_SELFTEST_STAGE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/daemon/agent_launcher.h"
#include "agent/runtime/topology.h"
#include "agent/selftest/vm_process.h"
#include "kernel/bpf/bpf_control_kernel.h"

namespace corral {

struct StageOptions {
  std::string agent_program;
  CpuSet cpus;  // whole cores; empty: the last kCores that will do
};

// Sums over the stage's cores, since the class was loaded.
struct StageCounters {
  uint64_t by_agent = 0;  // switches
  uint64_t by_class = 0;
  uint64_t breaches = 0;
  uint64_t rescues = 0;
};

class Stage {
 public:
  static constexpr int kCores = 2;

  // FailedPrecondition: this kernel, or this host, has no room for one; says what to do. Nothing is
  // left behind then.
  static absl::StatusOr<std::unique_ptr<Stage>> Set(const StageOptions& options);
  Stage(const Stage&) = delete;
  ~Stage();

  // Gives everything back. The VMs must have ended. Internal: what is still there, and how to be
  // rid of it.
  absl::Status Strike();

  const std::vector<Core>& cores() const { return cores_; }
  const CpuSet& cpus() const { return cpus_; }
  // The class was loaded for this, and the enclave is of no other use.
  bool own_class() const { return own_class_; }
  bool own_enclave() const { return own_enclave_; }

  // A trust domain of its own, with the least weight that there is.
  absl::Status TakeIn(const VmProcess& vm);
  StageCounters Counters() const;
  // The class is in charge, as it has been since Set().
  bool InCharge() const { return kernel_->info().enabled != 0; }
  // Of a stage with its own enclave: the agent is killed, and another serves when this returns.
  absl::Status ReplaceAgent();

 private:
  Stage() = default;
  absl::Status OpenClass();
  absl::Status ChooseCores(const CpuSet& wanted);
  absl::Status MakeEnclave(const StageOptions& options);
  absl::Status StartAgent();
  void EndAgent(int signal);

  std::unique_ptr<BpfControlKernel> kernel_;
  EnclaveId enclave_;
  std::vector<Core> cores_;
  CpuSet cpus_;
  bool own_class_ = false;
  bool own_enclave_ = false;
  AgentSpec agent_;
  pid_t agent_process_ = 0;
  std::vector<DomainId> domains_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_SELFTEST_STAGE_H_
