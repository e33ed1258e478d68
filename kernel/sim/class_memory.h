// SPDX-License-Identifier: Apache-2.0
// The memory of one loaded class: what kernel/bpf keeps in maps, as arrays, and its message rings.
//
// Belongs to a Machine; same thread rules.
#ifndef CORRAL_KERNEL_SIM_CLASS_MEMORY_H_
#define CORRAL_KERNEL_SIM_CLASS_MEMORY_H_

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "kernel/class_layout.h"
#include "kernel/sim/native/native_class.h"

namespace corral::sim {

// One queue of messages, with room for so many.
class Ring {
 public:
  explicit Ring(uint32_t room) : slots_(room) {}
  // Where the next message goes; nullptr when there is no room.
  ghost_msg* Reserve();
  void Submit() {
    ++count_;
    if (on_submit) on_submit();
  }
  void WakeReader() {
    if (on_message) on_message();
  }
  int Drain(absl::FunctionRef<void(const ghost_msg&)> handle);
  uint32_t length() const { return count_; }
  // Called when the reader is to wake up. Set by whoever serves the queue.
  std::function<void()> on_message;
  // Called at each message, also where the reader need not wake up: one that spins sees it.
  std::function<void()> on_submit;

 private:
  std::vector<ghost_msg> slots_;
  uint32_t first_ = 0;
  uint32_t count_ = 0;
};

class ClassMemory {
 public:
  // With the contents that a loader gives it.
  void Allocate(const ClassLayout& layout);

  // The map of that name, as it is declared in kernel/bpf/ghost_maps.bpf.h. T is its value.
  template <typename T>
  absl::Span<T> Array(const char* name) {
    const sim_array& a = ByName(name);
    return absl::MakeSpan(reinterpret_cast<T*>(a.data), a.entries);
  }
  // nullptr: no enclave has that core.
  Ring* ring(uint32_t queue) { return queue < rings_.size() ? rings_[queue].get() : nullptr; }
  void MakeRing(uint32_t queue, uint32_t room);

  const sim_array* arrays() const { return arrays_.data(); }
  const char* first_map() const { return first_map_; }
  size_t bytes() const { return bytes_; }

 private:
  const sim_array& ByName(const char* name) const;

  const char* first_map_ = nullptr;
  std::vector<sim_array> arrays_;  // by the place of the declaration, as sim_map_lookup() counts
  absl::flat_hash_map<std::string, size_t> index_;
  struct Free {
    void operator()(char* memory) const { free(memory); }
  };
  std::vector<std::unique_ptr<char, Free>> storage_;
  std::vector<std::unique_ptr<Ring>> rings_;
  std::vector<Ring*> ring_pointers_;
  size_t bytes_ = 0;
};

}  // namespace corral::sim

#endif  // CORRAL_KERNEL_SIM_CLASS_MEMORY_H_
