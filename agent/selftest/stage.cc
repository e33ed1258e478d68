// SPDX-License-Identifier: Apache-2.0
#include "agent/selftest/stage.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "agent/class/load_class.h"
#include "agent/views/running_agent.h"
#include "kernel/bpf/class_loader.h"

namespace corral {
namespace {

constexpr char kEnclave[] = "selftest";
constexpr char kPolicy[] = "secure_vm";
constexpr Duration kAgentPatience = std::chrono::seconds(20);
constexpr Duration kEmptyPatience = std::chrono::seconds(20);

bool HasSiblings(const Core& core) { return core.nr_cpus > 1; }

// Threads that have ended are in their domain until the kernel has forgotten them, which takes it a
// grace period of RCU. corrald may be faster, where the enclave is its own.
template <typename Destroy>
absl::Status OnceEmpty(const ControlKernel& kernel, Destroy&& destroy) {
  for (const Time end = kernel.Now() + kEmptyPatience;; poll(nullptr, 0, 20)) {
    absl::Status status = destroy();
    if (absl::IsNotFound(status)) return absl::OkStatus();
    if (status.ok() || kernel.Now() > end) return status;
  }
}

// The last ones: the first are where hosts like to keep what is their own.
template <typename Wanted>
std::vector<Core> LastCores(const Topology& topology, Wanted&& wanted) {
  std::vector<Core> chosen;
  for (int i = topology.nr_cores() - 1; i >= 0 && chosen.size() < Stage::kCores; --i) {
    if (HasSiblings(topology.core(i)) && wanted(topology.core(i)))
      chosen.push_back(topology.core(i));
  }
  return chosen;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Stage>> Stage::Set(const StageOptions& options) {
  std::unique_ptr<Stage> stage(new Stage);
  absl::Status status = stage->OpenClass();
  if (status.ok()) status = stage->ChooseCores(options.cpus);
  if (status.ok() && stage->own_enclave_) status = stage->MakeEnclave(options);
  if (status.ok()) return stage;
  // What went wrong first is what there is to tell.
  stage->Strike().IgnoreError();
  return status;
}

Stage::~Stage() { Strike().IgnoreError(); }

absl::Status Stage::OpenClass() {
  absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = BpfControlKernel::Open();
  if (!kernel.ok()) {
    if (absl::Status loaded = LoadClassHere(); !loaded.ok()) return loaded;
    own_class_ = true;
    kernel = BpfControlKernel::Open();
  }
  if (!kernel.ok()) return kernel.status();
  kernel_ = *std::move(kernel);
  return absl::OkStatus();
}

// Of one enclave with the right policy, or else of none.
absl::Status Stage::ChooseCores(const CpuSet& wanted) {
  absl::StatusOr<Topology> topology = Topology::FromHost();
  if (!topology.ok()) return topology.status();
  if (!wanted.empty()) *topology = topology->Restrict(wanted);
  if (std::none_of(topology->cores().begin(), topology->cores().end(), HasSiblings)) {
    return absl::FailedPreconditionError(
        wanted.empty() ? "no core has more than one CPU online (SMT is off): nothing can overlap"
                       : absl::StrCat("no core lies wholly within the CPUs ", wanted.Format(),
                                      " and has siblings; give whole cores with --cpus"));
  }
  const auto state_of = [this](const Core& core) -> const ghost_core_state& {
    return kernel_->cores()[kernel_->cpus()[core.cpu[0].value()].core];
  };
  cores_ = LastCores(*topology, [&](const Core& core) {
    const ghost_core_state& state = state_of(core);
    if (state.enclave == GHOST_NO_ENCLAVE || state.agent_tid == 0) return false;
    const absl::StatusOr<RunningAgent> agent = IdentifyAgent(static_cast<pid_t>(state.agent_tid));
    return agent.ok() && agent->policy == kPolicy;
  });
  if (!cores_.empty()) {
    enclave_ = EnclaveId(state_of(cores_.front()).enclave);
    std::erase_if(cores_,
                  [&](const Core& core) { return state_of(core).enclave != enclave_.value(); });
  } else {
    cores_ = LastCores(
        *topology, [&](const Core& core) { return state_of(core).enclave == GHOST_NO_ENCLAVE; });
    own_enclave_ = true;
  }
  if (cores_.empty()) {
    return absl::FailedPreconditionError(
        "no core has an agent with the policy secure_vm, and none is free for one; see \"corralctl "
        "status\", and free a core of an enclave in corral.yaml");
  }
  for (Core& core : cores_) {
    core.id = CoreId(kernel_->cpus()[core.cpu[0].value()].core);
    cpus_ = cpus_ | core.siblings;
  }
  return absl::OkStatus();
}

absl::Status Stage::MakeEnclave(const StageOptions& options) {
  const absl::StatusOr<EnclaveId> enclave =
      kernel_->CreateEnclave({.name = kEnclave, .cpus = cpus_});
  if (!enclave.ok()) return enclave.status();
  enclave_ = *enclave;
  agent_ = {.program = options.agent_program,
            .enclave = kEnclave,
            .enclave_id = enclave_,
            .policy = kPolicy,
            .options_json = "{}"};
  for (const Core& core : cores_) agent_.cores.push_back(core.id);
  return StartAgent();
}

absl::Status Stage::StartAgent() {
  const absl::StatusOr<pid_t> started =
      LaunchAgent(*kernel_, agent_, {.hints = Fd(), .ready = Fd()});
  if (!started.ok()) return started.status();
  agent_process_ = *started;
  for (const Time end = kernel_->Now() + kAgentPatience; kernel_->Now() < end;
       poll(nullptr, 0, 20)) {
    const bool serves = std::all_of(cores_.begin(), cores_.end(), [&](const Core& core) {
      return kernel_->cores()[core.id.value()].agent_tid != 0;
    });
    if (serves) return absl::OkStatus();
    if (waitpid(agent_process_, nullptr, WNOHANG) == agent_process_) {
      agent_process_ = 0;
      return absl::InternalError("the agent ended at once; its messages say why");
    }
  }
  return absl::DeadlineExceededError("the agent did not take up its cores");
}

void Stage::EndAgent(int signal) {
  if (agent_process_ <= 0) return;
  kill(agent_process_, signal);
  waitpid(agent_process_, nullptr, 0);
  agent_process_ = 0;
}

absl::Status Stage::ReplaceAgent() {
  EndAgent(SIGKILL);
  return StartAgent();
}

absl::Status Stage::TakeIn(const VmProcess& vm) {
  DomainKey key = {};
  const pid_t pid = vm.pid();
  memcpy(key.data(), &pid, sizeof(pid));
  const absl::StatusOr<DomainId> domain =
      kernel_->CreateDomain(enclave_, key, absl::StrCat(kEnclave, "-", pid));
  if (!domain.ok()) return domain.status();
  domains_.push_back(*domain);
  int vcpu = 0;
  for (const pid_t tid : vm.tids()) {
    const absl::StatusOr<Gtid> task = kernel_->AttachTask(tid, *domain, vcpu++, /*weight=*/1);
    if (!task.ok()) return task.status();
  }
  return absl::OkStatus();
}

StageCounters Stage::Counters() const {
  StageCounters sum;
  for (const Core& core : cores_) {
    const ghost_core_state& state = kernel_->cores()[core.id.value()];
    sum.by_agent += state.switches_agent;
    sum.by_class += state.switches_class;
    sum.breaches += state.breaches;
    sum.rescues += state.rescues;
  }
  return sum;
}

absl::Status Stage::Strike() {
  EndAgent(SIGTERM);
  absl::Status worst;
  if (kernel_ != nullptr) {
    for (const DomainId domain : domains_)
      worst.Update(OnceEmpty(*kernel_, [&] { return kernel_->DestroyDomain(domain); }));
    if (own_enclave_ && enclave_.value() != GHOST_NO_ENCLAVE)
      worst.Update(OnceEmpty(*kernel_, [&] { return kernel_->DestroyEnclave(enclave_); }));
  }
  domains_.clear();
  enclave_ = EnclaveId(GHOST_NO_ENCLAVE);
  kernel_.reset();
  // With the class goes whatever else could not be removed.
  if (own_class_) worst = UnloadClass();
  own_class_ = false;
  if (worst.ok()) return worst;
  return absl::InternalError(
      absl::StrCat(worst.message(), "; \"corralctl release --all\" takes the whole class out"));
}

}  // namespace corral
