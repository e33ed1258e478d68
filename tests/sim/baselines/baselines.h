// SPDX-License-Identifier: Apache-2.0
// Five reference schedulers to compare policies with. Test-only, over a small machine of their own
// (world.h): they share no code with the policies, the agent or the class, so that a mistake there
// is not made here as well.
//
// What each one is good for:
//   FairPerCpu          what a host does without Corral. The price of isolation is measured against
//                       its throughput, and its cross-domain time is what isolation removes.
//   NonPreemptivePool   what short requests suffer behind long ones when nobody preempts: the upper
//                       end of tail latency, and the best throughput that a FIFO can have.
//   IdealPreemptive     a lower bound on the latency of what is short: no agent that pays for
//                       messages and switches gets below it. The longest requests pay for the short
//                       ones, so that its p99.9 may be above a FIFO's. Knows nothing of domains.
//   IdealCoreScheduler  the bound for a secure policy: isolation with decisions that are free and
//                       instantaneous. What a policy loses against it is its own cost; what this
//                       one loses against the others is the cost of isolation itself.
//   MicroQuanta         what Google's packet workers had before ghOSt: at once before all others,
//   but
//                       not for all of the time. Its tail latency is what the policy snap is for.
//
// Affinities to a node and L3s only FairPerCpu knows. All are deterministic. Units: ns. Not
// thread-safe.
// Sources: MicroQuanta, Snap (SOSP'19) section 2.4 and ghOSt (SOSP'21) section 4.3, by description,
// as the class was never published; FairPerCpu, kernel/sched/fair.c of Linux 5.5 to 5.15
// (CFS) by behaviour, with its defaults for 8 CPUs and more; IdealPreemptive, Kleinrock, Queueing
// Systems II, 4.4 (processor sharing) and Schrage 1968 (shortest remaining time).
#ifndef CORRAL_TESTS_SIM_BASELINES_BASELINES_H_
#define CORRAL_TESTS_SIM_BASELINES_BASELINES_H_

#include <memory>

#include "kernel/sim/costs.h"
#include "kernel/types.h"
#include "tests/sim/baselines/world.h"

namespace corral::baselines {

// Each CPU runs the thread with the least weighted virtual runtime, and a thread that waits has its
// turn after a slice. A thread has its domain's weight; otherwise domains are ignored.
struct FairOptions {
  enum class Balancing : uint8_t {
    // A thread that wakes goes to an idle CPU if there is one anywhere, or else to where it was; a
    // CPU that runs dry takes from the fullest; weights are evened out, and siblings relieved,
    // every few ms. Kinder than any kernel: what FairPerCpu cannot do is then not balancing's
    // fault.
    kAtOnce,
    // As Linux does, in scheduling domains (fair_domains.cc).
    kDomains,
  };
  Balancing balancing = Balancing::kAtOnce;
  // sysctl_sched_min_granularity and _latency, 0.75 and 6 ms times 1 + log2(CPUs, of which 8
  // count): each of n that share a CPU has a slice of latency / n, but not less than the other.
  Duration min_granularity = std::chrono::milliseconds(3);
  Duration latency = std::chrono::milliseconds(24);
  // How far behind a thread has to be to preempt at its wakeup (sysctl_sched_wakeup_granularity),
  // and how much sleep is credited (GENTLE_FAIR_SLEEPERS: half of the latency).
  Duration wakeup_granularity = std::chrono::milliseconds(4);
  Duration sleeper_credit = std::chrono::milliseconds(12);
  // When the end of a slice, and a domain's turn to be balanced, is noticed.
  Duration tick = sim::Costs().tick;
  Duration balance_every = std::chrono::milliseconds(4);  // of kAtOnce
  // Of kDomains: sysctl_sched_migration_cost. Who ran so shortly ago is cache hot. A CPU whose idle
  // times are shorter than newidle_threshold in the mean takes nothing from others when it runs dry
  // (newidle_balance, up to 5.15; since then it does where a scan takes less, nearly always).
  Duration migration_cost = std::chrono::microseconds(500);
  Duration newidle_threshold = std::chrono::microseconds(500);
  Duration context_switch = sim::Costs().context_switch;
  Duration core_migration = sim::Costs().core_migration;
  Duration l3_migration = sim::Costs().l3_migration;
  Duration node_migration = sim::Costs().node_migration;
};
std::unique_ptr<Scheduler> FairPerCpu(const FairOptions& options = {});

// One FIFO queue for all CPUs; a run or a request ends before the next one begins. A CPU-bound
// thread never gives its CPU back.
struct PoolOptions {
  Duration context_switch = sim::Costs().context_switch;
};
std::unique_ptr<Scheduler> NonPreemptivePool(const PoolOptions& options = {});

// One queue for all CPUs; switches and moves are free, unless they are to cost something. Threads
// are spread over cores before siblings share one. Weights are ignored.
struct IdealOptions {
  enum class Order : uint8_t {
    kProcessorSharing,   // in turns of a quantum; a newcomer gets in line
    kShortestRemaining,  // knows what is left to do; those with the same left take turns
  };
  Duration quantum = std::chrono::microseconds(5);
  Order order = Order::kProcessorSharing;
  Duration switch_cost{0};  // of a CPU to another thread
  // Until a CPU that has nothing to do hears of a thread, besides; where one takes another's place,
  // that one goes on meanwhile.
  Duration decision_cost{0};
};
std::unique_ptr<Scheduler> IdealPreemptive(const IdealOptions& options = {});

// A core has one domain at a time: that with the least weighted core time among those which wait,
// whose threads fill the siblings in turns. A core that others wait for is given up at the end of a
// tenure, unless its domain is still the one with the least; an empty one at once.
struct CoreOptions {
  Duration tenure = std::chrono::milliseconds(3);
  // Of a CPU to another thread.
  Duration switch_cost = sim::Costs().context_switch;
};
std::unique_ptr<Scheduler> IdealCoreScheduler(const CoreOptions& options = {});

// A worker has a CPU at once, that of a batch thread if there must be: the one that it ran on last
// if no worker has it, or else an idle one. But of each period, which begins when it first runs
// after the one before, it has at most the quota: then it is blacked out until the period is over,
// and batch threads have the CPU. It is not moved for that. Batch threads take turns on each CPU
// by their CPU time; one that runs dry takes from where most wait.
//
// Left out: CPUs that are near or far, the balancing of batch threads among CPUs that have some,
// weights, and the time that the timers of periods take. Where more workers than CPUs want to run,
// they wait in one line for all CPUs, to the end of a run or of a quota.
struct MicroQuantaOptions {
  Duration period = std::chrono::milliseconds(1);
  Duration quota = std::chrono::microseconds(900);
  int64_t batch_weight = 50;  // threads of at most this weight are batch threads, others workers
  Duration batch_slice = std::chrono::milliseconds(3);
  Duration context_switch = sim::Costs().context_switch;
  Duration core_migration = sim::Costs().core_migration;
  // From a wakeup until the CPU schedules: an interrupt, if whoever wakes the worker is elsewhere.
  // Guess.
  Duration wakeup = sim::Costs().kick;
};
std::unique_ptr<Scheduler> MicroQuanta(const MicroQuantaOptions& options = {});

}  // namespace corral::baselines

#endif  // CORRAL_TESTS_SIM_BASELINES_BASELINES_H_
