// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/enclave_state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace corral {
namespace {

// The class's view of one core, with the L3 that `host` knows.
Core ReadCore(const AgentKernel& kernel, uint32_t id, const Topology& host) {
  const ghost_core_state& state = kernel.cores()[id];
  const absl::Span<const ghost_cpu_config> cpus = kernel.cpus();
  Core core;
  core.id = CoreId(id);
  core.nr_cpus = static_cast<int>(std::min<uint32_t>(state.nr_cpus, GHOST_MAX_SIBLINGS));
  for (int i = 0; i < core.nr_cpus; ++i) {
    core.cpu[i] = CpuId(state.cpus[i]);
    core.siblings.Insert(core.cpu[i]);
  }
  const int first = core.cpu[0].value();
  if (core.nr_cpus > 0 && first >= 0 && static_cast<size_t>(first) < cpus.size()) {
    core.node = static_cast<int>(std::min<uint32_t>(cpus[first].node, CpuSet::kMaxCpus));
  }
  const int on_host = host.CoreOf(core.cpu[0]);
  core.l3 = on_host < 0 ? core.node : host.core(on_host).l3;
  return core;
}

Topology ReadTopology(const AgentKernel& kernel, const Topology& host) {
  std::vector<Core> cores;
  for (uint32_t id = 0; id < kernel.cores().size(); ++id) {
    const ghost_core_state& state = kernel.cores()[id];
    if (state.enclave != kernel.enclave_id().value() || state.nr_cpus == 0) continue;
    cores.push_back(ReadCore(kernel, id, host));
  }
  return Topology::FromCores(std::move(cores));
}

}  // namespace

absl::StatusOr<std::unique_ptr<EnclaveState>> EnclaveState::Create(AgentKernel& kernel,
                                                                   const Topology& host) {
  const ghost_class_info& info = kernel.info();
  if (info.abi_version != GHOST_ABI_VERSION) {
    return absl::FailedPreconditionError(absl::StrCat("the class speaks ABI ", info.abi_version,
                                                      ", this agent ABI ", GHOST_ABI_VERSION,
                                                      "; start the agent of the class's version"));
  }
  Topology topology = ReadTopology(kernel, host);
  if (topology.nr_cores() == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("enclave ", kernel.enclave_id().value(), " \"", kernel.enclave().name,
                     "\" has no cores; was it destroyed? See `corralctl status`"));
  }
  std::unique_ptr<EnclaveState> state(new EnclaveState(kernel, std::move(topology)));
  for (const Core& core : state->topology_.cores()) {
    const QueueId id(kernel.cores()[core.id.value()].queue);
    absl::StatusOr<std::unique_ptr<MessageQueue>> queue = kernel.OpenQueue(id);
    if (!queue.ok()) return queue.status();
    state->ports_.push_back(std::make_unique<Port>(id, *std::move(queue), state->tasks_.size()));
  }
  state->lead_ = state->CoreOfQueue(kernel.enclave().default_queue);
  if (state->lead_ < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the default queue ", kernel.enclave().default_queue, " of enclave \"",
                     kernel.enclave().name, "\" is that of none of its cores; this is a bug of ",
                     "the class, please report it"));
  }
  return state;
}

uint32_t EnclaveState::OnlineSiblings(int core) const {
  const absl::Span<const ghost_cpu_state> cpus = kernel_.cpu_states();
  const Core& place = topology_.core(core);
  uint32_t online = 0;
  for (int i = 0; i < place.nr_cpus; ++i) {
    const auto cpu = static_cast<size_t>(place.cpu[i].value());
    const bool there =
        cpu < cpus.size() && __atomic_load_n(&cpus[cpu].offline, __ATOMIC_RELAXED) == 0;
    online |= (there ? 1u : 0u) << i;
  }
  return online;
}

int EnclaveState::CoreOfQueue(uint32_t queue) const {
  for (size_t i = 0; i < ports_.size(); ++i) {
    if (ports_[i]->id == QueueId(queue)) return static_cast<int>(i);
  }
  return -1;
}

}  // namespace corral
