// SPDX-License-Identifier: Apache-2.0
// The memory that a process shares with the agent of its enclave: a word for each of its threads.
//
// A word names the thread that it is for, so that threads whose ids are the same modulo kHintWords
// lose hints to each other and never get one that is not theirs. The process writes, the agent
// reads, and believes nothing: whatever stands here is a hint for threads of that process only.
#ifndef CORRAL_AGENT_HINTS_HINT_FILE_H_
#define CORRAL_AGENT_HINTS_HINT_FILE_H_

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>

namespace corral {

inline constexpr uint32_t kHintWords = 4096;

struct HintFile {
  std::array<std::atomic<uint64_t>, kHintWords> words;  // at tid % kHintWords
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);

constexpr uint64_t HintWord(pid_t tid, uint32_t hint) {
  return static_cast<uint64_t>(static_cast<uint32_t>(tid)) << 32 | hint;
}

// The agent's answer to whoever connects: this, with the file's descriptor, or text that says why
// not.
inline constexpr char kHintsGranted[] = "hints";

}  // namespace corral

#endif  // CORRAL_AGENT_HINTS_HINT_FILE_H_
