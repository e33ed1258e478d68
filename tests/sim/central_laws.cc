// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/central_laws.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "agent/runtime/loop_timing.h"

namespace corral {

using sim::SimThread;
using std::chrono::microseconds;

namespace {

// Two events so close may be seen by the agent in one turn, or just miss one: reading some messages
// and a commit for all CPUs takes some microseconds (sim/costs.h), its move to another CPU 20.
constexpr Duration kTurn = microseconds(60);
// That a CPU is there again the simulated agent sees only when it looks around; one that really
// spins sees it at once.
constexpr Duration kNotice = loop_timing::kLookAround + 2 * kTurn;

long long Us(Duration time) { return time.count() / 1000; }

}  // namespace

CentralJudge::CentralJudge(CentralHost& host, const CentralSetting& setting)
    : host_(host),
      slices_(setting.slices),
      batch_weight_(setting.batch_weight),
      hints_(setting.host.hints),
      turn_(kTurn + setting.tolerance),
      notice_(kNotice + setting.tolerance) {
  host.machine().Observe(this);
}

void CentralJudge::Switched(Time now, int cpu, const SimThread* from, const SimThread* to) {
  if (from != nullptr && from->vm != 0) Left(*from);
  if (to == nullptr || from == nullptr || from->vm == 0) others_left_[cpu] = now;
  if (to == nullptr || to->vm == 0 || !Starts(*to)) return;
  CheckOrder(now, cpu, *to);
  stints_[to] = {.had = host_.machine().CpuTime(*to)};
}

void CentralJudge::Look(Time now) {
  for (const SimThread* waits : host_.tasks()) {
    const Time since = HeldSince(*waits);
    host_.LookAt(*waits);
    if (since == Time::max() || now - since < notice_) continue;
    host_.cpus().ForEach([&](CpuId cpu) {
      if (waits->affinity().Contains(cpu)) LookAt(now, cpu, *waits);
    });
  }
}

void CentralJudge::Reset(Time now) {
  broken_.clear();
  reset_ = now;
}

int CentralJudge::RankOf(const SimThread& task) const {
  const ghost_status_word* const word = host_.WordOf(task);
  if (word == nullptr) return 0;
  const bool hinted =
      hints_ != nullptr &&
      hints_->Of(static_cast<pid_t>(word->tgid), static_cast<pid_t>(word->tid)) == Hint::kBatch;
  return hinted || word->weight <= batch_weight_ ? 1 : 0;
}

Time CentralJudge::HeldSince(const SimThread& task) const {
  return std::max(host_.HeldSince(task), reset_);
}

void CentralJudge::Left(const SimThread& task) {
  Stint& stint = stints_[&task];
  const ghost_status_word* const word = host_.WordOf(task);
  stint.stays = word != nullptr && (word->flags & GHOST_SW_ONCPU);
  stint.barrier = word == nullptr ? 0 : word->barrier;
  stint.early =
      task.runnable() && host_.machine().CpuTime(task) - stint.had < slices_[RankOf(task)];
}

// By a decision, and not because a thread of the host that had pushed it aside has left.
bool CentralJudge::Starts(const SimThread& task) {
  const ghost_status_word* const word = host_.WordOf(task);
  const Stint& stint = stints_[&task];
  return !stint.stays || word == nullptr || word->barrier != stint.barrier;
}

void CentralJudge::CheckOrder(Time now, int cpu, const SimThread& task) {
  const int rank = RankOf(task);
  // Of the others, CPUs that idle take some by themselves.
  if (rank != 0 || stints_[&task].early) return;
  for (const SimThread* other : host_.tasks()) {
    if (other == &task || other->vm != task.vm || !other->affinity().Contains(CpuId(cpu))) continue;
    // Pushed aside, it was not held at first, and when that changed is not seen here.
    if (stints_[other].stays || RankOf(*other) != rank) continue;
    const Time since = HeldSince(*other);
    if (since == Time::max() || since + turn_ >= std::max(task.waiting_since(), reset_)) continue;
    if (!host_.WaitsAsSeen(*other)) continue;
    Report(now,
           absl::StrCat(task.name(), " got CPU ", cpu, " after ", Us(now - task.waiting_since()),
                        " us, before ", other->name(), ", which waits for ", Us(now - since)));
  }
}

void CentralJudge::LookAt(Time now, CpuId cpu, const SimThread& waits) {
  const SimThread* const running = host_.machine().Running(cpu);
  if (now < others_left_[cpu.value()] + notice_) return;
  if (running == nullptr) {
    Report(now, absl::StrCat("CPU ", cpu.value(), " idles beside ", waits.name()));
  }
  if (running == nullptr || running->vm == 0 || running->policy != kSchedExtPolicy) return;
  const int rank = RankOf(*running);
  if (rank < RankOf(waits)) return;
  const Duration may_have = rank > RankOf(waits) ? Duration(0) : slices_[rank];
  const Duration had = host_.machine().CpuTime(*running) - stints_[running].had;
  if (had > may_have + notice_) {
    Report(now, absl::StrCat(running->name(), " has CPU ", cpu.value(), " for ", Us(had),
                             " us beside ", waits.name()));
  }
}

void CentralJudge::Report(Time now, const std::string& what) {
  if (!broken_.empty()) return;
  broken_ = absl::StrCat("at ", Us(now.time_since_epoch()), " us ", what);
}

void CentralLaws::AddTasks(uint32_t domains) {
  for (int i = 0; i < setting.tasks; ++i) {
    const bool batch = setting.batch_weight > 0 && random.Chance(400);
    host.AddTask(std::make_unique<RandomTask>(host, setting.habits, random.Next()),
                 batch ? setting.batch_weight : 100,
                 1 + static_cast<uint32_t>(random.Below(domains)));
  }
}

void CentralLaws::AddNoise(Duration longest) {
  host.cpus().ForEach([&](CpuId cpu) {
    if (random.Chance(400)) return;
    SimThread& thread = host.AddHostThread(
        cpu, std::make_unique<HostNoise>(longest / 2, longest * 5, random.Next()));
    host.machine().Wake(thread);
  });
}

void CentralLaws::Run(int whiles, const std::function<void()>& disturb) {
  for (int i = 0; i < whiles; ++i) {
    disturb();
    host.machine().RunFor(random.Between(Duration(0), microseconds(400)));
    judge.Look(host.machine().now());
  }
}

void CentralLaws::ChangeAffinity() {
  SimThread& task = *host.tasks()[random.Below(host.tasks().size())];
  if (task.dead() || !random.Chance(100)) return;
  CpuSet some;
  host.cpus().ForEach([&](CpuId cpu) {
    if (random.Chance(500)) some.Insert(cpu);
  });
  host.SetAffinity(task, some.empty() ? host.cpus() : some);
}

Duration CentralLaws::LongestWait() {
  Duration longest{0};
  for (const SimThread* task : host.tasks()) {
    if (!task->dead() && judge.RankOf(*task) == 0)
      longest = std::max(longest, host.machine().LongestWait(*task));
  }
  return longest;
}

// A slice of everybody else, on the one CPU of all that it may use; and if all are wanted so, the
// agent has that one for half of the time.
Duration CentralLaws::Bound() const {
  const auto others = static_cast<int64_t>(host.tasks().size());
  return 2 * (others * (setting.slices[0] + 2 * kTurn) + loop_timing::kSharedStay);
}

}  // namespace corral
