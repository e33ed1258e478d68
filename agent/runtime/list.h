// SPDX-License-Identifier: Apache-2.0
// A doubly linked list through hooks inside its elements: no allocation, O(1) removal of a known
// element.
//
// An element is in at most one list per hook, and outlives its membership. Not thread-safe.
#ifndef CORRAL_AGENT_RUNTIME_LIST_H_
#define CORRAL_AGENT_RUNTIME_LIST_H_

#include <cstddef>

namespace corral {

template <typename T>
struct ListHook {
  T* prev = nullptr;
  T* next = nullptr;
  bool linked = false;
};

template <typename T, ListHook<T> T::*kHook>
class List {
 public:
  bool empty() const { return head_ == nullptr; }
  size_t size() const { return size_; }
  T* front() const { return head_; }
  static T* Next(const T& e) { return (e.*kHook).next; }
  static bool Linked(const T& e) { return (e.*kHook).linked; }

  // Does nothing if `e` is in a list by this hook already.
  void PushBack(T& e) {
    ListHook<T>& hook = e.*kHook;
    if (hook.linked) return;
    hook = {tail_, nullptr, true};
    (tail_ == nullptr ? head_ : (tail_->*kHook).next) = &e;
    tail_ = &e;
    ++size_;
  }

  // Does nothing if `e` is in a list by this hook already.
  void PushFront(T& e) {
    ListHook<T>& hook = e.*kHook;
    if (hook.linked) return;
    hook = {nullptr, head_, true};
    (head_ == nullptr ? tail_ : (head_->*kHook).prev) = &e;
    head_ = &e;
    ++size_;
  }

  // Does nothing if `e` is in a list by this hook already. `next` must be in this one, or nullptr:
  // then it is PushBack.
  void InsertBefore(T* next, T& e) {
    if (next == nullptr) return PushBack(e);
    if (next == head_) return PushFront(e);
    ListHook<T>& hook = e.*kHook;
    if (hook.linked) return;
    T* const prev = (next->*kHook).prev;
    hook = {prev, next, true};
    (prev->*kHook).next = &e;
    (next->*kHook).prev = &e;
    ++size_;
  }

  // Does nothing if `e` is in no list. It must not be in another one.
  void Erase(T& e) {
    ListHook<T>& hook = e.*kHook;
    if (!hook.linked) return;
    (hook.prev == nullptr ? head_ : (hook.prev->*kHook).next) = hook.next;
    (hook.next == nullptr ? tail_ : (hook.next->*kHook).prev) = hook.prev;
    hook = {};
    --size_;
  }

 private:
  T* head_ = nullptr;
  T* tail_ = nullptr;
  size_t size_ = 0;
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_LIST_H_
