// SPDX-License-Identifier: Apache-2.0
#include "tests/policies/world.h"

#include <algorithm>
#include <set>

namespace corral::testing {
namespace {

constexpr Duration kNever = Duration::max();

}  // namespace

World::World(const Options& options) : options_(options) {
  topology_ = Topology::FromHwlocSynthetic(options.machine).value();
  kernel_ = std::make_unique<FakeKernel>(topology_, options.kernel);
  carry_at_.assign(topology_.nr_cores(), kNever);
  StartAgent();
}

void World::StopAgent() {
  if (agents_ == nullptr) return;
  for (int i = 0; i < agents_->nr_loops(); ++i) agents_->loop(i).Leave().IgnoreError();
  agents_.reset();
  policy_.reset();
  state_.reset();
  deadlines_.assign(topology_.nr_cores(), kNever);
}

void World::StartAgent() {
  state_ = EnclaveState::Create(*kernel_, topology_).value();
  policy_ = std::make_unique<secure_vm::SecureVmPolicy>(
      state_->topology(), kernel_->info().nr_slots,
      secure_vm::Options{.tenure = options_.tenure,
                         .sharing = options_.sharing,
                         .co_running = options_.co_running,
                         .rebalancing = options_.rebalancing});
  agents_ = std::make_unique<PerCoreAgents>(*state_, *policy_);
  for (int i = 0; i < agents_->nr_loops(); ++i) agents_->loop(i).Enter().IgnoreError();
  deadlines_.assign(topology_.nr_cores(), Duration(0));
}

void World::At(Duration when, std::function<void()> what) {
  events_.emplace(when, std::move(what));
}

void World::Waiting::Note(bool waits_now, Duration now) {
  if (waits) longest = std::max(longest, now - since);
  if (waits_now && !waits) since = now;
  waits = waits_now;
}

void World::StepLoop(int core) {
  deadlines_[core] = agents_->loop(core).Step(kernel_->Now()).time_since_epoch();
  if (kernel_->HasLatch(CoreId(static_cast<uint32_t>(core))) && carry_at_[core] == kNever) {
    carry_at_[core] = now() + options_.hand_over;
  }
}

void World::CarryOutDue() {
  for (int c = 0; c < topology_.nr_cores(); ++c) {
    if (carry_at_[c] > now()) continue;
    const CoreId id(static_cast<uint32_t>(c));
    carry_at_[c] = kNever;
    kernel_->CarryOut(id);
    if (kernel_->HasLatch(id)) carry_at_[c] = now() + std::max(options_.hand_over, Duration(1000));
  }
}

bool World::Settle() {
  for (int round = 0; round < 1000; ++round) {
    bool busy = false;
    CarryOutDue();
    for (int c = 0; agents_ != nullptr && c < topology_.nr_cores(); ++c) {
      const QueueId queue = state_->queue_id(c);
      const bool woken = kernel_->TakeWakeup(queue);
      if (!woken && !kernel_->HasMessages(queue) && deadlines_[c] > now()) continue;
      busy = true;
      StepLoop(c);
    }
    for (Duration at : carry_at_) busy = busy || at <= now();
    if (!busy) return true;
  }
  return false;
}

void World::Observe() {
  std::set<std::pair<uint32_t, int>> held;
  std::set<std::pair<uint32_t, int>> running;
  for (const Gtid gtid : kernel_->Tasks()) {
    const ghost_status_word& w = kernel_->word(gtid);
    const bool on_cpu = kernel_->IsRunning(gtid);
    const bool waits = !on_cpu && (w.flags & GHOST_SW_RUNNABLE);
    task_waits_[gtid.value()].Note(waits, now());
    const int core = on_cpu ? topology_.CoreOf(CpuId(w.cpu)) : CoreOf(gtid);
    if (on_cpu) running.insert({w.domain, core});
    if (waits) held.insert({w.domain, core});
  }
  for (const auto& key : held) domain_waits_[key];
  for (auto& [key, waiting] : domain_waits_) {
    waiting.Note(held.count(key) != 0 && running.count(key) == 0, now());
  }
  for (const auto& key : running) {
    for (const auto& other : running) {
      breaches_ += key.second == other.second && key.first < other.first;
    }
  }
}

Duration World::NextTime(Duration end) const {
  Duration next = end;
  if (!events_.empty()) next = std::min(next, events_.begin()->first);
  for (Duration at : deadlines_) next = std::min(next, at);
  for (Duration at : carry_at_) next = std::min(next, at);
  return std::max(next, now());
}

void World::RunUntil(Duration end) {
  for (;;) {
    while (!events_.empty() && events_.begin()->first <= now()) {
      const std::function<void()> what = std::move(events_.begin()->second);
      events_.erase(events_.begin());
      what();
    }
    if (!Settle()) ++breaches_;  // a loop that never rests is a failure as well
    Observe();
    if (now() >= end) return;
    const Duration next = NextTime(end);
    for (const Gtid gtid : kernel_->Tasks()) {
      if (kernel_->IsRunning(gtid)) run_time_[gtid.value()] += next - now();
    }
    kernel_->SetTime(Time(next));
  }
}

Duration World::LongestDomainWait(uint32_t domain, int core) const {
  const auto it = domain_waits_.find({domain, core});
  return it == domain_waits_.end() ? Duration(0) : it->second.longest;
}

Duration World::LongestTaskWait(Gtid task) const {
  const auto it = task_waits_.find(task.value());
  return it == task_waits_.end() ? Duration(0) : it->second.longest;
}

Duration World::RunTime(Gtid task) const {
  const auto it = run_time_.find(task.value());
  return it == run_time_.end() ? Duration(0) : it->second;
}

int World::CoreOf(Gtid task) const {
  return state_ == nullptr ? -1 : state_->CoreOfQueue(kernel_->word(task).queue);
}

}  // namespace corral::testing
