// SPDX-License-Identifier: Apache-2.0
// Who is on each CPU by the agent's last word, and who was there before and has not left yet.
//
// A decision can vanish before it is carried out: its task dies, departs or is changed. Then the
// task that it was to replace would stay, with no end set, and block a CPU that the agent takes for
// handed over. FindDeserted() finds such CPUs, so that the loop can tell the class again that they
// are to be left. No allocation after the construction. One thread.
#ifndef CORRAL_AGENT_RUNTIME_OCCUPANTS_H_
#define CORRAL_AGENT_RUNTIME_OCCUPANTS_H_

#include <algorithm>
#include <utility>
#include <vector>

#include "agent/runtime/list.h"
#include "agent/runtime/task.h"
#include "kernel/types.h"

namespace corral {

class Occupants {
 public:
  explicit Occupants(const std::vector<CpuId>& cpus) {
    for (const CpuId cpu : cpus) {
      const auto id = static_cast<size_t>(cpu.value());
      if (index_.size() <= id) index_.resize(id + 1, kNone);
      index_[id] = static_cast<int>(places_.size());
      places_.push_back({.cpu = cpu});
    }
  }

  // `task` (nullptr: nobody) is to be on the CPU from now on. CPUs of others are nothing to us.
  void Put(CpuId cpu, Task* task) {
    const int index = IndexOf(cpu);
    if (index == kNone) return;
    Task* const former = std::exchange(places_[index].occupant, task);
    if (former != nullptr && former != task && former->state == TaskState::kOnCpu)
      leaving_.PushBack(*former);
    if (task != nullptr) leaving_.Erase(*task);
    SetVacated(places_[index], false);
  }

  // Who is there by the last word; nullptr if nobody is, or not known.
  Task* at(CpuId cpu) const {
    const int index = IndexOf(cpu);
    return index == kNone ? nullptr : places_[index].occupant;
  }

  // The record is about to be given up.
  void Forget(Task& task) {
    leaving_.Erase(task);
    for (Place& place : places_) {
      if (place.occupant == &task) Vacate(place);
    }
  }

  // Brings Deserted() up to date.
  void FindDeserted() {
    for (Place& place : places_) {
      if (place.occupant != nullptr && !IsOn(*place.occupant, place)) Vacate(place);
    }
    if (nr_vacated_ == 0) return;
    for (Place& place : places_) place.held = false;
    for (Task* next = leaving_.front(); next != nullptr;) {
      Task& task = *next;
      next = leaving_.Next(task);
      const int index = IndexOf(task.cpu);
      if (index == kNone || !IsOn(task, places_[index])) {
        leaving_.Erase(task);
      } else {
        places_[index].held = true;
      }
    }
    for (Place& place : places_) {
      if (place.vacated && !place.held) SetVacated(place, false);
    }
  }
  // Its decided task is gone while a former one has not left.
  bool Deserted(CpuId cpu) const {
    const int index = IndexOf(cpu);
    return index != kNone && places_[index].vacated;
  }

 private:
  static constexpr int kNone = -1;
  struct Place {
    CpuId cpu;
    Task* occupant = nullptr;
    bool vacated = false;
    bool held = false;  // by one that is leaving
  };

  int IndexOf(CpuId cpu) const {
    const auto id = static_cast<size_t>(cpu.value());
    return id < index_.size() ? index_[id] : kNone;
  }
  static bool IsOn(const Task& task, const Place& place) {
    return task.state == TaskState::kOnCpu && task.cpu == place.cpu;
  }
  void Vacate(Place& place) {
    place.occupant = nullptr;
    SetVacated(place, true);
  }
  void SetVacated(Place& place, bool vacated) {
    nr_vacated_ += static_cast<int>(vacated) - static_cast<int>(place.vacated);
    place.vacated = vacated;
  }

  std::vector<Place> places_;
  std::vector<int> index_;  // into places_, by CPU id
  List<Task, &Task::leaving> leaving_;
  int nr_vacated_ = 0;
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_OCCUPANTS_H_
