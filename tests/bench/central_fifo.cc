// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/central_fifo.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace corral::bench {

absl::StatusOr<std::unique_ptr<CentralFifo>> CentralFifo::Make(LoadedClass& loaded) {
  std::unique_ptr<CentralFifo> fifo(new CentralFifo(loaded));
  if (const absl::Status status = fifo->Start(); !status.ok()) return status;
  return fifo;
}

absl::Status CentralFifo::Start() {
  absl::StatusOr<std::unique_ptr<EnclaveState>> state = EnclaveState::Create(kernel_, Topology());
  if (!state.ok()) return state.status();
  state_ = *std::move(state);
  const Topology& topology = state_->topology();
  policy_ = std::make_unique<fifo::CentralizedFifo>(
      topology, state_->tasks().size(),
      fifo::CentralizedOptions{.slice = std::chrono::hours(24 * 365)});
  loop_ = std::make_unique<CentralLoop>(
      *state_, *policy_, CentralLoop::Options{.housekeeping = CpuSet({OVERHEADS_AGENT_CPU})});
  for (int core = 0; core < topology.nr_cores(); ++core) {
    if (const absl::Status status = kernel_.LeaveAgent(topology.core(core).id); !status.ok())
      return status;
    if (const absl::Status status = loop_->Enter(core); !status.ok()) return status;
  }
  // It looks around first, which is a commit as well.
  Turn();
  commits_ = kernel_.commits();
  if (const absl::Status status = LoseAll(); !status.ok()) return status;
  Turn();
  return Check();
}

absl::Status CentralFifo::Check() {
  if (!loop_->status().ok()) return loop_->status();
  const absl::Span<const ghost_cpu_state> cpus = kernel_.cpu_states();
  const auto decided = std::count_if(cpus.begin(), cpus.end(),
                                     [](const ghost_cpu_state& cpu) { return cpu.latch != 0; });
  const int commits = kernel_.commits() - std::exchange(commits_, kernel_.commits());
  const LoopCounters& counters = loop_->counters();
  if (decided == OVERHEADS_CPUS && commits == 1 && counters.failed_commits == 0 &&
      counters.repairs == 0)
    return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the centralized agent decided about ", decided, " of ",
                                          OVERHEADS_CPUS, " CPUs by ", commits, " commits; so far ",
                                          counters.failed_commits, " were refused, and ",
                                          counters.repairs, " tasks had to be repaired"));
}

}  // namespace corral::bench
