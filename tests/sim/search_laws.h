// SPDX-License-Identifier: Apache-2.0
// Laws of the policy search, judged from outside while a CentralHost runs:
//
//   order      a task does not get a CPU while one waits that could use it and had less runtime;
//              before one that waits for less than `locality` it does if it is of the CPU's L3, or
//              waits for longer than that itself
//   slices     nor does it have one for long that one with less runtime waits for
//   affinity   it does not get one that it may not use
//   placement  it gets none of another L3 before it was parked, unless it may use none of its own;
//              nor ever one of another L3, or of another node, while one of its own idles
//   idle cores (where they come first) it gets no sibling of a busy core while a core idles that it
//              may use, unless it was parked for it; for an idle core it leaves its L3 at once if
//              all that it has there are siblings of busy ones, and its node if no core idles there
//   no waste   no CPU idles beside a task that could use it, and is not parked
//
// Runtime is by weight, and counts since the tasks were made: they are made at the same time, and
// `credit` must be longer than the test. Tests only.
#ifndef CORRAL_TESTS_SIM_SEARCH_LAWS_H_
#define CORRAL_TESTS_SIM_SEARCH_LAWS_H_

#include <map>
#include <string>

#include "tests/sim/central_host.h"

namespace corral {

class SearchJudge final : public sim::SwitchObserver {
 public:
  struct Promises {
    Duration slice;
    Duration park;
    // Beside a host that takes CPUs: what the simulated agent has not seen yet may add up.
    Duration tolerance{0};
    Duration locality{0};
    bool idle_cores = false;
    bool order = true;  // tasks are made at the same time, and keep their weights
  };
  SearchJudge(CentralHost& host, const CentralHost::Options& options, const Promises& promises);

  void Switched(Time now, int cpu, const sim::SimThread* from, const sim::SimThread* to) override;
  // To be called between switches, now and then.
  void Look(Time now);
  // The first law that was broken, and how; "" if none was.
  const std::string& broken() const { return broken_; }
  // How often a task got a CPU of another L3 than its last one, and of the same.
  uint64_t moves() const { return moves_; }
  uint64_t stays() const { return stays_; }

 private:
  struct Stint {
    int cpu = -1;  // that it had last
    Duration had{0};
    bool there = false;  // it is to go on there, behind a thread of the host
    uint64_t barrier = 0;
    Time seen{};  // waiting, for the first time
  };

  bool Starts(const sim::SimThread& task);
  void CheckOrder(Time now, int cpu, const sim::SimThread& task);
  bool MayPass(Time now, int cpu, const sim::SimThread& task);
  void CheckPlace(Time now, int cpu, const sim::SimThread& task);
  void CheckShares(Time now, int cpu, const sim::SimThread& task, Time freed);
  void CheckIdleCore(Time now, int cpu, const sim::SimThread& task);
  bool Nearer(int a, int b, int last) const;
  bool CoreIdle(Time now, int cpu, Duration since) const;
  bool Alone(Time now, int cpu) const;
  void LookAt(Time now, CpuId cpu, const sim::SimThread& waits);
  bool Parked(Time now, int cpu, const sim::SimThread& waits);
  bool MayUseL3(const sim::SimThread& task, int l3) const;
  double Elapsed(const sim::SimThread& task) const;
  int L3Of(int cpu) const { return cpu / cpus_per_l3_; }
  int NodeOf(int cpu) const { return cpu / cpus_per_node_; }
  void Report(Time now, const std::string& what);

  CentralHost& host_;
  const int siblings_;
  const int cpus_per_l3_;
  const int cpus_per_node_;
  const Promises promises_;
  const Duration turn_;    // two events so close may come to the agent in one turn
  const Duration notice_;  // until it has noticed, and decided
  std::map<const sim::SimThread*, Stint> stints_;
  std::map<int, Time> left_;  // by CPU: it became idle, or a thread of the host left it
  std::map<int, Time> came_;  // and somebody came to it when it was idle
  uint64_t moves_ = 0;
  uint64_t stays_ = 0;
  std::string broken_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_SIM_SEARCH_LAWS_H_
