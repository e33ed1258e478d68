// SPDX-License-Identifier: Apache-2.0
// What is to happen, by time; at one time in the order in which it was asked for.
//
// Not thread-safe. An event may ask for others, at its own time or later.
#ifndef CORRAL_KERNEL_SIM_EVENT_QUEUE_H_
#define CORRAL_KERNEL_SIM_EVENT_QUEUE_H_

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "kernel/types.h"

namespace corral::sim {

class EventQueue {
 public:
  using Action = std::function<void()>;

  void Add(Time at, Action action) {
    heap_.push_back({at, next_++, std::move(action)});
    std::push_heap(heap_.begin(), heap_.end(), Later);
  }
  bool empty() const { return heap_.empty(); }
  Time next() const { return heap_.front().at; }
  Action Take() {
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    Action action = std::move(heap_.back().action);
    heap_.pop_back();
    return action;
  }
  uint64_t taken() const { return next_ - heap_.size(); }

 private:
  struct Event {
    Time at;
    uint64_t number;
    Action action;
  };
  static bool Later(const Event& a, const Event& b) {
    return a.at != b.at ? a.at > b.at : a.number > b.number;
  }

  std::vector<Event> heap_;
  uint64_t next_ = 0;
};

}  // namespace corral::sim

#endif  // CORRAL_KERNEL_SIM_EVENT_QUEUE_H_
