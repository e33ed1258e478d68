// SPDX-License-Identifier: Apache-2.0
// How many CPUs are decided about at once, and the transactions for them.
#ifndef CORRAL_TESTS_BENCH_GROUPS_H_
#define CORRAL_TESTS_BENCH_GROUPS_H_

#include <array>

#include "agent/runtime/status_word.h"
#include "agent/runtime/task.h"
#include "agent/runtime/transaction.h"
#include "tests/bench/loaded_class.h"

namespace corral::bench {

// A transaction names a core, so a group of CPUs is one transaction for each of its cores.
struct Group {
  const char* id;
  const char* name;
  int cores;
  int siblings;  // that get a task; the others are left as they are (KEEP)

  int cpus() const { return cores * siblings; }
};

inline constexpr Group kGroups[] = {
    {"single", "1 CPU", 1, 1},
    {"group_2", "2 CPUs (both siblings of a core)", 1, 2},
    {"group_10", "10 CPUs (5 cores)", 5, 2},
    {"group_100", "100 CPUs (50 cores)", 50, 2},
};

// The made-up machine's tasks as an agent knows them.
class Tasks {
 public:
  explicit Tasks(LoadedClass& loaded) : loaded_(loaded) {}

  // Reads the barriers anew: messages raised them.
  void Refresh() {
    for (int cpu = 0; cpu < OVERHEADS_CPUS; ++cpu) {
      Task& task = tasks_[cpu];
      task.gtid = loaded_.task(cpu);
      const uint32_t slot = GHOST_GTID_SLOT(task.gtid.value());
      task.barrier = ReadStatusWord(loaded_.agent().status_words()[slot]).barrier;
    }
  }

  // Gives `siblings` of core `core`, from `first` on, their tasks.
  CoreTransaction Transaction(int core, int first, int siblings) {
    CoreTransaction txn;
    txn.Reset(CoreId(core), OVERHEADS_SIBLINGS, (1u << OVERHEADS_SIBLINGS) - 1);
    for (int i = first; i < first + siblings; ++i)
      txn.Run(i, tasks_[core * OVERHEADS_SIBLINGS + i]);
    return txn;
  }

 private:
  LoadedClass& loaded_;
  std::array<Task, OVERHEADS_CPUS> tasks_;
};

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_GROUPS_H_
