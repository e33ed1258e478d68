// SPDX-License-Identifier: Apache-2.0
// Laws of centralized policies with a queue, judged from outside while a CentralHost runs:
//
//   order       a task does not get a CPU while one of its rank that could use it has waited longer
//   precedence  nor does it have one, for long, that a task of a better rank waits for
//   slices      nor one that another of its rank waits for, beyond its slice
//   no waste    nor does a CPU idle beside a task that could use it
//   no hunger   a task waits no longer than all others of its rank can take together
//
// Tasks lose their turn only by their own doing: one that lost its CPU before its slice was over
// may go first. Tests only.
#ifndef CORRAL_TESTS_SIM_CENTRAL_LAWS_H_
#define CORRAL_TESTS_SIM_CENTRAL_LAWS_H_

#include <map>
#include <string>
#include <vector>

#include "tests/sim/central_host.h"

namespace corral {

struct CentralSetting {
  CentralHost::Options host;
  std::vector<Duration> slices;  // by rank, the best one first
  uint32_t batch_weight = 0;     // tasks of at most this weight are of rank 1
  // What the laws allow for beside a host that takes CPUs: that it came, or went, the simulated
  // agent sees only when it looks around, so that some of its visits add up.
  Duration tolerance{0};
  int tasks = 0;
  uint64_t seed = 0;
  RandomTask::Habits habits;
};

class CentralJudge final : public sim::SwitchObserver {
 public:
  CentralJudge(CentralHost& host, const CentralSetting& setting);

  void Switched(Time now, int cpu, const sim::SimThread* from, const sim::SimThread* to) override;
  // To be called between switches, now and then.
  void Look(Time now);
  // There is a new agent, which cannot know who has waited for how long.
  void Reset(Time now);
  // The first law that was broken, and how; "" if none was.
  const std::string& broken() const { return broken_; }
  int RankOf(const sim::SimThread& task) const;

 private:
  struct Stint {
    Duration had{0};  // CPU time, when it began
    // When it last left a CPU: it is to go on there, behind a thread of the host.
    bool stays = false;
    uint64_t barrier = 0;
    bool early = false;  // it had not had its slice, but wanted it
  };

  Time HeldSince(const sim::SimThread& task) const;
  void Left(const sim::SimThread& task);
  bool Starts(const sim::SimThread& task);
  void CheckOrder(Time now, int cpu, const sim::SimThread& task);
  void LookAt(Time now, CpuId cpu, const sim::SimThread& waits);
  void Report(Time now, const std::string& what);

  CentralHost& host_;
  const std::vector<Duration> slices_;
  const uint32_t batch_weight_;
  const HintTables* const hints_;
  const Duration turn_;    // two events so close may come to the agent in one turn
  const Duration notice_;  // until it has noticed, and decided
  std::map<const sim::SimThread*, Stint> stints_;
  std::map<int, Time> others_left_;  // by CPU: it became idle, or a thread of the host left it
  Time reset_{};
  std::string broken_;
};

struct CentralLaws {
  explicit CentralLaws(const CentralSetting& setting)
      : setting(setting), random(setting.seed), host(setting.host), judge(host, setting) {}

  // In so many trust domains.
  void AddTasks(uint32_t domains = 1);
  // Threads of the host on some of the CPUs, which have them for up to `longest` at a time.
  void AddNoise(Duration longest);
  // Calls `disturb` before each little while.
  void Run(
      int whiles, const std::function<void()>& disturb = [] {});
  // Something to disturb with: some task may use other CPUs from now on.
  void ChangeAffinity();
  // The longest that a task of rank 0 waited, and what it may wait.
  Duration LongestWait();
  Duration Bound() const;

  const CentralSetting setting;
  sim::Random random;
  CentralHost host;
  CentralJudge judge;
};

}  // namespace corral

#endif  // CORRAL_TESTS_SIM_CENTRAL_LAWS_H_
