// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/corral_in_charge.h"

#include <signal.h>

#include <cstring>
#include <thread>

#include "absl/strings/str_cat.h"
#include "agent/daemon/load_class.h"
#include "agent/runtime/topology.h"
#include "kernel/bpf/class_loader.h"

namespace corral::bench {

using std::chrono::milliseconds;

absl::StatusOr<std::unique_ptr<CorralInCharge>> CorralInCharge::Make(const std::string& agent,
                                                                     const std::string& options) {
  std::unique_ptr<CorralInCharge> corral(new CorralInCharge);
  if (const absl::Status status = corral->Start(agent, options); !status.ok()) return status;
  return corral;
}

absl::Status CorralInCharge::Start(const std::string& agent, const std::string& options) {
  if (const absl::Status status = LoadClassHere(); !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = BpfControlKernel::Open();
  if (!kernel.ok()) return kernel.status();
  kernel_ = *std::move(kernel);
  const absl::StatusOr<Topology> topology = Topology::FromHost();
  if (!topology.ok()) return topology.status();
  const absl::StatusOr<EnclaveId> enclave =
      kernel_->CreateEnclave({.name = "vms", .cpus = topology->cpus()});
  if (!enclave.ok()) return enclave.status();
  enclave_ = *enclave;
  std::vector<CoreId> cores;
  for (const Core& core : topology->cores()) cores.push_back(core.id);
  supervisor_.emplace(*kernel_, AgentSpec{.program = agent,
                                          .enclave = "vms",
                                          .enclave_id = enclave_,
                                          .cores = cores,
                                          .policy = "secure_vm",
                                          .options_json = options});
  for (int i = 0; i < 600; ++i) {
    supervisor_->Poll(kernel_->Now());
    if (supervisor_->Serving()) return absl::OkStatus();
    std::this_thread::sleep_for(milliseconds(50));
  }
  return absl::DeadlineExceededError("no agent serves the enclave");
}

CorralInCharge::~CorralInCharge() {
  if (kernel_ != nullptr) {
    for (const ghost_core_state& core : kernel_->cores()) {
      if (core.agent_tid != 0) kill(static_cast<pid_t>(core.agent_tid), SIGTERM);
    }
    std::this_thread::sleep_for(milliseconds(500));
  }
  supervisor_.reset();
  kernel_.reset();
  UnloadClass().IgnoreError();
}

absl::Status CorralInCharge::Attach(pid_t vm, const std::vector<pid_t>& tids) {
  DomainKey key = {};
  memcpy(key.data(), &vm, sizeof(vm));
  const absl::StatusOr<DomainId> domain =
      kernel_->CreateDomain(enclave_, key, absl::StrCat("vm", vm));
  if (!domain.ok()) return domain.status();
  int vcpu = 0;
  for (const pid_t tid : tids) {
    if (const auto task = kernel_->AttachTask(tid, *domain, vcpu++, 100); !task.ok())
      return task.status();
  }
  return absl::OkStatus();
}

uint64_t CorralInCharge::Sum(__u64 ghost_core_state::*counter) const {
  uint64_t sum = 0;
  for (const ghost_core_state& core : kernel_->cores()) sum += core.*counter;
  return sum;
}

}  // namespace corral::bench
