// SPDX-License-Identifier: Apache-2.0
// What processes hint of their threads, as a policy reads it (hint_file.h): for up to
// kMaxProcesses of them.
//
// One thread puts and removes; any other may read meanwhile. A reader makes no system call, takes
// no lock, and never faults: an address keeps its mapping as long as the tables live.
#ifndef CORRAL_AGENT_HINTS_HINT_TABLES_H_
#define CORRAL_AGENT_HINTS_HINT_TABLES_H_

#include <sys/types.h>

#include <array>
#include <atomic>
#include <memory>

#include "absl/status/statusor.h"
#include "agent/hints/hint_file.h"

namespace corral {

enum class Hint : uint8_t {
  kNone,
  kBatch,  // nobody waits for what the thread does
};

class HintTables {
 public:
  static constexpr int kMaxProcesses = 64;

  static absl::StatusOr<std::unique_ptr<HintTables>> Create();
  ~HintTables();
  HintTables(const HintTables&) = delete;

  bool any() const { return used_.load(std::memory_order_relaxed) > 0; }
  // What the process `tgid` says of its thread `tid`.
  Hint Of(pid_t tgid, pid_t tid) const {
    const int used = used_.load(std::memory_order_acquire);
    for (int i = 0; i < used; ++i) {
      if (tgids_[i].load(std::memory_order_relaxed) == tgid) return In(*files_[i], tid);
    }
    return Hint::kNone;
  }

  // The file, of the size of a HintFile and sealed against another one, counts for the process from
  // now on; returns where. A process has one place. ResourceExhausted: there is none left.
  absl::StatusOr<int> Put(pid_t tgid, int fd);
  void Remove(int place);

 private:
  HintTables() = default;

  static Hint In(const HintFile& file, pid_t tid) {
    const uint64_t word =
        file.words[static_cast<uint32_t>(tid) % kHintWords].load(std::memory_order_relaxed);
    return word == HintWord(tid, static_cast<uint32_t>(Hint::kBatch)) ? Hint::kBatch : Hint::kNone;
  }

  void* memory_ = nullptr;
  std::array<const HintFile*, kMaxProcesses> files_{};
  std::array<std::atomic<pid_t>, kMaxProcesses> tgids_{};  // 0: nobody's
  std::atomic<int> used_ = 0;                              // places up to the last in use
};

}  // namespace corral

#endif  // CORRAL_AGENT_HINTS_HINT_TABLES_H_
