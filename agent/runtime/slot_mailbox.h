// SPDX-License-Identifier: Apache-2.0
// "Look at task slot N": how one loop draws another's attention. A bit per slot, so it is never
// full, and posting twice is once.
//
// A post says nothing but the slot; what there is to do follows from the slot's owner and status
// word. Storage is made once. Post() from any thread; TakeAll() by the one loop that owns the
// mailbox. What the poster wrote before Post() is visible in TakeAll().
#ifndef CORRAL_AGENT_RUNTIME_SLOT_MAILBOX_H_
#define CORRAL_AGENT_RUNTIME_SLOT_MAILBOX_H_

#include <atomic>
#include <bit>
#include <cstdint>
#include <vector>

namespace corral {

class SlotMailbox {
 public:
  explicit SlotMailbox(uint32_t nr_slots)
      : words_((nr_slots + 63) / 64), summary_((words_.size() + 63) / 64) {}

  void Post(uint32_t slot) {
    const uint32_t word = slot / 64;
    words_[word].fetch_or(uint64_t{1} << (slot % 64), std::memory_order_release);
    summary_[word / 64].fetch_or(uint64_t{1} << (word % 64), std::memory_order_release);
    any_.store(true, std::memory_order_release);
  }

  bool empty() const { return !any_.load(std::memory_order_acquire); }

  // Calls handle(slot) once for each slot that was posted. `handle` may post; that is for the next
  // TakeAll().
  template <typename F>
  void TakeAll(F&& handle) {
    // From the coarse to the fine: a post that comes in between sets the coarse bit again.
    if (!any_.exchange(false, std::memory_order_acq_rel)) return;
    for (size_t s = 0; s < summary_.size(); ++s) {
      ForEachBit(summary_[s], s, [&](size_t word) {
        ForEachBit(words_[word], word, [&](size_t slot) { handle(static_cast<uint32_t>(slot)); });
      });
    }
  }

 private:
  template <typename F>
  static void ForEachBit(std::atomic<uint64_t>& word, size_t index, F&& f) {
    if (word.load(std::memory_order_relaxed) == 0) return;
    uint64_t bits = word.exchange(0, std::memory_order_acq_rel);
    for (; bits != 0; bits &= bits - 1) f(index * 64 + std::countr_zero(bits));
  }

  std::vector<std::atomic<uint64_t>> words_;
  std::vector<std::atomic<uint64_t>> summary_;
  std::atomic<bool> any_{false};
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_SLOT_MAILBOX_H_
