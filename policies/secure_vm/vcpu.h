// SPDX-License-Identifier: Apache-2.0
// A vCPU on its core, as the scheduler of that core sees it.
//
// Plain data of one thread. Units: ns of CPU time that was really had, and for `vtime` ns of a vCPU
// of weight 100.
#ifndef CORRAL_POLICIES_SECURE_VM_VCPU_H_
#define CORRAL_POLICIES_SECURE_VM_VCPU_H_

#include <algorithm>

#include "agent/runtime/list.h"
#include "agent/runtime/task.h"
#include "kernel/types.h"
#include "policies/secure_vm/siblings.h"

namespace corral::secure_vm {

struct Pen;
class GangServer;

struct Vcpu {
  Task* task = nullptr;
  Pen* pen = nullptr;
  Siblings siblings = 0;  // of the core, that it may use
  int sibling = -1;  // where it runs by our decision; -1 when it does not, or is on its way out
  Time since{};      // when its present turn began
  bool promised_turn = false;  // it is for promised time, and over when that is had
  bool resumes = false;        // it was pushed aside within its turn by something that is not ours
  Duration seen{0};            // task->runtime, as far as it is accounted for
  int64_t vtime = 0;           // time had, by weight
  bool woke = false;           // and vtime does not say yet what it may catch up with
  bool slept = false;          // and has not run since it woke up
  bool favoured = false;       // another of its domain yielded to it since it waits

  // Of a vCPU with a promise (gang_server.h).
  GangServer* server = nullptr;
  int home = 0;          // the sibling on which the promise is kept
  Duration budget{0};    // promised per period
  Time promised_from{};  // of the period that this is in, there is a part
  Duration left{0};      // of the budget, in the period that ends at left_end
  Time left_end{};
  bool paused = false;  // it slept, or its cap was used up, in that period

  // Of a vCPU with a cap.
  Duration cap_left{0};
  Time cap_end{};  // when there is a new one

  // What goes with it to another core: a cap is kept wherever it is.
  struct Baggage {
    Gtid gtid{0};  // whose that is
    Duration seen{0};
    Duration cap_left{0};
    Time cap_end{};
  };
  Baggage baggage;

  bool awake = false;      // runnable, and does not visit
  bool visits = false;     // was taken by a core that its domain has not
  bool throttled = false;  // waits in Pen::throttled, for cap_end
  ListHook<Vcpu> waiting;
  ListHook<Vcpu> member;  // of server

  bool may(int i) const { return (siblings & SiblingBit(i)) != 0; }
  bool turn_over(Time now, Duration tenure) const {
    return now >= since + tenure || (promised_turn && !owed());
  }
  int64_t weight() const { return std::max<int64_t>(task->weight, 1); }
  bool capped() const { return task->cap > Duration(0) && task->cap_period > Duration(0); }
  // Its cap lets it run no more in this period.
  bool spent() const { return capped() && cap_left <= Duration(0); }
  bool runnable() const { return sibling >= 0 || (waiting.linked && !throttled); }
  // It waits for, or runs on, time that it was promised.
  bool owed() const { return server != nullptr && left > Duration(0) && runnable() && !spent(); }
};

// The period that `now` is in; periods follow each other from time 0 on.
inline Time PeriodStart(Time now, Duration period) {
  return Time(now.time_since_epoch() / period * period);
}

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_VCPU_H_
