// SPDX-License-Identifier: Apache-2.0
// Transactions as values: what shall run on the siblings of one core, and what became of it.
//
// A policy fills a CoreTransaction; a loop packs one or several into a CommitBatch and commits them
// in one call. Nothing here allocates. Semantics: SOSP'21 section 3.2 (transactions, sync groups);
// a transaction names the whole core.
#ifndef CORRAL_AGENT_RUNTIME_TRANSACTION_H_
#define CORRAL_AGENT_RUNTIME_TRANSACTION_H_

#include <array>
#include <cstdint>

#include "agent/runtime/task.h"
#include "kernel/abi/ghost.h"
#include "kernel/types.h"

namespace corral {

class CoreTransaction {
 public:
  enum class Target : uint8_t { kKeep, kIdle, kRun };
  struct Sibling {
    Target target = Target::kKeep;
    Task* task = nullptr;  // of kRun
    Duration slice{0};     // 0: until the agent decides otherwise
    uint32_t state = GHOST_TXN_READY;
  };

  // Everything KEEP. `usable` has a bit per sibling that may be given work.
  void Reset(CoreId core, int nr_siblings, uint32_t usable) {
    core_ = core;
    nr_siblings_ = nr_siblings;
    usable_ = usable;
    state_ = GHOST_TXN_READY;
    empty_ = true;
    for (int i = 0; i < nr_siblings; ++i) siblings_[i] = Sibling();
  }

  void Idle(int sibling) {
    siblings_[sibling] = {.target = Target::kIdle};
    empty_ = false;
  }
  // The task must be queued, and in no other sibling of the transaction.
  void Run(int sibling, Task& task, Duration slice = Duration(0)) {
    siblings_[sibling] = {.target = Target::kRun, .task = &task, .slice = slice};
    empty_ = false;
  }

  CoreId core() const { return core_; }
  int nr_siblings() const { return nr_siblings_; }
  bool usable(int sibling) const { return (usable_ >> sibling) & 1; }
  const Sibling& sibling(int i) const { return siblings_[i]; }
  bool empty() const { return empty_; }  // nothing but KEEP: there is nothing to commit
  uint32_t state() const { return state_; }
  bool complete() const { return state_ == GHOST_TXN_COMPLETE; }

  void WriteTo(ghost_core_txn& out) const {
    out.core = core_.value();
    out.state = GHOST_TXN_READY;
    for (int i = 0; i < GHOST_MAX_SIBLINGS; ++i) {
      const Sibling& s = siblings_[i];
      ghost_txn_sibling& o = out.sibling[i];
      o = {.target = GHOST_TARGET_KEEP};
      if (i >= nr_siblings_ || s.target == Target::kKeep) continue;
      if (s.target == Target::kIdle) {
        o.target = GHOST_TARGET_IDLE;
        continue;
      }
      o.target = s.task->gtid.value();
      o.barrier = s.task->barrier;
      o.slice_ns = static_cast<uint64_t>(s.slice.count());
    }
  }
  void ReadResults(const ghost_core_txn& in) {
    state_ = in.state;
    for (int i = 0; i < nr_siblings_; ++i) siblings_[i].state = in.sibling[i].state;
  }

 private:
  CoreId core_{0};
  int nr_siblings_ = 0;
  uint32_t usable_ = 0;
  uint32_t state_ = GHOST_TXN_READY;
  bool empty_ = true;
  std::array<Sibling, GHOST_MAX_SIBLINGS> siblings_{};
};

// The argument of one commit call, kept between calls because it is large.
class CommitBatch {
 public:
  void Clear() { commit_.nr = 0; }
  // False when GHOST_COMMIT_MAX_CORES are in it already: commit first.
  bool Add(const CoreTransaction& txn) {
    if (commit_.nr >= GHOST_COMMIT_MAX_CORES) return false;
    txn.WriteTo(commit_.txn[commit_.nr++]);
    return true;
  }
  // Ready for AgentKernel::Commit().
  ghost_commit& call() {
    commit_.abi_version = GHOST_ABI_VERSION;
    commit_.result = 0;
    commit_.completed = 0;
    return commit_;
  }
  const ghost_core_txn& result(uint32_t i) const { return commit_.txn[i]; }

 private:
  ghost_commit commit_{};
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_TRANSACTION_H_
