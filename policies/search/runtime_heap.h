// SPDX-License-Identifier: Apache-2.0
// The tasks that wait, the one with the least elapsed runtime first; among equals, who came first.
//
// A binary heap of seekers that know their place in it: any of them leaves in O(log n). No
// allocation after the construction. One thread.
#ifndef CORRAL_POLICIES_SEARCH_RUNTIME_HEAP_H_
#define CORRAL_POLICIES_SEARCH_RUNTIME_HEAP_H_

#include <utility>
#include <vector>

#include "policies/central/board.h"

namespace corral::search {

// What the policy knows of a task.
struct Seeker {
  static constexpr size_t kNowhere = SIZE_MAX;

  central::Entry entry;
  int64_t elapsed = 0;  // CPU time in ns, as a task of weight 100 would have had it
  Duration charged{0};  // the CPU time that is in it
  uint32_t weight = 100;
  int given = -1;  // the core that it was put on last; -1: none yet
  int home = -1;   // and on which it did run
  Time in_line_since{};
  uint64_t number = 0;      // of those that got in line
  size_t place = kNowhere;  // in the heap

  bool waits() const { return place != kNowhere; }
};

class RuntimeHeap {
 public:
  explicit RuntimeHeap(uint32_t capacity) { heap_.reserve(capacity); }

  bool empty() const { return heap_.empty(); }
  Seeker& top() const { return *heap_.front(); }

  // Does nothing if it is in here.
  void Push(Seeker& seeker) {
    if (seeker.waits()) return;
    heap_.push_back(&seeker);
    Up(heap_.size() - 1);
  }
  // Does nothing if it is not.
  void Erase(Seeker& seeker) {
    if (!seeker.waits()) return;
    const size_t hole = std::exchange(seeker.place, Seeker::kNowhere);
    Seeker* const last = heap_.back();
    heap_.pop_back();
    if (last == &seeker) return;
    heap_[hole] = last;
    Up(hole);
    Down(last->place);
  }

 private:
  static bool Before(const Seeker& a, const Seeker& b) {
    return std::pair(a.elapsed, a.number) < std::pair(b.elapsed, b.number);
  }
  void Set(size_t place, Seeker* seeker) {
    heap_[place] = seeker;
    seeker->place = place;
  }
  void Up(size_t place) {
    Seeker* const seeker = heap_[place];
    for (; place > 0 && Before(*seeker, *heap_[(place - 1) / 2]); place = (place - 1) / 2)
      Set(place, heap_[(place - 1) / 2]);
    Set(place, seeker);
  }
  void Down(size_t place) {
    Seeker* const seeker = heap_[place];
    for (size_t child = 2 * place + 1; child < heap_.size(); child = 2 * place + 1) {
      if (child + 1 < heap_.size() && Before(*heap_[child + 1], *heap_[child])) ++child;
      if (!Before(*heap_[child], *seeker)) break;
      Set(place, heap_[child]);
      place = child;
    }
    Set(place, seeker);
  }

  std::vector<Seeker*> heap_;
};

}  // namespace corral::search

#endif  // CORRAL_POLICIES_SEARCH_RUNTIME_HEAP_H_
