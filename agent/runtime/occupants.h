// SPDX-License-Identifier: Apache-2.0
// Who is on each sibling of a core by the agent's last word, and who was there before and has not
// left yet.
//
// A decision can vanish before it is carried out: its task dies, departs or is changed. Then the
// task that it was to replace would stay, with no end set, and block a core that the agent takes
// for handed over. Deserted() finds such siblings, so that the loop can tell the class again that
// the sibling is to be left. No allocation. One thread.
#ifndef CORRAL_AGENT_RUNTIME_OCCUPANTS_H_
#define CORRAL_AGENT_RUNTIME_OCCUPANTS_H_

#include <array>

#include "agent/runtime/task.h"
#include "agent/runtime/topology.h"

namespace corral {

class Occupants {
 public:
  explicit Occupants(const Core& core) : core_(core) {}

  // `task` (nullptr: nobody) is to be on the sibling from now on.
  void Put(int sibling, Task* task) {
    Task* const former = occupant_[sibling];
    if (former != nullptr && former != task && former->state == TaskState::kOnCpu) {
      leaving_.PushBack(*former);
    }
    if (task != nullptr) leaving_.Erase(*task);
    occupant_[sibling] = task;
    vacated_ &= ~(1u << sibling);
  }

  // Who is there by the last word; nullptr if nobody is, or not known.
  Task* at(int sibling) const { return occupant_[sibling]; }

  // The record is about to be given up.
  void Forget(Task& task) {
    leaving_.Erase(task);
    for (int i = 0; i < core_.nr_cpus; ++i) {
      if (occupant_[i] != &task) continue;
      occupant_[i] = nullptr;
      vacated_ |= 1u << i;
    }
  }

  // A bit per sibling whose decided task is gone while a former one has not left.
  uint32_t Deserted() {
    for (int i = 0; i < core_.nr_cpus; ++i) {
      const Task* const task = occupant_[i];
      if (task == nullptr || IsOn(*task, i)) continue;
      occupant_[i] = nullptr;
      vacated_ |= 1u << i;
    }
    if (vacated_ == 0) return 0;
    uint32_t held = 0;
    for (Task* next = leaving_.front(); next != nullptr;) {
      Task& task = *next;
      next = leaving_.Next(task);
      const int sibling = core_.SiblingOf(task.cpu);
      if (sibling < 0 || !IsOn(task, sibling)) {
        leaving_.Erase(task);
      } else {
        held |= 1u << sibling;
      }
    }
    vacated_ &= held;
    return vacated_;
  }

 private:
  bool IsOn(const Task& task, int sibling) const {
    return task.state == TaskState::kOnCpu && task.cpu == core_.cpu[sibling];
  }

  const Core& core_;
  std::array<Task*, GHOST_MAX_SIBLINGS> occupant_{};
  List<Task, &Task::leaving> leaving_;
  uint32_t vacated_ = 0;
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_OCCUPANTS_H_
