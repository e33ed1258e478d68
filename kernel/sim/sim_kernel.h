// SPDX-License-Identifier: Apache-2.0
// The class on a simulated machine, as agents and the control plane see it.
//
// A call takes no simulated time: whoever plays an agent adds up what its calls cost (calls()).
// Same thread rules as the Machine, which must outlive these.
#ifndef CORRAL_KERNEL_SIM_SIM_KERNEL_H_
#define CORRAL_KERNEL_SIM_SIM_KERNEL_H_

#include <functional>
#include <memory>

#include "kernel/agent_view.h"
#include "kernel/control_view.h"
#include "kernel/sim/machine.h"

namespace corral::sim {

class SimAgentKernel final : public AgentView {
 public:
  // `process` is the first thread of the agent's process, which must have been blessed.
  static absl::StatusOr<std::unique_ptr<SimAgentKernel>> Create(Machine& machine,
                                                                SimThread& process,
                                                                absl::string_view enclave);

  // From now on calls are made by this thread of the process.
  void ActAs(SimThread& thread) { caller_ = &thread; }
  SimThread& caller() { return *caller_; }

  struct Calls {
    uint64_t commits = 0;       // calls
    uint64_t transactions = 0;  // cores in them
    uint64_t offers = 0;        // of tasks to idle CPUs
  };
  const Calls& calls() const { return calls_; }
  // For faults: may change what is to be committed.
  std::function<void(ghost_commit&)> before_commit;

  Time Now() const override { return machine_.now(); }
  // Wait() returns at once: in simulated time one waits by events (Ring::on_message).
  absl::StatusOr<std::unique_ptr<MessageQueue>> OpenQueue(QueueId queue) override;

 private:
  SimAgentKernel(Machine& machine, SimThread& process) : machine_(machine), caller_(&process) {}
  absl::Status CallClass(AgentCall call, void* args, size_t size) override;
  void CallCommit(ghost_commit& commit, int (*program)(ghost_commit*));

  Machine& machine_;
  SimThread* caller_;
  Calls calls_;
};

class SimControlKernel final : public ControlView {
 public:
  static absl::StatusOr<std::unique_ptr<SimControlKernel>> Create(Machine& machine);

  Time Now() const override { return machine_.now(); }

 private:
  explicit SimControlKernel(Machine& machine)
      : machine_(machine), caller_(machine.NewThread("corrald", nullptr)) {}
  absl::Status CallClass(ControlCall call, void* args, size_t size) override;
  absl::Status MakeQueue(CoreId core) override;
  int PolicyOf(pid_t tid) const override;
  absl::Status SetPolicy(pid_t tid, int policy) override;

  Machine& machine_;
  SimThread& caller_;
};

}  // namespace corral::sim

#endif  // CORRAL_KERNEL_SIM_SIM_KERNEL_H_
