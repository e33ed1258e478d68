// SPDX-License-Identifier: Apache-2.0
// What an agent knows about a task, and the table of all of them.
//
// One table per agent process, storage for every slot of the class made once at the start. Each
// record has one owner at a time, the loop of one core: only the owner reads and writes the record.
// Ownership moves by a release store of the owner word, followed by a post to the new owner's
// mailbox (slot_mailbox.h). Units: ns.
#ifndef CORRAL_AGENT_RUNTIME_TASK_H_
#define CORRAL_AGENT_RUNTIME_TASK_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "agent/runtime/list.h"
#include "agent/runtime/wait_account.h"
#include "kernel/abi/ghost.h"
#include "kernel/cpu_set.h"
#include "kernel/ghost_kernel.h"
#include "kernel/types.h"

namespace corral {

enum class TaskState : uint8_t {
  kNone,  // the record is not in use
  kBlocked,
  kQueued,  // runnable, waits for the policy
  kOnCpu,   // given to a CPU: latched or running there
  kParked,  // runnable, but no CPU of its core may run it, or they keep refusing it: hidden from
            // the policy for a while
};

// Why a task is parked.
enum class Obstacle : uint8_t {
  kClass,     // it refuses to run the task
  kCpus,      // they refuse to take it
  kAffinity,  // no CPU of its core that is online is one that it may use
};

struct Task {
  uint32_t slot = 0;
  Gtid gtid{0};
  uint64_t barrier = 0;
  TaskState state = TaskState::kNone;
  // Which cores may take it by themselves; its policy says so, whenever it likes.
  Offer offer = Offer::kNone;
  CpuId cpu{-1};  // where it runs or ran last
  DomainId domain{0};
  pid_t tid = 0;
  pid_t tgid = 0;
  uint32_t vcpu = 0;
  uint32_t weight = 100;  // with its nice value; at least 1
  Duration budget{0};
  Duration period{0};
  Duration granted{0};  // what the enclave promised of it, on the core `place`
  CoreId place{GHOST_NO_CORE};
  Duration cap{0};
  Duration cap_period{0};
  CpuSet affinity;      // the CPUs that it may use
  Duration runtime{0};  // up to the last message; before Schedule, of tasks on the core, up to now
  // Decisions in a row that could not be carried out, where the affinity was no obstacle. A policy
  // may try another sibling then.
  int latch_failures = 0;
  // While the task is queued, its policy says there why; the rest is the runtime's.
  WaitAccount waits;

  // The rest belongs to task_tracker.cc and the loops.
  // `barrier` was read in the status word: the message of that event may still come.
  bool from_status_word = false;
  Obstacle parked_for = Obstacle::kClass;
  std::optional<Offer> told_offer;  // what the class knows of it; nothing: not told yet
  bool tied = false;                // is tried on the CPU that it is on, whatever its affinity says
  bool told_affinity = false;       // the lead was told of the present one
  uint64_t event_ns = 0;            // time of the last message
  uint64_t on_since_ns = 0;         // as read in the status word: when this stint on a CPU began
  uint64_t suspect_barrier = 0;     // self-check: the contradiction that was seen last time
  uint64_t suspect_switch_ns = 0;
  int settle_looks = 0;     // look at its status word that many times more
  int moves = 0;            // from core to core in a row, in search of a CPU that takes it
  Duration told_budget{0};  // what is asked for as the lead was last told
  Duration told_period{0};
  Time parked_until{};
  ListHook<Task> owned;
  ListHook<Task> parked;
  ListHook<Task> leaving;  // occupants.h
};

class TaskTable {
 public:
  static constexpr int kNobody = -1;

  explicit TaskTable(uint32_t nr_slots) : tasks_(nr_slots), owners_(nr_slots), wanted_(nr_slots) {
    for (uint32_t i = 0; i < nr_slots; ++i) {
      tasks_[i].slot = i;
      owners_[i].store(kNobody, std::memory_order_relaxed);
      wanted_[i].store(kNobody, std::memory_order_relaxed);
    }
  }

  uint32_t size() const { return static_cast<uint32_t>(tasks_.size()); }
  Task& operator[](uint32_t slot) { return tasks_[slot]; }

  // The position of the owning core in the enclave's topology, or kNobody. Any thread.
  int owner(uint32_t slot) const { return owners_[slot].load(std::memory_order_seq_cst); }
  // Only by the owner, or by the lead while nobody owns it.
  void SetOwner(uint32_t slot, int core) { owners_[slot].store(core, std::memory_order_seq_cst); }

  // The core that the owner is to give the task to, or kNobody. Set by the lead; whoever gives the
  // task away clears what has come to nothing, which is why that must be the value that it knows.
  int wanted(uint32_t slot) const { return wanted_[slot].load(std::memory_order_seq_cst); }
  void SetWanted(uint32_t slot, int core) { wanted_[slot].store(core, std::memory_order_seq_cst); }
  void ClearWanted(uint32_t slot, int core) {
    wanted_[slot].compare_exchange_strong(core, kNobody, std::memory_order_seq_cst);
  }

 private:
  std::vector<Task> tasks_;
  std::vector<std::atomic<int>> owners_;
  std::vector<std::atomic<int>> wanted_;
};

// A policy's own record per task, with the ownership of the Task that it belongs to.
template <typename T>
class PerTask {
 public:
  explicit PerTask(uint32_t nr_slots) : items_(nr_slots) {}
  T& operator[](const Task& task) { return items_[task.slot]; }
  const T& operator[](const Task& task) const { return items_[task.slot]; }

 private:
  std::vector<T> items_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_TASK_H_
