// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/corral_in_charge.h"

#include <signal.h>

#include <cstring>
#include <thread>

#include "absl/strings/str_cat.h"
#include "agent/class/load_class.h"
#include "agent/runtime/topology.h"
#include "agent/selftest/vm_process.h"
#include "kernel/bpf/class_loader.h"

namespace corral::bench {

namespace {

constexpr Duration kPoll = std::chrono::milliseconds(1);
constexpr Duration kAgentServes = std::chrono::seconds(30);
constexpr Duration kAgentLeaves = std::chrono::seconds(1);

}  // namespace

absl::StatusOr<std::unique_ptr<CorralInCharge>> CorralInCharge::Make(const Setup& setup) {
  std::unique_ptr<CorralInCharge> corral(new CorralInCharge);
  if (const absl::Status status = corral->Start(setup); !status.ok()) return status;
  return corral;
}

absl::Status CorralInCharge::Start(const Setup& setup) {
  if (const absl::Status status = LoadClassHere(); !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = BpfControlKernel::Open();
  if (!kernel.ok()) return kernel.status();
  kernel_ = *std::move(kernel);
  const absl::StatusOr<Topology> topology = Topology::FromHost();
  if (!topology.ok()) return topology.status();
  const CpuSet cpus = setup.cpus.empty() ? topology->cpus() : setup.cpus;
  const absl::StatusOr<EnclaveId> enclave = kernel_->CreateEnclave({.name = "bench", .cpus = cpus});
  if (!enclave.ok()) return enclave.status();
  enclave_ = *enclave;
  std::vector<CoreId> cores;
  for (const Core& core : topology->cores()) {
    if (cpus.Contains(core.siblings)) cores.push_back(core.id);
  }
  supervisor_.emplace(*kernel_, AgentSpec{.program = setup.agent,
                                          .enclave = "bench",
                                          .enclave_id = enclave_,
                                          .cores = cores,
                                          .policy = setup.policy,
                                          .options_json = setup.options});
  for (const Time end = kernel_->Now() + kAgentServes; kernel_->Now() < end;) {
    supervisor_->Poll(kernel_->Now());
    if (supervisor_->Serving()) return absl::OkStatus();
    std::this_thread::sleep_for(kPoll);
  }
  return absl::DeadlineExceededError("no agent serves the enclave");
}

CorralInCharge::~CorralInCharge() {
  if (kernel_ != nullptr) {
    std::vector<pid_t> agents;
    for (const ghost_core_state& core : kernel_->cores()) {
      if (core.agent_tid != 0) agents.push_back(static_cast<pid_t>(core.agent_tid));
    }
    for (const pid_t thread : agents) kill(thread, SIGTERM);
    for (const Time end = kernel_->Now() + kAgentLeaves; kernel_->Now() < end;) {
      std::erase_if(agents, [](pid_t thread) { return kill(thread, 0) != 0; });
      if (agents.empty()) break;
      std::this_thread::sleep_for(kPoll);
    }
  }
  supervisor_.reset();
  kernel_.reset();
  UnloadClass().IgnoreError();
}

absl::Status CorralInCharge::Attach(pid_t process, const std::vector<pid_t>& tids) {
  DomainKey key = {};
  memcpy(key.data(), &process, sizeof(process));
  const absl::StatusOr<DomainId> domain =
      kernel_->CreateDomain(enclave_, key, absl::StrCat("process ", process));
  if (!domain.ok()) return domain.status();
  int vcpu = 0;
  for (const pid_t tid : tids) {
    if (const auto task = kernel_->AttachTask(tid, *domain, vcpu++, 100); !task.ok())
      return task.status();
  }
  return absl::OkStatus();
}

Duration CorralInCharge::AgentTime() const {
  Duration all{0};
  for (const ghost_core_state& core : kernel_->cores())
    all += CpuTime(static_cast<pid_t>(core.agent_tid));
  return all;
}

uint64_t CorralInCharge::Sum(__u64 ghost_core_state::*counter) const {
  uint64_t sum = 0;
  for (const ghost_core_state& core : kernel_->cores()) sum += core.*counter;
  return sum;
}

}  // namespace corral::bench
