// SPDX-License-Identifier: Apache-2.0
// The real agent of a whole enclave over the loaded class: the loop that corral-agent runs, with
// fifo_centralized. It spins on the CPU that is not the enclave's, so that every other one is a
// place for a task.
//
// A turn is a step of the loop at a time that we say: the harness posts messages for longer than an
// agent with much to do waits for any, so by the real time it would look around in each turn.
// Slices do not end. One thread.
#ifndef CORRAL_TESTS_BENCH_CENTRAL_FIFO_H_
#define CORRAL_TESTS_BENCH_CENTRAL_FIFO_H_

#include <memory>

#include "absl/status/statusor.h"
#include "agent/runtime/central_loop.h"
#include "agent/runtime/enclave_state.h"
#include "policies/fifo/centralized.h"
#include "tests/bench/loaded_class.h"
#include "tests/bench/metered_kernel.h"

namespace corral::bench {

class CentralFifo {
 public:
  // Takes all cores and tasks of `loaded`, which must outlive it and has no other agent any more;
  // its tasks are of one domain. Every CPU has a decision then.
  static absl::StatusOr<std::unique_ptr<CentralFifo>> Make(LoadedClass& loaded);

  // Every task loses its CPU, as by sched_yield: so it gets in line anew.
  absl::Status LoseAll() {
    return loaded_.Events(OVERHEADS_CPUS, OVERHEADS_EVENT, {.type = GHOST_MSG_TASK_YIELD});
  }
  void Turn() { loop_->Step(now_ += kTurn); }
  // Internal: the last turn did not decide about every CPU by one call, or there was something to
  // repair.
  absl::Status Check();

  MeteredKernel& kernel() { return kernel_; }

 private:
  // Less than loop_timing::kLookAround.
  static constexpr Duration kTurn = std::chrono::microseconds(50);

  explicit CentralFifo(LoadedClass& loaded)
      : loaded_(loaded), kernel_(loaded.agent()), now_(kernel_.Now()) {}
  absl::Status Start();

  LoadedClass& loaded_;
  MeteredKernel kernel_;
  Time now_;
  std::unique_ptr<EnclaveState> state_;
  std::unique_ptr<fifo::CentralizedFifo> policy_;
  std::unique_ptr<CentralLoop> loop_;
  int commits_ = 0;  // at the last check
};

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_CENTRAL_FIFO_H_
