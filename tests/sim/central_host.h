// SPDX-License-Identifier: Apache-2.0
// A simulated host with one general-purpose enclave (all tasks in one trust domain, unless a test
// says otherwise) and a centralized agent: what the laws of centralized policies are tested on.
//
// A Watcher sees every switch and may ask who waits. Everything follows from the seed. Tests only.
#ifndef CORRAL_TESTS_SIM_CENTRAL_HOST_H_
#define CORRAL_TESTS_SIM_CENTRAL_HOST_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/simulate/agent_process.h"
#include "kernel/sim/core_audit.h"
#include "kernel/sim/random.h"
#include "kernel/sim/sim_kernel.h"

namespace corral {

class CentralHost {
 public:
  struct Options {
    std::string policy = "fifo_centralized";
    std::vector<std::pair<std::string, std::string>> values;  // of the policy's options
    int cores = 4;                                            // of the enclave
    int siblings = 1;
    int foreign = 1;             // cores more, of the host
    int foreign_siblings = 1;    // of each of them
    int foreign_node = 0;        // where they are; 0: as cores_per_node says
    int agent_memory_node = -1;  // AgentProcess::Spec::memory_node
    int cores_per_l3 = 0;        // 0: they share one
    int cores_per_node = 0;      // 0: there is one
    sim::Costs costs;
    const HintTables* hints = nullptr;
    CpuSet housekeeping;
    uint32_t tasks = 1024;
    uint32_t queue_messages = 3640;  // room for them, in each queue
  };
  explicit CentralHost(const Options& options);
  ~CentralHost();

  sim::Machine& machine() { return *machine_; }
  sim::SimControlKernel& control() { return *control_; }
  AgentProcess& agent() { return *agents_.back(); }
  const CpuSet& cpus() const { return cpus_; }

  // A new agent process, in place of one that has ended or is about to.
  void StartAgent();

  // `weight` is what the control plane says of the task; `domain` a number of the test's; `process`
  // the task whose thread it is, or 0: it is a process of its own.
  sim::SimThread& AddTask(std::unique_ptr<sim::Program> program, uint32_t weight = 100,
                          uint32_t domain = 1, pid_t process = 0);
  // For programs: the child is one of tasks() as well.
  sim::SimThread& Fork(sim::SimThread& parent, std::unique_ptr<sim::Program> program);
  void SetAffinity(sim::SimThread& task, const CpuSet& cpus);
  // A thread of the host on that CPU only, asleep.
  sim::SimThread& AddHostThread(CpuId cpu, std::unique_ptr<sim::Program> program);

  const std::vector<sim::SimThread*>& tasks() const { return tasks_; }
  // The class holds it for a decision since that time: it waits, and nobody has decided about it.
  // Time::max() if that is not so. A new affinity counts as a new wait.
  Time HeldSince(const sim::SimThread& task) const;
  // To be called between switches, now and then: whether the task waits, and did not when this was
  // called last, or has been decided about since then.
  bool LookAt(const sim::SimThread& task);
  // Nobody has decided about it since LookAt saw it waiting. It may have had its turn otherwise, on
  // a CPU that others took before it was there.
  bool WaitsAsSeen(const sim::SimThread& task) const;
  // When its affinity was set last.
  Time AffinitySince(const sim::SimThread& task) const;
  const ghost_status_word* WordOf(const sim::SimThread& task) const;
  Duration LongestWait() const;
  uint64_t breaches() const;

 private:
  DomainId DomainOf(uint32_t number);

  const Options options_;
  std::unique_ptr<sim::Machine> machine_;
  std::unique_ptr<sim::SimControlKernel> control_;
  Topology topology_;
  EnclaveId enclave_;
  CpuSet cpus_;
  std::vector<std::unique_ptr<AgentProcess>> agents_;
  std::vector<sim::SimThread*> tasks_;
  std::map<uint32_t, DomainId> domains_;
  std::map<const sim::SimThread*, Time> affinity_set_;
  std::map<const sim::SimThread*, uint64_t> seen_waiting_;  // with that barrier
  mutable std::map<const sim::SimThread*, uint32_t> slots_;
};

// Computes and sleeps by chance, in steps of up to `longest`; now and then it forks or ends, if it
// may.
class RandomTask final : public sim::Program {
 public:
  struct Habits {
    Duration longest = std::chrono::milliseconds(5);
    uint32_t sleeps = 500;  // permille of its steps
    bool forks = false;
  };
  RandomTask(CentralHost& host, const Habits& habits, uint64_t seed)
      : host_(host), habits_(habits), random_(seed) {}
  sim::Step Next(sim::SimThread& self, Time now) override;

 private:
  CentralHost& host_;
  const Habits habits_;
  sim::Random random_;
};

// Computes for ever.
class Endless final : public sim::Program {
  sim::Step Next(sim::SimThread&, Time) override {
    return sim::Step::Run(std::chrono::milliseconds(1));
  }
};

// Of the host: computes for `busy`, sleeps for `idle`, and so on; each by chance up to twice that.
class HostNoise final : public sim::Program {
 public:
  HostNoise(Duration busy, Duration idle, uint64_t seed)
      : busy_(busy), idle_(idle), random_(seed) {}
  sim::Step Next(sim::SimThread&, Time) override {
    runs_ = !runs_;
    return runs_ ? sim::Step::Run(random_.Between(Duration(1000), 2 * busy_))
                 : sim::Step::Sleep(random_.Between(Duration(1000), 2 * idle_));
  }

 private:
  const Duration busy_;
  const Duration idle_;
  sim::Random random_;
  bool runs_ = false;
};

}  // namespace corral

#endif  // CORRAL_TESTS_SIM_CENTRAL_HOST_H_
