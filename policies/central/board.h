// SPDX-License-Identifier: Apache-2.0
// Who is on which CPU by a centralized policy's last word.
//
// Cores are positions in the enclave's topology. No allocation after the construction. One thread.
#ifndef CORRAL_POLICIES_CENTRAL_BOARD_H_
#define CORRAL_POLICIES_CENTRAL_BOARD_H_

#include <algorithm>
#include <vector>

#include "agent/runtime/list.h"
#include "agent/runtime/task.h"
#include "agent/runtime/topology.h"
#include "agent/runtime/transaction.h"

namespace corral::central {

// What a centralized policy knows of a task.
struct Entry {
  Task* task = nullptr;
  int core = -1;  // where it runs; -1: nowhere
  int sibling = -1;
  Time since{};                     // it has been there
  Duration had{0};                  // CPU time when it came there
  Duration used{0};                 // of its slice, before it came there
  Duration paused{0};               // since it came there
  Duration renewed{0};              // slices that it began after the first, since it came there
  Time paused_since = Time::max();  // if it is at the moment
  int rank = 0;                     // the policy's own: those of a lower one come first
  uint64_t turn = 0;                // when it got in line
  ListHook<Entry> waiting;

  bool runs() const { return core >= 0; }
  // While it runs.
  Time SliceEnd(Duration slice) const { return since + paused + renewed + slice - used; }
  bool pauses() const { return paused_since != Time::max(); }
};
using Queue = List<Entry, &Entry::waiting>;

// Behind those whose turn is not later.
inline void InsertByTurn(Queue& queue, Entry& entry) {
  Entry* next = queue.front();
  while (next != nullptr && next->turn <= entry.turn) next = Queue::Next(*next);
  queue.InsertBefore(next, entry);
}

class Board {
 public:
  explicit Board(const Topology& topology) : topology_(topology) {
    for (const Core& core : topology_.cores()) places_.emplace_back(core.nr_cpus);
  }

  const Topology& topology() const { return topology_; }
  Entry* at(int core, int sibling) const { return places_[core][sibling]; }

  // Of those that run.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (const std::vector<Entry*>& core : places_) {
      for (Entry* const entry : core) {
        if (entry != nullptr) visit(*entry);
      }
    }
  }
  // How many of that rank run.
  int Count(int rank) const {
    int count = 0;
    ForEach([&](const Entry& entry) { count += entry.rank == rank; });
    return count;
  }
  // When, after `now`, the slice of the next one of that rank will be over; Time::max() if there is
  // none.
  Time NextSliceEnd(int rank, Time now, Duration slice) const {
    Time next = Time::max();
    ForEach([&](const Entry& entry) {
      if (entry.rank != rank) return;
      const Time end = entry.SliceEnd(slice);
      if (end > now) next = std::min(next, end);
    });
    return next;
  }

  // Whose slice is over begins another one. `visit` is told each that begins.
  template <typename Visit>
  void RenewSlices(Time now, Duration slice, Visit visit) {
    ForEach([&](Entry& entry) {
      if (entry.pauses()) return;
      for (; now >= entry.SliceEnd(slice); entry.renewed += slice) visit(entry);
    });
  }

  // It is there from now on, instead of whoever was.
  void Put(Entry& entry, int core, int sibling, Time now) {
    TakeOff(entry);
    if (Entry* const former = at(core, sibling); former != nullptr) TakeOff(*former);
    places_[core][sibling] = &entry;
    entry.core = core;
    entry.sibling = sibling;
    entry.since = now;
    entry.had = entry.task->runtime;
    entry.paused = entry.renewed = Duration(0);
    entry.paused_since = Time::max();
  }
  void Put(Entry& entry, CpuId cpu, Time now) {
    const int core = topology_.CoreOf(cpu);
    if (core >= 0) {
      Put(entry, core, topology_.core(core).SiblingOf(cpu), now);
    } else {
      TakeOff(entry);
    }
  }
  // The class latched `txn` for the core. `entry_of` gives the entry of a task that runs from now
  // on, and has it wait no more. Whoever was there waits again once the class has told that it lost
  // its CPU.
  template <typename EntryOf>
  void Follow(int core, const CoreTransaction& txn, Time now, EntryOf entry_of) {
    for (int i = 0; i < txn.nr_siblings(); ++i) {
      Entry* const running = at(core, i);
      if (running == nullptr || txn.sibling(i).target == CoreTransaction::Target::kKeep) continue;
      TakeOff(*running);
    }
    for (int i = 0; i < txn.nr_siblings(); ++i) {
      if (txn.sibling(i).target != CoreTransaction::Target::kRun) continue;
      Put(entry_of(*txn.sibling(i).task), core, i, now);
    }
  }
  // Others have the CPU, or not any more: whoever is there waits behind them, and meanwhile its
  // slice does not go on.
  void SetPaused(int core, int sibling, bool paused, Time now) {
    Entry* const entry = at(core, sibling);
    if (entry == nullptr || paused == entry->pauses()) return;
    if (!paused) entry->paused += now - entry->paused_since;
    entry->paused_since = paused ? now : Time::max();
  }
  // Does nothing if it is nowhere.
  void TakeOff(Entry& entry) {
    if (!entry.runs()) return;
    places_[entry.core][entry.sibling] = nullptr;
    entry.core = entry.sibling = -1;
  }

 private:
  const Topology topology_;
  std::vector<std::vector<Entry*>> places_;  // by core and sibling
};

}  // namespace corral::central

#endif  // CORRAL_POLICIES_CENTRAL_BOARD_H_
