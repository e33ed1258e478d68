// SPDX-License-Identifier: Apache-2.0
#include "agent/simulate/agent_process.h"

#include <sched.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/runtime/loop_timing.h"

namespace corral {

using sim::Machine;
using sim::SimThread;
using sim::Step;

namespace {

// A turn takes time, so one that is due at once comes a little later.
constexpr Duration kTurn = std::chrono::microseconds(1);

}  // namespace

// What an agent's thread does: AgentThreads::Main() in simulated time.
class AgentProcess::Thread : public sim::Program {
 public:
  Thread(AgentProcess& process, int core) : process_(process), core_(core) {}

  Step Next(SimThread& self, Time now) override {
    if (process_.killed_) return Step::Exit();
    process_.kernel_->ActAs(self);
    if (process_.leaving_) {
      if (entered_) Leave().IgnoreError();  // the class may have taken it
      return Step::Exit();
    }
    if (now < process_.paused_until_) return Step::Sleep(process_.paused_until_ - now);
    if (!entered_) {
      if (!Enter().ok()) return Step::Sleep(loop_timing::kEnterRetry);
      entered_ = true;
    }
    return Serve(self, now);
  }

  // Before its first step.
  virtual void Attach(SimThread&) {}
  // It shall look what is to do. That it slept when a message came does not say that it still does.
  virtual void Rouse(SimThread& self) { machine().Wake(self); }
  bool entered() const { return entered_; }

 protected:
  virtual absl::Status Enter() = 0;
  virtual absl::Status Leave() = 0;
  virtual Step Serve(SimThread& self, Time now) = 0;

  Machine& machine() { return process_.machine_; }
  const sim::Costs& costs() { return machine().spec().costs; }
  sim::Ring& ring(int core) {
    return *machine().memory().ring(process_.state_->queue_id(core).value());
  }
  // What `turn` cost in calls; nothing if it made none.
  template <typename F>
  Duration CostOf(F turn) {
    const sim::SimAgentKernel::Calls before = process_.kernel_->calls();
    turn();
    const sim::SimAgentKernel::Calls after = process_.kernel_->calls();
    const uint64_t commits = after.commits - before.commits;
    const uint64_t cores = after.transactions - before.transactions;
    const uint64_t more = cores > commits ? cores - commits : 0;
    return costs().commit * commits + costs().commit_next * more;
  }
  // A message was queued: `wake` is called when its reader would notice, unless it is about to be.
  void Notice(Duration delay, std::function<void()> wake) {
    if (std::exchange(noticed_, true)) return;
    if (process_.spec_.message_delay) delay += process_.spec_.message_delay();
    machine().At(machine().now() + delay, [this, wake = std::move(wake)] {
      noticed_ = false;
      wake();
    });
  }

  AgentProcess& process_;
  const int core_;

 private:
  bool entered_ = false;
  bool noticed_ = false;
};

// Reading costs before the turn, committing after it; then it sleeps.
class AgentProcess::CoreThread final : public Thread {
 public:
  using Thread::Thread;

  void Attach(SimThread& self) override {
    ring(core_).on_message = [this, &self] {
      Notice(costs().message, [this, &self] { machine().Wake(self); });
    };
  }

 private:
  enum class Phase { kRead, kStep, kRest };

  absl::Status Enter() override { return loop().Enter(); }
  absl::Status Leave() override { return loop().Leave(); }
  PerCoreLoop& loop() { return process_.agents_->loop(core_); }

  Step Serve(SimThread&, Time now) override {
    switch (phase_) {
      case Phase::kRead:
        phase_ = Phase::kStep;
        if (ring(core_).length() > 0) return Step::Run(costs().message_read * ring(core_).length());
        [[fallthrough]];
      case Phase::kStep: {
        const Duration cost = CostOf([&] { deadline_ = loop().Step(now); });
        phase_ = Phase::kRest;
        if (cost > Duration(0)) return Step::Run(cost);
        [[fallthrough]];
      }
      case Phase::kRest:
        return Rest(now);
    }
    return Step::Exit();
  }
  Step Rest(Time now) {
    if (!loop().status().ok()) return Step::Exit();
    phase_ = Phase::kRead;
    if (ring(core_).length() > 0 || deadline_ <= now) return Step::Run(kTurn);
    return deadline_ == Time::max() ? Step::Block() : Step::Sleep(deadline_ - now);
  }

  Phase phase_ = Phase::kRead;
  Time deadline_ = Time::max();
};

// CentralAgents::Spin(): the same, for all cores, but that it does not sleep as long as its loop
// spins.
class AgentProcess::SpinningThread final : public Thread {
 public:
  using Thread::Thread;

  void Attach(SimThread& self) override {
    for (int core = 0; core < process_.state_->topology().nr_cores(); ++core) {
      ring(core).on_message = [this, &self] {
        if (!spinning_) Notice(costs().message, [this, &self] { Rouse(self); });
      };
      ring(core).on_submit = [this, &self] {
        if (spinning_) Notice(Duration(0), [this, &self] { Rouse(self); });
      };
    }
  }
  void Rouse(SimThread& self) override {
    if (!spinning_) return Thread::Rouse(self);
    GoOn(self);
  }

 private:
  enum class Phase { kRead, kStep, kRest };

  absl::Status Enter() override { return loop().Enter(core_); }
  absl::Status Leave() override { return loop().Leave(core_); }
  CentralLoop& loop() { return *process_.central_; }

  Step Serve(SimThread& self, Time now) override {
    spinning_ = false;
    switch (phase_) {
      case Phase::kRead:
        phase_ = Phase::kStep;
        if (const uint32_t messages = Messages(); messages > 0)
          return Step::Run(costs().message_read * messages);
        [[fallthrough]];
      case Phase::kStep: {
        const uint64_t offers = process_.kernel_->calls().offers;
        Duration cost = CostOf([&] { deadline_ = loop().Step(now); });
        // A call as a commit is, and for this agent no rare one.
        cost += costs().commit * (process_.kernel_->calls().offers - offers);
        phase_ = Phase::kRest;
        Bind(self, now);
        if (cost > Duration(0)) return Step::Run(cost);
        [[fallthrough]];
      }
      case Phase::kRest:
        return Rest(self, now);
    }
    return Step::Exit();
  }

  Step Rest(SimThread& self, Time now) {
    if (!loop().status().ok()) return Step::Exit();
    phase_ = Phase::kRead;
    if (Messages() > 0) return Serve(self, now);
    if (deadline_ <= now) return Step::Run(kTurn);
    if (!loop().spins())
      return deadline_ == Time::max() ? Step::Block() : Step::Sleep(deadline_ - now);
    spinning_ = true;
    machine().At(deadline_, [this, &self, turn = ++turn_] {
      if (turn == turn_) GoOn(self);
    });
    return Step::RunForever();
  }

  // Its step has no end of its own.
  void GoOn(SimThread& self) {
    if (std::exchange(spinning_, false)) machine().Interrupt(self);
  }

  uint32_t Messages() {
    uint32_t messages = 0;
    for (int core = 0; core < process_.state_->topology().nr_cores(); ++core)
      messages += ring(core).length();
    return messages;
  }

  void Bind(SimThread& self, Time now) {
    if (std::exchange(place_, loop().place()) == loop().place()) return;
    CpuSet there;
    there.Insert(place_);
    machine().At(now, [this, &self, there] { machine().SetAffinity(self, there); });
  }

  Phase phase_ = Phase::kRead;
  Time deadline_ = Time::max();
  CpuId place_{-1};
  bool spinning_ = false;
  uint64_t turn_ = 0;
};

// CentralAgents::Attend().
class AgentProcess::AttendingThread final : public Thread {
 public:
  using Thread::Thread;

 private:
  absl::Status Enter() override { return process_.central_->Enter(core_); }
  absl::Status Leave() override { return process_.central_->Leave(core_); }
  Step Serve(SimThread&, Time) override {
    if (std::exchange(again_, true) && !Enter().ok()) return Step::Exit();
    return Step::Block();
  }

  bool again_ = false;  // woken after it had entered
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
  if (const absl::Status status = MakeAgents(); !status.ok()) return status;
  for (int core = 0; core < state_->topology().nr_cores(); ++core) {
    std::unique_ptr<Thread> program = MakeThread(core);
    Thread* const kept = program.get();
    SimThread& thread =
        machine_.NewThread(absl::StrCat("agent/", core), std::move(program), first.tid());
    thread.policy = SCHED_FIFO;
    thread.realtime = true;
    thread.home_node = spec_.memory_node;
    const Core& place = state_->topology().core(core);
    machine_.SetAffinity(thread, spec_.housekeeping.empty() ? place.siblings : spec_.housekeeping);
    kept->Attach(thread);
    programs_.push_back(kept);
    threads_.push_back(&thread);
    machine_.Wake(thread);
  }
  return absl::OkStatus();
}

absl::Status AgentProcess::MakeAgents() {
  const PolicyContext context = {.topology = state_->topology(),
                                 .nr_slots = kernel_->info().nr_slots,
                                 .options = spec_.options,
                                 .hints = spec_.hints};
  if (spec_.policy->make_central != nullptr) {
    absl::StatusOr<std::unique_ptr<CentralPolicy>> policy = spec_.policy->make_central(context);
    if (!policy.ok()) return policy.status();
    central_policy_ = *std::move(policy);
    central_ = std::make_unique<CentralLoop>(
        *state_, *central_policy_,
        CentralLoop::Options{.housekeeping = spec_.housekeeping,
                             .enter_again = [this](int core) { machine_.Wake(*threads_[core]); }});
    return absl::OkStatus();
  }
  absl::StatusOr<std::unique_ptr<PerCorePolicy>> policy = spec_.policy->make_per_core(context);
  if (!policy.ok()) return policy.status();
  per_core_policy_ = *std::move(policy);
  agents_ = std::make_unique<PerCoreAgents>(*state_, *per_core_policy_);
  return absl::OkStatus();
}

std::unique_ptr<AgentProcess::Thread> AgentProcess::MakeThread(int core) {
  if (central_ == nullptr) return std::make_unique<CoreThread>(*this, core);
  if (core == state_->lead()) return std::make_unique<SpinningThread>(*this, core);
  return std::make_unique<AttendingThread>(*this, core);
}

void AgentProcess::Kill() {
  killed_ = true;
  for (SimThread* thread : threads_) machine_.Interrupt(*thread);
}

void AgentProcess::Leave() {
  leaving_ = true;
  for (size_t i = 0; i < threads_.size(); ++i) programs_[i]->Rouse(*threads_[i]);
}

void AgentProcess::Pause(Duration time) { paused_until_ = machine_.now() + time; }

void AgentProcess::TellWaits() {
  if (central_ != nullptr) central_->TellWaits(machine_.now());
  for (int i = 0; agents_ != nullptr && i < agents_->nr_loops(); ++i)
    agents_->loop(i).TellWaits(machine_.now());
}

bool AgentProcess::serving() const {
  return std::all_of(programs_.begin(), programs_.end(),
                     [](const Thread* p) { return p->entered(); }) &&
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
