// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/search_laws.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "agent/runtime/loop_timing.h"

namespace corral {

using sim::SimThread;
using std::chrono::microseconds;

namespace {

// As in central_laws.cc: reading messages, a commit for all CPUs, the agent's own move.
constexpr Duration kTurn = microseconds(60);
constexpr Duration kNotice = loop_timing::kLookAround + 2 * kTurn;

long long Us(Duration time) { return time.count() / 1000; }

int CpusOf(int cores, const CentralHost::Options& options) {
  return (cores > 0 ? cores : options.cores + options.foreign) * options.siblings;
}

}  // namespace

SearchJudge::SearchJudge(CentralHost& host, const CentralHost::Options& options,
                         const Promises& promises)
    : host_(host),
      siblings_(options.siblings),
      cpus_per_l3_(CpusOf(options.cores_per_l3, options)),
      cpus_per_node_(CpusOf(options.cores_per_node, options)),
      promises_(promises),
      turn_(kTurn + promises.tolerance),
      notice_(kNotice + promises.tolerance) {
  host.machine().Observe(this);
}

void SearchJudge::Switched(Time now, int cpu, const SimThread* from, const SimThread* to) {
  if (from != nullptr && from->vm != 0) {
    const ghost_status_word* const word = host_.WordOf(*from);
    Stint& stint = stints_[from];
    stint.there = word != nullptr && (word->flags & GHOST_SW_ONCPU);
    stint.barrier = word == nullptr ? 0 : word->barrier;
  }
  if (to != nullptr && to->vm != 0 && Starts(*to)) {
    if (!to->affinity().Contains(CpuId(cpu)))
      Report(now, absl::StrCat(to->name(), " got CPU ", cpu, ", which it may not use"));
    if (promises_.order) CheckOrder(now, cpu, *to);
    CheckPlace(now, cpu, *to);
    if (promises_.idle_cores) CheckShares(now, cpu, *to, from == nullptr ? left_[cpu] : now);
    stints_[to] = {.cpu = cpu, .had = host_.machine().CpuTime(*to)};
  }
  if (to == nullptr || from == nullptr || from->vm == 0) left_[cpu] = now;
  if (from == nullptr) came_[cpu] = now;
}

void SearchJudge::Look(Time now) {
  for (const SimThread* waits : host_.tasks()) {
    const Time since = host_.HeldSince(*waits);
    if (host_.LookAt(*waits)) stints_[waits].seen = now;
    if (since == Time::max() || now - since < notice_) continue;
    host_.cpus().ForEach([&](CpuId cpu) {
      if (waits->affinity().Contains(cpu) && !Parked(now, cpu.value(), *waits))
        LookAt(now, cpu, *waits);
    });
  }
}

// By a decision, and not because a thread of the host that had pushed it aside has left.
bool SearchJudge::Starts(const SimThread& task) {
  const ghost_status_word* const word = host_.WordOf(task);
  const Stint& stint = stints_[&task];
  return !stint.there || word == nullptr || word->barrier != stint.barrier;
}

double SearchJudge::Elapsed(const SimThread& task) const {
  const ghost_status_word* const word = host_.WordOf(task);
  const auto time = static_cast<double>(host_.machine().CpuTime(task).count());
  return word == nullptr ? time : time * 100 / word->weight;
}

// For so long it may wait for a CPU of the L3 that it ran in, if it may use one there.
bool SearchJudge::Parked(Time now, int cpu, const SimThread& waits) {
  const int last = stints_[&waits].cpu;
  if (last < 0 || L3Of(last) == L3Of(cpu) || !MayUseL3(waits, L3Of(last))) return false;
  // Pushed aside, it was not held at first.
  const Time since = std::max(host_.HeldSince(waits), stints_[&waits].seen);
  return now - since < promises_.park + notice_;
}

bool SearchJudge::MayUseL3(const SimThread& task, int l3) const {
  bool may = false;
  host_.cpus().ForEach(
      [&](CpuId cpu) { may = may || (L3Of(cpu.value()) == l3 && task.affinity().Contains(cpu)); });
  return may;
}

void SearchJudge::CheckOrder(Time now, int cpu, const SimThread& task) {
  for (const SimThread* other : host_.tasks()) {
    if (other == &task || other->vm != task.vm || !other->affinity().Contains(CpuId(cpu))) continue;
    // Pushed aside, it was not held at first, and when that changed is not seen here.
    if (stints_[other].there) continue;
    const Time since = host_.HeldSince(*other);
    if (!host_.WaitsAsSeen(*other)) continue;
    if (now - since < 2 * turn_ || Parked(now, cpu, *other)) continue;
    if (now - since < promises_.locality + 2 * turn_ && MayPass(now, cpu, task)) continue;
    // Newcomers are not all seen at the same time.
    if (Elapsed(*other) + static_cast<double>(turn_.count()) >= Elapsed(task)) continue;
    Report(now, absl::StrCat(task.name(), " got CPU ", cpu, " with ", Elapsed(task) / 1000,
                             " us, before ", other->name(), ", which had ", Elapsed(*other) / 1000,
                             " and waits for ", Us(now - since)));
  }
}

// One that does not wait for long yet: because it is of the CPU's L3, or waits for long itself.
bool SearchJudge::MayPass(Time now, int cpu, const SimThread& task) {
  const int last = stints_[&task].cpu;
  const bool near = last >= 0 && L3Of(last) == L3Of(cpu);
  return near || now - task.waiting_since() >= promises_.locality - turn_;
}

void SearchJudge::CheckPlace(Time now, int cpu, const SimThread& task) {
  const int last = stints_[&task].cpu;
  if (last < 0) return;
  if (L3Of(last) == L3Of(cpu)) {
    ++stays_;
    return;
  }
  ++moves_;
  // It may have been decided before its affinity was set.
  if (now - host_.AffinitySince(task) < notice_) return;
  if (promises_.idle_cores && Alone(now, cpu) && siblings_ > 1)
    return CheckIdleCore(now, cpu, task);
  if (now - task.waiting_since() < promises_.park && MayUseL3(task, L3Of(last))) {
    Report(now, absl::StrCat(task.name(), " got CPU ", cpu, " after CPU ", last, " within ",
                             Us(now - task.waiting_since()), " us"));
  }
  host_.cpus().ForEach([&](CpuId idle) {
    const bool nearer = L3Of(idle.value()) == L3Of(last) ||
                        (NodeOf(idle.value()) == NodeOf(last) && NodeOf(cpu) != NodeOf(last));
    if (!nearer || !task.affinity().Contains(idle) || host_.machine().Running(idle) != nullptr)
      return;
    if (now - left_[idle.value()] < notice_) return;
    Report(now, absl::StrCat(task.name(), " got CPU ", cpu, " after CPU ", last, ", and CPU ",
                             idle.value(), " idles"));
  });
}

// At an idle core of another L3.
void SearchJudge::CheckIdleCore(Time now, int cpu, const SimThread& task) {
  const int last = stints_[&task].cpu;
  host_.cpus().ForEach([&](CpuId other) {
    if (!Nearer(other.value(), cpu, last) || !task.affinity().Contains(other)) return;
    if (!CoreIdle(now, other.value(), notice_)) return;
    Report(now, absl::StrCat(task.name(), " got CPU ", cpu, " after CPU ", last,
                             ", and the core of CPU ", other.value(), " idles"));
  });
}

// A CPU of its own L3 that became free while it was parked it may have.
void SearchJudge::CheckShares(Time now, int cpu, const SimThread& task, Time freed) {
  if (Alone(now, cpu) || now - host_.AffinitySince(task) < notice_) return;
  const int last = stints_[&task].cpu;
  const bool parked = last >= 0 && freed + turn_ >= task.waiting_since() &&
                      now - task.waiting_since() < promises_.park + notice_;
  host_.cpus().ForEach([&](CpuId other) {
    if (parked && L3Of(other.value()) != L3Of(last)) return;
    if (!task.affinity().Contains(other) || !CoreIdle(now, other.value(), notice_)) return;
    Report(now, absl::StrCat(task.name(), " shares the core of CPU ", cpu, ", and the one of CPU ",
                             other.value(), " idles"));
  });
}

bool SearchJudge::Nearer(int a, int b, int last) const {
  const auto distance = [&](int cpu) {
    return L3Of(cpu) == L3Of(last) ? 0 : NodeOf(cpu) == NodeOf(last) ? 1 : 2;
  };
  return distance(a) < distance(b);
}

bool SearchJudge::CoreIdle(Time now, int cpu, Duration since) const {
  const int first = cpu / siblings_ * siblings_;
  for (int other = first; other < first + siblings_; ++other) {
    const auto left = left_.find(other);
    if (!host_.cpus().Contains(CpuId(other)) || host_.machine().Running(CpuId(other)) != nullptr)
      return false;
    if (left != left_.end() && now - left->second < since) return false;
  }
  return true;
}

// Nobody else was on its core when that was decided.
bool SearchJudge::Alone(Time now, int cpu) const {
  const int first = cpu / siblings_ * siblings_;
  for (int other = first; other < first + siblings_; ++other) {
    if (other == cpu || host_.machine().Running(CpuId(other)) == nullptr) continue;
    const auto came = came_.find(other);
    if (came == came_.end() || now - came->second >= turn_) return false;
  }
  return true;
}

void SearchJudge::LookAt(Time now, CpuId cpu, const SimThread& waits) {
  const SimThread* const running = host_.machine().Running(cpu);
  if (now < left_[cpu.value()] + notice_) return;
  if (running == nullptr)
    Report(now, absl::StrCat("CPU ", cpu.value(), " idles beside ", waits.name()));
  if (running == nullptr || running->vm == 0 || running->policy != kSchedExtPolicy) return;
  if (!promises_.order) return;
  // Compared at the ends of slices.
  const Duration had = host_.machine().CpuTime(*running) - stints_[running].had;
  const double ahead = Elapsed(*running) - Elapsed(waits);
  const Duration late = promises_.slice + notice_;
  const ghost_status_word* const word = host_.WordOf(*running);
  const double weight = word == nullptr ? 1 : 100.0 / word->weight;
  if (had > promises_.slice + notice_ && ahead > static_cast<double>(late.count()) * weight) {
    Report(now, absl::StrCat(running->name(), " has CPU ", cpu.value(), " for ", Us(had),
                             " us, ahead of ", waits.name(), " by ", ahead / 1000));
  }
}

void SearchJudge::Report(Time now, const std::string& what) {
  if (broken_.empty()) broken_ = absl::StrCat("at ", Us(now.time_since_epoch()), " us ", what);
}

}  // namespace corral
