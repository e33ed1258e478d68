// SPDX-License-Identifier: Apache-2.0
// The first seconds of an agent that took over from another one: what it must not do meanwhile, or
// the former one's policy and program come back (corral.yaml: switch_trial).
//
// It fails if it lets tasks wait until the class schedules one of its cores without it; and, judged
// at the end, if it took promises back that the former one had given, or missed more than
// kMissed of those that it gave. That it has not died is for whoever waits for it. Reads the
// class's memory only. One thread.
#ifndef CORRAL_AGENT_DAEMON_SWITCH_TRIAL_H_
#define CORRAL_AGENT_DAEMON_SWITCH_TRIAL_H_

#include <map>
#include <string>

#include "agent/daemon/agent_launcher.h"
#include "kernel/fd.h"
#include "kernel/ghost_kernel.h"

namespace corral {

// Who decided before.
struct FormerAgent {
  AgentSpec spec;
  Fd program;  // what spec.program is read from, where the file has been replaced
};

// The promises of an enclave, and what was missed of them.
class GivenPromises {
 public:
  GivenPromises(const ControlKernel& kernel, EnclaveId enclave);

  size_t size() const { return by_gtid_.size(); }
  // So many of these were taken back since, though what was asked for is the same.
  int TakenBack(const ControlKernel& kernel) const;
  // The part of what was promised throughout that was missed since.
  double Missed(const ControlKernel& kernel, Duration elapsed) const;

 private:
  struct Promise {
    uint32_t slot;
    uint64_t budget_ns, period_ns;
    uint64_t missed_ns;  // until then
  };
  std::map<uint64_t, Promise> by_gtid_;
};

class SwitchTrial {
 public:
  static constexpr double kMissed = 0.05;

  // `before`: as they were while the former agent decided. `kernel` must outlive it.
  SwitchTrial(const ControlKernel& kernel, FormerAgent former, GivenPromises before, Time begin,
              Duration length)
      : kernel_(kernel),
        former_(std::move(former)),
        before_(std::move(before)),
        begin_(begin),
        end_(begin + length) {}

  FormerAgent& former() { return former_; }
  bool IsOver(Time now) const { return now >= end_; }
  // Why it has failed, as the end of a sentence about the agent; "": so far it has not.
  std::string Failure(Time now) const;

 private:
  const ControlKernel& kernel_;
  FormerAgent former_;
  GivenPromises before_;
  Time begin_;
  Time end_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_SWITCH_TRIAL_H_
