// SPDX-License-Identifier: Apache-2.0
// The agents of an enclave, one for each of its cores, as whoever owns their threads sees them.
//
// Thread rules: Enter, Run and Leave of a core by that core's own thread, in this order; the rest
// by any thread, Totals() once the threads have ended.
#ifndef CORRAL_AGENT_RUNTIME_AGENTS_H_
#define CORRAL_AGENT_RUNTIME_AGENTS_H_

#include <atomic>

#include "absl/status/status.h"
#include "agent/runtime/counters.h"

namespace corral {

class Agents {
 public:
  virtual ~Agents() = default;

  virtual int nr_cores() const = 0;
  // The calling thread becomes the agent of the core. Fails while another one is.
  virtual absl::Status Enter(int core) = 0;
  virtual absl::Status Leave(int core) = 0;
  // Serves the core until `stop` is set (then Wake it), or it is lost: then the status says why.
  virtual absl::Status Run(int core, const std::atomic<bool>& stop) = 0;
  virtual void Wake(int core) = 0;
  // The lead's loop has taken in what was there. Who enters before that waits for it, and so do the
  // tasks of that core.
  virtual bool HasBegun() const = 0;
  virtual LoopCounters Totals() const = 0;
};

}  // namespace corral

#endif  // CORRAL_AGENT_RUNTIME_AGENTS_H_
