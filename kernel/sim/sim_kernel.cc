// SPDX-License-Identifier: Apache-2.0
#include "kernel/sim/sim_kernel.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "kernel/sim/native/native_class.h"

namespace corral::sim {
namespace {

class SimQueue final : public MessageQueue {
 public:
  SimQueue(Machine& machine, QueueId id) : memory_(machine.memory()), id_(id.value()) {}
  int Drain(absl::FunctionRef<void(const ghost_msg&)> handle) override {
    Ring* const ring = memory_.ring(id_);
    return ring == nullptr ? 0 : ring->Drain(handle);
  }
  uint64_t overflows() const override {
    return memory_.Array<ghost_queue_state>("queue_states")[id_].overflows;
  }
  void Wait(Time) override {}
  void Wake() override {
    Ring* const ring = memory_.ring(id_);
    if (ring != nullptr && ring->on_message) ring->on_message();
  }

 private:
  ClassMemory& memory_;
  const uint32_t id_;
};

// As the kernel does, which knows what the program looks at.
absl::Status CheckSize(size_t size, size_t whole) {
  return size < whole ? absl::InternalError("the call into the class failed") : absl::OkStatus();
}

template <typename T>
absl::Span<const T> View(Machine& machine, const char* name) {
  return machine.memory().Array<T>(name);
}

}  // namespace

// ---- agents ----

absl::StatusOr<std::unique_ptr<SimAgentKernel>> SimAgentKernel::Create(Machine& machine,
                                                                       SimThread& process,
                                                                       absl::string_view enclave) {
  std::unique_ptr<SimAgentKernel> kernel(new SimAgentKernel(machine, process));
  const Memory memory = {.class_info = &View<ghost_class_info>(machine, "class_info")[0],
                         .enclaves = View<ghost_enclave>(machine, "enclaves"),
                         .cores = View<ghost_core_state>(machine, "cores"),
                         .txns = View<ghost_core_txn>(machine, "txns"),
                         .cpu_configs = View<ghost_cpu_config>(machine, "cpu_configs"),
                         .cpu_states = View<ghost_cpu_state>(machine, "cpu_states"),
                         .status_words = View<ghost_status_word>(machine, "status_words"),
                         .affinities = View<ghost_affinity>(machine, "affinities"),
                         .queue_states = View<ghost_queue_state>(machine, "queue_states")};
  const uint64_t first_cookie = static_cast<uint64_t>(process.tid()) << 40;
  if (const absl::Status status = kernel->Bind(memory, enclave, first_cookie); !status.ok())
    return status;
  return kernel;
}

absl::StatusOr<std::unique_ptr<MessageQueue>> SimAgentKernel::OpenQueue(QueueId queue) {
  if (queue.value() >= cores().size() || machine_.memory().ring(queue.value()) == nullptr ||
      cores()[queue.value()].enclave != enclave_id().value()) {
    return absl::PermissionDeniedError(
        absl::StrCat("queue ", queue.value(), " was not passed to this agent"));
  }
  return std::make_unique<SimQueue>(machine_, queue);
}

void SimAgentKernel::CallCommit(ghost_commit& commit, int (*program)(ghost_commit*)) {
  ++calls_.commits;
  calls_.transactions += commit.nr;
  if (before_commit) before_commit(commit);
  machine_.CallClass(*caller_, program, &commit);
}

absl::Status SimAgentKernel::CallClass(AgentCall call, void* args, size_t size) {
  const auto commit = [&](uint32_t most, auto program) {
    absl::Status status = CheckSize(size, SizeOfCommit(most));
    if (status.ok()) CallCommit(*static_cast<ghost_commit*>(args), program);
    return status;
  };
  const auto run = [&]<typename Args>(int (*program)(Args*)) {
    absl::Status status = CheckSize(size, sizeof(Args));
    if (status.ok()) machine_.CallClass(*caller_, program, static_cast<Args*>(args));
    return status;
  };
  switch (call) {
    case AgentCall::kCommit:
      return commit(1, ghost_commit_prog);
    case AgentCall::kCommitFew:
      return commit(GHOST_COMMIT_FEW_CORES, ghost_commit_few_prog);
    case AgentCall::kCommitMany:
      return commit(GHOST_COMMIT_MAX_CORES, ghost_commit_many_prog);
    case AgentCall::kEnter:
      return run(ghost_agent_enter_prog);
    case AgentCall::kAssociate:
      return run(ghost_associate_prog);
    case AgentCall::kArmTimer:
      return run(ghost_timer_arm_prog);
    case AgentCall::kGrant:
      return run(ghost_task_grant_prog);
    case AgentCall::kAccount:
      return run(ghost_task_account_prog);
    case AgentCall::kOffer:
      ++calls_.offers;
      return run(ghost_task_offer_prog);
  }
  return absl::InvalidArgumentError("the class has no such call");
}

// ---- the control plane ----

absl::StatusOr<std::unique_ptr<SimControlKernel>> SimControlKernel::Create(Machine& machine) {
  std::unique_ptr<SimControlKernel> kernel(new SimControlKernel(machine));
  const Memory memory = {.class_info = &View<ghost_class_info>(machine, "class_info")[0],
                         .enclaves = View<ghost_enclave>(machine, "enclaves"),
                         .domains = View<ghost_domain>(machine, "domains"),
                         .cores = View<ghost_core_state>(machine, "cores"),
                         .cpu_configs = View<ghost_cpu_config>(machine, "cpu_configs"),
                         .cpu_states = View<ghost_cpu_state>(machine, "cpu_states"),
                         .status_words = View<ghost_status_word>(machine, "status_words"),
                         .affinities = View<ghost_affinity>(machine, "affinities"),
                         .waits = View<ghost_waits>(machine, "waits"),
                         .tallies = View<ghost_tally>(machine, "tallies"),
                         .traces = View<ghost_trace_event>(machine, "traces"),
                         .queue_states = View<ghost_queue_state>(machine, "queue_states")};
  if (const absl::Status status = kernel->Bind(memory); !status.ok()) return status;
  return kernel;
}

absl::Status SimControlKernel::CallClass(ControlCall call, void* args, size_t) {
  const auto run = [&](auto program, auto* typed) { machine_.CallClass(caller_, program, typed); };
  switch (call) {
    case ControlCall::kEnclaveCreate:
      run(ghost_enclave_create_prog, static_cast<ghost_enclave_create*>(args));
      break;
    case ControlCall::kEnclaveUpdate:
      run(ghost_enclave_update_prog, static_cast<ghost_enclave_update*>(args));
      break;
    case ControlCall::kEnclaveDestroy:
      run(ghost_enclave_destroy_prog, static_cast<ghost_enclave_destroy*>(args));
      break;
    case ControlCall::kCoreAssign:
      run(ghost_core_assign_prog, static_cast<ghost_core_assign*>(args));
      break;
    case ControlCall::kAgentBless:
      run(ghost_agent_bless_prog, static_cast<ghost_agent_bless*>(args));
      break;
    case ControlCall::kDomainCreate:
      run(ghost_domain_create_prog, static_cast<ghost_domain_create*>(args));
      break;
    case ControlCall::kDomainDestroy:
      run(ghost_domain_destroy_prog, static_cast<ghost_domain_destroy*>(args));
      break;
    case ControlCall::kTaskAttach:
      run(ghost_task_attach_prog, static_cast<ghost_task_attach*>(args));
      break;
    case ControlCall::kTaskUpdate:
      run(ghost_task_update_prog, static_cast<ghost_task_update*>(args));
      break;
    case ControlCall::kTaskRelabel:
      run(ghost_task_relabel_prog, static_cast<ghost_task_relabel*>(args));
      break;
    case ControlCall::kTaskDetach:
      run(ghost_task_detach_prog, static_cast<ghost_task_detach*>(args));
      break;
    case ControlCall::kTaskRestore:
      run(ghost_task_restore_prog, static_cast<ghost_task_restore*>(args));
      break;
    case ControlCall::kCoreRestore:
      run(ghost_core_restore_prog, static_cast<ghost_core_restore*>(args));
      break;
  }
  return absl::OkStatus();
}

absl::Status SimControlKernel::MakeQueue(CoreId core) {
  machine_.memory().MakeRing(core.value(), machine_.spec().queue_messages);
  return absl::OkStatus();
}

int SimControlKernel::PolicyOf(pid_t tid) const {
  const SimThread* const thread = machine_.Find(tid);
  return thread == nullptr ? -1 : static_cast<int>(thread->policy);
}

absl::Status SimControlKernel::SetPolicy(pid_t tid, int policy) {
  SimThread* const thread = machine_.Find(tid);
  if (thread == nullptr) return absl::NotFoundError(absl::StrCat("thread ", tid, " has ended"));
  machine_.SetPolicy(*thread, policy);
  return absl::OkStatus();
}

}  // namespace corral::sim
