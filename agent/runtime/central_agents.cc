// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/central_agents.h"

#include <pthread.h>
#include <sched.h>

#include "kernel/cpu_mask.h"

namespace corral {
namespace {

bool BindTo(CpuId cpu) {
  const cpu_set_t cpus = MaskOf({cpu.value()});
  return pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus) == 0;
}

}  // namespace

CentralAgents::CentralAgents(EnclaveState& state, CentralPolicy& policy, const CpuSet& housekeeping)
    : state_(state),
      loop_(state, policy,
            {.housekeeping = housekeeping, .enter_again = [this](int core) { Wake(core); }}) {
  for (int core = 0; core < state.topology().nr_cores(); ++core)
    wakeups_.push_back(std::make_unique<std::counting_semaphore<>>(0));
}

void CentralAgents::Wake(int core) {
  if (core == state_.lead()) return state_.queue(core).Wake();
  wakeups_[core]->release();
}

absl::Status CentralAgents::Run(int core, const std::atomic<bool>& stop) {
  return core == state_.lead() ? Spin(stop) : Attend(core, stop);
}

absl::Status CentralAgents::Spin(const std::atomic<bool>& stop) {
  AgentKernel& kernel = state_.kernel();
  CpuId bound(-1);
  while (!stop.load(std::memory_order_acquire) && loop_.status().ok()) {
    const Time deadline = loop_.Step(kernel.Now());
    if (const CpuId place = loop_.place(); place != bound) {
      bound = place;
      if (!BindTo(place)) loop_.CannotBind(kernel.Now());
    }
    if (!loop_.spins() && loop_.status().ok()) state_.queue(state_.lead()).Wait(deadline);
  }
  return loop_.status();
}

// The class knows the core as served while this thread is there.
absl::Status CentralAgents::Attend(int core, const std::atomic<bool>& stop) {
  absl::Status status;
  while (status.ok()) {
    wakeups_[core]->acquire();
    if (stop.load(std::memory_order_acquire)) break;
    // It may have the core: what the loop was told came from a commit that was older than that.
    loop_.Leave(core).IgnoreError();
    status = loop_.Enter(core);
  }
  return status;
}

}  // namespace corral
