// SPDX-License-Identifier: Apache-2.0
// What things cost on the simulated machine. Parameters, never laws: results are repeated with all
// of them halved and raised by half before they are believed.
//
// Sources of the defaults: (G) ghOSt, SOSP'21, table 3 (Skylake, 2 x 28 cores, kernel 4.15);
// (H) the same, table 4 and section 4.4, for caches and NUMA; (K) Linux' own defaults; (E) Intel's
// and others' published SMT yields of 1.2 to 1.3 for mixed loads. Where no measurement was found,
// the word is "guess".
#ifndef CORRAL_KERNEL_SIM_COSTS_H_
#define CORRAL_KERNEL_SIM_COSTS_H_

#include "kernel/types.h"

namespace corral::sim {

struct Costs {
  // From the class's submission until the agent's thread is runnable. (G) 725 ns to a local agent,
  // of which the context switch below is a part.
  Duration message{315};
  // The agent's time for each message that it reads. (G) 265 ns to a spinning agent.
  Duration message_read{265};
  // The agent's time for a commit: the call, and each further core of a group. (G) 668 ns for a
  // remote transaction, 3,964 ns for ten.
  Duration commit{668};
  Duration commit_next{366};
  // From a commit, or a kick, until the target schedules. (G) end to end 1,772 ns less the agent's
  // 668 and the switch.
  Duration kick{694};
  // (G) minimal context switch.
  Duration context_switch{410};
  // Refilling caches after a move: to another core, another L3, another node. Guesses, after (H).
  Duration core_migration{2000};
  Duration l3_migration{10000};
  Duration node_migration{30000};
  // The kernel's migration thread moves a task. Guess.
  Duration stopper{2000};
  // A guest's pause loop is left, KVM looks for a vCPU to yield to, and the guest is entered again.
  // Guess, after published 1 to 2 us for an exit that the hypervisor has work with.
  Duration pause_exit{1500};
  // Of a sibling while another one works, in 1/1000 of a core for oneself. (E)
  int smt_speed = 625;
  // Of a thread whose memory is on another node. Guess, after (H).
  int remote_speed = 850;
  // (K) The kernel's own threads come by on each busy CPU (vm statistics), so often and so long.
  Duration kernel_threads_every = std::chrono::seconds(1);
  // (K) CONFIG_HZ=250, as Debian builds it.
  Duration tick = std::chrono::milliseconds(4);
};

// All times by `percent`, and what speed is lost likewise.
inline Costs Scaled(Costs costs, int percent) {
  for (Duration* time :
       {&costs.message, &costs.message_read, &costs.commit, &costs.commit_next, &costs.kick,
        &costs.context_switch, &costs.core_migration, &costs.l3_migration, &costs.node_migration,
        &costs.stopper, &costs.pause_exit}) {
    *time = *time * percent / 100;
  }
  costs.smt_speed = 1000 - (1000 - costs.smt_speed) * percent / 100;
  costs.remote_speed = 1000 - (1000 - costs.remote_speed) * percent / 100;
  return costs;
}

}  // namespace corral::sim

#endif  // CORRAL_KERNEL_SIM_COSTS_H_
