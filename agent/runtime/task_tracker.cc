// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/task_tracker.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <tuple>
#include <utility>

#include "agent/runtime/loop_timing.h"
#include "agent/runtime/status_word.h"

namespace corral {
namespace {

// Times come from outside; what does not fit is "very long".
Duration ToDuration(uint64_t ns) {
  constexpr uint64_t kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  return Duration(static_cast<int64_t>(std::min(ns, kMax)));
}

// By the control plane's word and by its own nice value, which is as good as a task of weight 100.
uint32_t WeightOf(const ghost_status_word& word) {
  const uint64_t priority = word.priority == 0 ? 100 : word.priority;
  return static_cast<uint32_t>(std::clamp<uint64_t>(word.weight * priority / 100, 1, 1'000'000));
}

// When what the record knows happened: a status word does not say.
Time EventTime(const Task& task, Time now) {
  return task.from_status_word ? now : std::min(now, Time(ToDuration(task.event_ns)));
}

}  // namespace

ghost_status_word TaskTracker::Read(uint32_t slot) const {
  const absl::Span<const ghost_status_word> words = kernel_.status_words();
  return slot < words.size() ? ReadStatusWord(words[slot]) : ghost_status_word{};
}

bool TaskTracker::IsOurs(const ghost_status_word& word) const {
  return (word.flags & GHOST_SW_INUSE) && word.enclave == kernel_.enclave_id().value();
}

TaskState TaskTracker::StateIn(const ghost_status_word& word) const {
  if (!(word.flags & GHOST_SW_RUNNABLE)) return TaskState::kBlocked;
  const bool given = word.flags & (GHOST_SW_ONCPU | GHOST_SW_LATCHED);
  return given ? TaskState::kOnCpu : TaskState::kQueued;
}

void TaskTracker::Adopt(Task& task, const ghost_status_word& word, Time now) {
  task.gtid = Gtid(word.gtid);
  task.barrier = word.barrier;
  task.domain = DomainId(word.domain);
  task.from_status_word = true;
  task.event_ns = 0;
  task.settle_looks = loop_timing::kSettleLooks;
  ReadAttributes(task, word);
  task.cpu = CpuId(word.cpu);
  TakeUpAffinity(task);
  task.state = StateIn(word);
  if (task.state == TaskState::kBlocked) task.moves = 0;
  task.on_since_ns = word.switch_time_ns;
  if (task.state == TaskState::kOnCpu) UpdateRuntime(task, now);
  Account(task, now, now);
  events_.TaskNew(task, now);
}

// True if the task is promised something else than before.
bool TaskTracker::ReadAttributes(Task& task, const ghost_status_word& word) {
  const auto promise = [&] {
    return std::tuple(task.weight, task.budget, task.period, task.cap, task.cap_period,
                      task.granted, task.place);
  };
  const auto before = promise();
  task.tid = static_cast<pid_t>(word.tid);
  task.tgid = static_cast<pid_t>(word.tgid);
  task.vcpu = word.vcpu;
  task.weight = WeightOf(word);
  task.budget = ToDuration(word.budget_ns);
  task.period = ToDuration(word.period_ns);
  task.cap = ToDuration(word.cap_ns);
  task.cap_period = ToDuration(word.cap_period_ns);
  task.granted = ToDuration(word.granted_ns);
  task.place = CoreId(word.place);
  task.runtime = std::max(task.runtime, ToDuration(word.runtime_ns));
  return before != promise();
}

// True if it is another one than before.
bool TaskTracker::TakeUpAffinity(Task& task) {
  const absl::Span<const ghost_affinity> affinities = kernel_.affinities();
  if (task.slot >= affinities.size()) return false;
  CpuSet affinity = ReadAffinity(affinities[task.slot]);
  if (task.tied) affinity.Insert(task.cpu);
  if (affinity == task.affinity) return false;
  task.affinity = affinity;
  task.told_affinity = false;
  return true;
}

void TaskTracker::Tie(Task& task, CpuId cpu, Time now) {
  task.tied = true;
  task.cpu = cpu;
  if (TakeUpAffinity(task)) events_.TaskAffinityChanged(task, now);
}

void TaskTracker::Untie(Task& task, Time now) {
  if (!std::exchange(task.tied, false)) return;
  if (TakeUpAffinity(task)) events_.TaskAffinityChanged(task, now);
}

// It was on a CPU, or may have become acceptable to one.
void TaskTracker::Accepted(Task& task, Time now) {
  task.latch_failures = 0;
  task.moves = 0;
  Untie(task, now);
}

void TaskTracker::TakeUpChanges(Task& task, const ghost_status_word& word, Time now) {
  const bool changed = ReadAttributes(task, word);
  const bool moved = TakeUpAffinity(task);
  if (task.domain == DomainId(word.domain)) {
    if (moved) events_.TaskAffinityChanged(task, now);
    if (changed) events_.TaskAttributesChanged(task, now);
    return;
  }
  events_.TaskDeparted(task, now);
  task.domain = DomainId(word.domain);
  // The policy does not see parked tasks as runnable; that ends later, as for any other.
  events_.TaskNew(task, now);
}

void TaskTracker::UpdateRuntime(Task& task, Time now) const {
  const absl::Span<const ghost_status_word> words = kernel_.status_words();
  if (task.slot >= words.size()) return;
  const ghost_status_word& word = words[task.slot];
  const Duration runtime = ReadRuntime(word, now);
  if (__atomic_load_n(&word.gtid, __ATOMIC_RELAXED) != task.gtid.value()) return;
  task.runtime = std::max(task.runtime, runtime);
}

CpuClocks TaskTracker::ClocksOf(const Task& task, Time now) const {
  const absl::Span<const ghost_cpu_state> cpus = kernel_.cpu_states();
  const auto cpu = static_cast<size_t>(task.cpu.value());
  return task.cpu.value() >= 0 && cpu < cpus.size() ? ReadClocks(cpus[cpu], now) : CpuClocks();
}

void TaskTracker::Account(Task& task, Time at, Time now) const {
  if (task.state == TaskState::kOnCpu) {
    if (!task.waits.has_cpu()) task.waits.Give(now, task.runtime, ClocksOf(task, now));
    return;
  }
  if (task.waits.has_cpu()) task.waits.Settle(at, task.runtime, ClocksOf(task, now));
  switch (task.state) {
    case TaskState::kQueued:
      return task.waits.Wait(at, now);
    case TaskState::kParked:
      task.waits.Wait(at, now);
      return task.waits.Because(GHOST_WAIT_PLACE, now);
    default:
      return task.waits.Rest(at);
  }
}

void TaskTracker::Publish(Task& task, Time now) {
  if (task.state == TaskState::kOnCpu) {
    UpdateRuntime(task, now);
    task.waits.Settle(now, task.runtime, ClocksOf(task, now));
  }
  const ghost_waits waits = task.waits.Pending(now);
  if (std::all_of(std::begin(waits.ns), std::end(waits.ns), [](uint64_t ns) { return ns == 0; }))
    return;
  // One that is gone is of no interest any more.
  if (kernel_.Account(task.gtid, waits).ok()) task.waits.Clear();
}

TaskTracker::Outcome TaskTracker::Apply(Task& task, const ghost_msg& message, Time now) {
  // A record made from a status word may or may not know the event of that very barrier, so the
  // message counts, once.
  const bool echo = message.barrier == task.barrier && task.from_status_word;
  if (message.barrier < task.barrier || (message.barrier == task.barrier && !echo)) {
    ++counters_.stale_messages;
    return Outcome::kOk;
  }
  task.barrier = message.barrier;
  task.from_status_word = false;
  task.event_ns = message.time_ns;
  task.runtime = std::max(task.runtime, ToDuration(message.runtime_ns));
  switch (message.type) {
    case GHOST_MSG_TASK_BLOCKED:
      MoveTo(task, TaskState::kBlocked, {}, now);
      return Outcome::kOk;
    case GHOST_MSG_TASK_WAKEUP:
      if (task.state == TaskState::kBlocked) MoveTo(task, TaskState::kQueued, {}, now);
      return Outcome::kOk;
    case GHOST_MSG_TASK_PREEMPT:
    case GHOST_MSG_TASK_YIELD:
    case GHOST_MSG_TASK_LATCH_FAILURE:
      return Lost(task, message, echo, now);
    case GHOST_MSG_TASK_DEPARTED:
      events_.TaskDeparted(task, now);
      return Outcome::kGone;
    case GHOST_MSG_TASK_DEAD:
      events_.TaskDead(task, now);
      return Outcome::kGone;
    case GHOST_MSG_TASK_AFFINITY_CHANGED:
      Accepted(task, now);
      TakeUpAffinity(task);
      events_.TaskAffinityChanged(task, now);
      return Outcome::kOk;
    case GHOST_MSG_TASK_ON_CPU:
      if (!(message.flags & GHOST_MSG_F_OFFERED)) return Outcome::kOk;  // as committed
      return Taken(task, message, now);
    default:
      // Attributes and the priority stand in the status word. So does the state of a task that is
      // announced again, or with a message of a newer ABI.
      task.from_status_word = true;
      return Outcome::kLook;
  }
}

// The class took the task, as it was offered. A decision may have undone that since, or is about
// to: then the policy, which made it, would be told something older than it knows.
TaskTracker::Outcome TaskTracker::Taken(Task& task, const ghost_msg& message, Time now) {
  task.cpu = CpuId(message.cpu);
  task.waits.Give(EventTime(task, now), task.runtime, ClocksOf(task, now));
  const ghost_status_word word = Read(task.slot);
  const bool stands = word.gtid == task.gtid.value() && word.barrier == message.barrier &&
                      (word.flags & GHOST_SW_ONCPU);
  if (!stands || IsToLeave(task.cpu)) return Outcome::kOk;
  MoveTo(task, TaskState::kOnCpu, word, now);
  return Outcome::kTaken;
}

// A decision waits to be carried out on that CPU.
bool TaskTracker::IsToLeave(CpuId cpu) const {
  const absl::Span<const ghost_cpu_state> cpus = kernel_.cpu_states();
  const auto index = static_cast<size_t>(cpu.value());
  return cpu.value() >= 0 && index < cpus.size() &&
         __atomic_load_n(&cpus[index].latch, __ATOMIC_ACQUIRE) != 0;
}

// The task lost its CPU or its latch, and is runnable.
TaskTracker::Outcome TaskTracker::Lost(Task& task, const ghost_msg& message, bool echo, Time now) {
  const bool was_latched = message.flags & GHOST_MSG_F_WAS_LATCHED;
  // The status word, read after the event, showed a stint on a CPU that began after it.
  if (echo && task.state == TaskState::kOnCpu && task.on_since_ns > message.time_ns) {
    return Outcome::kOk;
  }
  if (task.state == TaskState::kQueued || task.state == TaskState::kParked) {
    if (task.waits.has_cpu()) Account(task, EventTime(task, now), now);
    return Outcome::kOk;
  }
  task.state = TaskState::kQueued;
  Account(task, EventTime(task, now), now);
  if (message.type == GHOST_MSG_TASK_LATCH_FAILURE) {
    events_.TaskLatchFailure(task, now);
    Untie(task, now);
    return Outcome::kLatchFailure;
  }
  if (!was_latched) Accepted(task, now);
  if (message.type == GHOST_MSG_TASK_YIELD) {
    events_.TaskYield(task, now);
  } else {
    events_.TaskPreempt(task, now);
  }
  return Outcome::kOk;
}

TaskTracker::Outcome TaskTracker::Reconcile(Task& task, Time now) {
  const ghost_status_word word = Read(task.slot);
  if (!IsOurs(word) || word.gtid != task.gtid.value()) {
    events_.TaskDead(task, now);
    return Outcome::kGone;
  }
  TakeUpChanges(task, word, now);
  if (word.barrier < task.barrier) return Outcome::kOk;  // the copy lags behind its messages
  const bool news = word.barrier > task.barrier;
  const TaskState state = StateIn(word);
  if (!news && !task.from_status_word) {
    // All messages were seen, so only the class itself can have moved it: onto a CPU, after the
    // last event. "On CPU" since before that event means that the task is on its way out.
    const bool put_on_cpu = state == TaskState::kOnCpu && (word.flags & GHOST_SW_ONCPU) &&
                            word.switch_time_ns > task.event_ns;
    if (put_on_cpu && task.state != TaskState::kOnCpu) MoveTo(task, state, word, now);
    return Outcome::kOk;
  }
  task.barrier = word.barrier;
  task.from_status_word = true;
  // On CPU, it may be on its way out, with its last message lost or consumed elsewhere.
  if (news) task.settle_looks = state == TaskState::kOnCpu ? loop_timing::kSettleLooks : 0;
  MoveTo(task, state, word, now);
  return Outcome::kOk;
}

void TaskTracker::MoveTo(Task& task, TaskState state, const ghost_status_word& word, Time now) {
  const TaskState before = task.state;
  switch (state) {
    case TaskState::kBlocked:
      task.state = state;
      Account(task, EventTime(task, now), now);
      if (before == TaskState::kQueued || before == TaskState::kOnCpu) {
        events_.TaskBlocked(task, now);
      }
      Accepted(task, now);
      return;
    case TaskState::kQueued:
      if (before == TaskState::kQueued || before == TaskState::kParked) return;
      task.state = state;
      Account(task, EventTime(task, now), now);
      if (before == TaskState::kOnCpu) {
        events_.TaskPreempt(task, now);
      } else {
        events_.TaskWakeup(task, now);
      }
      return;
    case TaskState::kOnCpu: {
      const bool moved = (word.flags & GHOST_SW_ONCPU) && task.cpu != CpuId(word.cpu);
      if (before == TaskState::kOnCpu && !moved) return;
      UpdateRuntime(task, now);
      if (task.waits.has_cpu()) {  // another one, which it has left
        task.waits.Settle(now, task.runtime, ClocksOf(task, now));
        task.waits.Rest(now);
      }
      task.state = state;
      task.cpu = CpuId(word.cpu);
      task.on_since_ns = word.switch_time_ns;
      Account(task, now, now);
      events_.TaskOnCpu(task, now);
      return;
    }
    case TaskState::kNone:
    case TaskState::kParked:
      return;
  }
}

bool TaskTracker::ContradictsTwice(Task& task) {
  const ghost_status_word word = Read(task.slot);
  const TaskState known = task.state == TaskState::kParked ? TaskState::kQueued : task.state;
  const bool gone = !IsOurs(word) || word.gtid != task.gtid.value();
  if (!gone && StateIn(word) == known) {
    task.suspect_barrier = 0;
    return false;
  }
  const bool again =
      task.suspect_barrier == word.barrier + 1 && task.suspect_switch_ns == word.switch_time_ns;
  task.suspect_barrier = word.barrier + 1;  // 0 means none
  task.suspect_switch_ns = word.switch_time_ns;
  return again;
}

void TaskTracker::Repair(Task& task, Time now) {
  task.suspect_barrier = 0;
  const ghost_status_word word = Read(task.slot);
  task.barrier = word.barrier;
  task.from_status_word = true;
  MoveTo(task, StateIn(word), word, now);
}

}  // namespace corral
