// SPDX-License-Identifier: Apache-2.0
// Why one thread lost its CPU, and why it does not run: from what the class's rings still hold, and
// from the state of its core.
#ifndef CORRAL_AGENT_TRACE_THREAD_STORY_H_
#define CORRAL_AGENT_TRACE_THREAD_STORY_H_

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "agent/trace/trace_names.h"
#include "agent/trace/trace_rings.h"

namespace corral {

struct ThreadStory {
  pid_t tid = 0;
  std::string name;
  std::string domain;
  std::string state;        // "runs", "waits" or "sleeps"
  Duration for_so_long{0};  // in that state, as far as the rings go back
  std::string since;        // when that began and what it means: a sentence
  std::string left;         // why it lost its CPU last: a sentence; "": the rings do not reach back
  std::string obstacle;     // of one that waits: what is in its way now; a sentence
  struct Moment {
    Duration ago{0};
    std::string what;
  };
  std::vector<Moment> moments;  // the last ones about it, oldest first
};

// NotFound: the thread is not in the class; says what to do.
absl::StatusOr<ThreadStory> TellStory(const ControlKernel& kernel,
                                      const std::vector<TraceEvent>& events, pid_t tid,
                                      TraceNames& names);

nlohmann::json ToJson(const ThreadStory& story);

}  // namespace corral

#endif  // CORRAL_AGENT_TRACE_THREAD_STORY_H_
