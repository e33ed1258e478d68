// SPDX-License-Identifier: Apache-2.0
#include "policies/fifo/policy.h"

#include <algorithm>
#include <utility>

namespace corral::fifo {

absl::Span<const OptionSpec> OptionTable() {
  static constexpr OptionSpec kTable[] = {
      {.name = "slice",
       .type = OptionType::kDuration,
       .default_value = "10ms",
       .min = "100us",
       .max = "10s",
       .help = "For how long a task keeps a CPU that another one waits for."},
  };
  return kTable;
}

Options ReadOptions(const OptionValues& values) { return {.slice = values.GetDuration("slice")}; }

void CoreFifo::TaskNew(Task& task, Time now) {
  entries_[task] = Entry{.task = &task};
  if (task.state == TaskState::kQueued) Wait(task, now);
  if (task.state == TaskState::kOnCpu) TaskOnCpu(task, now);
}

void CoreFifo::Wait(Task& task, Time) {
  Entry& entry = entries_[task];
  LeaveSibling(entry);
  queue_.PushBack(entry);
}

void CoreFifo::TaskBlocked(Task& task, Time) {
  Entry& entry = entries_[task];
  LeaveSibling(entry);
  queue_.Erase(entry);
}

void CoreFifo::TaskOnCpu(Task& task, Time now) {
  Entry& entry = entries_[task];
  LeaveSibling(entry);
  queue_.Erase(entry);
  if (const int sibling = core_.SiblingOf(task.cpu); sibling >= 0) TakeSibling(entry, sibling, now);
}

// A task goes on unless somebody waits and its slice is over.
bool CoreFifo::Stays(int sibling, Time now) const {
  const Entry* const entry = running_[sibling];
  return entry != nullptr && (queue_.empty() || now < entry->since + options_.slice);
}

void CoreFifo::Schedule(Time now, CoreTransaction& txn) {
  Entry* head = queue_.front();
  if (head == nullptr) return;
  // The domain that the core has, as far as anybody stays.
  DomainId domain{0};
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    if (Stays(i, now)) domain = running_[i]->task->domain;
  }
  const auto fits = [&](int i) {
    return head != nullptr && (domain == DomainId(0) || head->task->domain == domain) &&
           head->task->affinity.Contains(core_.cpu[i]);
  };
  // A task that one sibling could not take is offered to the next one.
  const int first = head->task->latch_failures % txn.nr_siblings();
  for (int n = 0; n < txn.nr_siblings(); ++n) {
    const int i = (first + n) % txn.nr_siblings();
    if (!txn.usable(i) || Stays(i, now)) continue;
    if (fits(i)) {
      txn.Run(i, *head->task);
      domain = head->task->domain;
      head = queue_.Next(*head);
    } else if (running_[i] != nullptr) {
      txn.Idle(i);
    }
  }
  if (txn.empty()) return;
  // What we take for idle shall be idle, whoever may be there.
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    const bool kept = txn.sibling(i).target == CoreTransaction::Target::kKeep;
    if (kept && txn.usable(i) && running_[i] == nullptr) txn.Idle(i);
  }
}

void CoreFifo::Committed(const CoreTransaction& txn, Time now) {
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    // The task that was there waits again once the class has told that it lost its CPU.
    const bool kept = txn.sibling(i).target == CoreTransaction::Target::kKeep;
    if (!kept && running_[i] != nullptr) LeaveSibling(*running_[i]);
  }
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    if (txn.sibling(i).target != CoreTransaction::Target::kRun) continue;
    Entry& entry = entries_[*txn.sibling(i).task];
    queue_.Erase(entry);
    TakeSibling(entry, i, now);
  }
}

Time CoreFifo::NextDeadline() const {
  Time at = Time::max();
  if (queue_.empty()) return at;
  for (const Entry* entry : running_) {
    if (entry != nullptr) at = std::min(at, entry->since + options_.slice);
  }
  return at;
}

void CoreFifo::LeaveSibling(Entry& entry) {
  if (entry.sibling < 0) return;
  running_[entry.sibling] = nullptr;
  entry.sibling = -1;
}

void CoreFifo::TakeSibling(Entry& entry, int sibling, Time now) {
  if (running_[sibling] != nullptr) LeaveSibling(*running_[sibling]);
  running_[sibling] = &entry;
  entry.sibling = sibling;
  entry.since = now;
}

int FifoPolicy::PlaceTask(const PlacementRequest& task) {
  const auto rank = [&](int core) {
    const bool usable = topology_.core(core).siblings.Intersects(task.cpus);
    return std::pair(!usable, load_[core]);
  };
  int best = 0;
  for (int core = 1; core < topology_.nr_cores(); ++core) {
    if (rank(core) < rank(best)) best = core;
  }
  return best;
}

}  // namespace corral::fifo
