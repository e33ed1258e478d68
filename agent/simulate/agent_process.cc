// SPDX-License-Identifier: Apache-2.0
#include "agent/simulate/agent_process.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/runtime/loop_timing.h"

namespace corral {

using sim::Machine;
using sim::SimThread;
using sim::Step;

// What an agent's thread does: AgentThreads::Main() in simulated time. Reading costs before the
// turn, committing after it.
class AgentProcess::Loop final : public sim::Program {
 public:
  Loop(AgentProcess& process, int core) : process_(process), core_(core) {}

  Step Next(SimThread& self, Time now) override {
    if (process_.killed_) return Step::Exit();
    process_.kernel_->ActAs(self);
    if (process_.leaving_) {
      if (phase_ != Phase::kEnter) loop().Leave().IgnoreError();  // the class may have taken it
      return Step::Exit();
    }
    if (now < process_.paused_until_) return Step::Sleep(process_.paused_until_ - now);
    switch (phase_) {
      case Phase::kEnter:
        if (!loop().Enter().ok()) return Step::Sleep(loop_timing::kEnterRetry);
        entered_ = true;
        [[fallthrough]];
      case Phase::kRead:
        phase_ = Phase::kStep;
        if (ring().length() > 0)
          return Step::Run(process_.machine_.spec().costs.message_read * ring().length());
        [[fallthrough]];
      case Phase::kStep:
        return TakeTurn(now);
      case Phase::kRest:
        return Rest(now);
    }
    return Step::Exit();
  }

  // The class queued a message, or another loop drew our attention.
  void OnMessage(SimThread& self) {
    if (std::exchange(woken_, true)) return;
    Machine& machine = process_.machine_;
    Duration delay = machine.spec().costs.message;
    if (process_.spec_.message_delay) delay += process_.spec_.message_delay();
    machine.At(machine.now() + delay, [this, &self] {
      woken_ = false;
      process_.machine_.Wake(self);
    });
  }
  bool entered() const { return entered_; }

 private:
  enum class Phase { kEnter, kRead, kStep, kRest };

  PerCoreLoop& loop() { return process_.agents_->loop(core_); }
  sim::Ring& ring() {
    return *process_.machine_.memory().ring(process_.state_->queue_id(core_).value());
  }

  Step TakeTurn(Time now) {
    const sim::SimAgentKernel::Calls before = process_.kernel_->calls();
    deadline_ = loop().Step(now);
    const sim::SimAgentKernel::Calls after = process_.kernel_->calls();
    phase_ = Phase::kRest;
    const uint64_t commits = after.commits - before.commits;
    if (commits == 0) return Rest(now);
    const sim::Costs& costs = process_.machine_.spec().costs;
    const uint64_t more = after.transactions - before.transactions - commits;
    return Step::Run(costs.commit * commits + costs.commit_next * more);
  }
  Step Rest(Time now) {
    if (!loop().status().ok()) return Step::Exit();
    phase_ = Phase::kRead;
    // A turn takes time, so one that is due at once comes a little later.
    if (ring().length() > 0 || deadline_ <= now) return Step::Run(std::chrono::microseconds(1));
    return deadline_ == Time::max() ? Step::Block() : Step::Sleep(deadline_ - now);
  }

  AgentProcess& process_;
  const int core_;
  Phase phase_ = Phase::kEnter;
  Time deadline_ = Time::max();
  bool woken_ = false;
  bool entered_ = false;
};

AgentProcess::~AgentProcess() = default;

absl::StatusOr<std::unique_ptr<AgentProcess>> AgentProcess::Start(Machine& machine,
                                                                  ControlKernel& control,
                                                                  const Topology& host, Spec spec) {
  std::unique_ptr<AgentProcess> process(new AgentProcess(machine, std::move(spec)));
  if (const absl::Status status = process->Make(control, host); !status.ok()) return status;
  return process;
}

absl::Status AgentProcess::Make(ControlKernel& control, const Topology& host) {
  SimThread& first = machine_.NewThread(absl::StrCat("agent ", spec_.enclave_name), nullptr);
  if (const absl::Status status = control.BlessAgent(first.tid(), spec_.enclave); !status.ok())
    return status;
  absl::StatusOr<std::unique_ptr<sim::SimAgentKernel>> kernel =
      sim::SimAgentKernel::Create(machine_, first, spec_.enclave_name);
  if (!kernel.ok()) return kernel.status();
  kernel_ = *std::move(kernel);
  absl::StatusOr<std::unique_ptr<EnclaveState>> state = EnclaveState::Create(*kernel_, host);
  if (!state.ok()) return state.status();
  state_ = *std::move(state);
  absl::StatusOr<std::unique_ptr<PerCorePolicy>> policy =
      spec_.policy->make_per_core({.topology = state_->topology(),
                                   .nr_slots = kernel_->info().nr_slots,
                                   .options = spec_.options});
  if (!policy.ok()) return policy.status();
  policy_ = *std::move(policy);
  agents_ = std::make_unique<PerCoreAgents>(*state_, *policy_);
  for (int core = 0; core < agents_->nr_loops(); ++core) {
    auto program = std::make_unique<Loop>(*this, core);
    Loop* const loop = program.get();
    SimThread& thread =
        machine_.NewThread(absl::StrCat("agent/", core), std::move(program), first.tid());
    thread.realtime = true;
    const Core& place = state_->topology().core(core);
    machine_.SetAffinity(thread, spec_.housekeeping.empty() ? place.siblings : spec_.housekeeping);
    machine_.memory().ring(state_->queue_id(core).value())->on_message = [loop, &thread] {
      loop->OnMessage(thread);
    };
    loops_.push_back(loop);
    threads_.push_back(&thread);
    machine_.Wake(thread);
  }
  return absl::OkStatus();
}

void AgentProcess::Kill() {
  killed_ = true;
  for (SimThread* thread : threads_) machine_.Interrupt(*thread);
}

void AgentProcess::Leave() {
  leaving_ = true;
  for (SimThread* thread : threads_) machine_.Wake(*thread);
}

void AgentProcess::Pause(Duration time) { paused_until_ = machine_.now() + time; }

bool AgentProcess::serving() const {
  return std::all_of(loops_.begin(), loops_.end(), [](const Loop* l) { return l->entered(); }) &&
         !ended();
}

bool AgentProcess::ended() const {
  return std::all_of(threads_.begin(), threads_.end(),
                     [](const SimThread* t) { return t->dead(); });
}

Duration AgentProcess::cpu_time() const {
  Duration time{0};
  for (const SimThread* thread : threads_) time += machine_.CpuTime(*thread);
  return time;
}

}  // namespace corral
