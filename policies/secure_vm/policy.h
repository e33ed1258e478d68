// SPDX-License-Identifier: Apache-2.0
// The secure VM policy: a physical core belongs to one trust domain at a time, and domains take
// turns.
//
// On each core the domains with runnable vCPUs stand in a ring. The one at the front gets the core,
// all siblings of it, for at most the tenure T while others wait, so a domain waits at most (n-1)(T
// + hand-over). A domain that goes idle gives the core up at once; a domain alone keeps it. Within
// a domain vCPUs run in the order in which they became runnable, and where there are more of them
// than siblings they take turns of T as well. Source: SOSP'21 section 4.5 (secure VM core
// scheduling).
//
// Units: ns. Thread rules: as agent/runtime/policy.h says. Later: reservations (EDF), weights,
// caps, moving vCPUs between cores.
#ifndef CORRAL_POLICIES_SECURE_VM_POLICY_H_
#define CORRAL_POLICIES_SECURE_VM_POLICY_H_

#include <array>
#include <memory>
#include <vector>

#include "agent/runtime/list.h"
#include "agent/runtime/policy.h"
#include "agent/runtime/topology.h"
#include "policies/secure_vm/placement.h"

namespace corral::secure_vm {

struct Options {
  // How long a domain keeps a core that others wait for, and a vCPU a sibling that others of its
  // domain wait for.
  Duration tenure = std::chrono::milliseconds(10);
};

struct Pen;

// A vCPU on its core.
struct Vcpu {
  Task* task = nullptr;
  Pen* pen = nullptr;
  int sibling = -1;      // where it runs by our decision; -1 when it does not, or is on its way out
  Time since{};          // when its present turn began
  bool resumes = false;  // it was pushed aside within its turn by something that is not ours
  ListHook<Vcpu> waiting;
};

// A domain on one core.
struct Pen {
  DomainId domain{0};
  int nr_vcpus = 0;
  int nr_running = 0;  // on siblings of this core, by our decision
  List<Vcpu, &Vcpu::waiting> waiting;
  ListHook<Pen> ring;
};

class CoreScheduler final : public CorePolicy {
 public:
  CoreScheduler(const Core& core, const Options& options, PerTask<Vcpu>& vcpus)
      : core_(core), options_(options), vcpus_(vcpus) {}

  void TaskNew(Task& task, Time now) override;
  void TaskWakeup(Task& task, Time now) override;
  void TaskBlocked(Task& task, Time now) override;
  void TaskPreempt(Task& task, Time now) override;
  void TaskYield(Task& task, Time now) override;
  void TaskLatchFailure(Task& task, Time now) override;
  void TaskOnCpu(Task& task, Time now) override;
  void TaskDeparted(Task& task, Time now) override;

  void Schedule(Time now, CoreTransaction& txn) override;
  void Committed(const CoreTransaction& txn, Time now) override;
  Time NextDeadline() const override;
  bool IsQueued(const Task& task) const override;

 private:
  Pen& PenOf(DomainId domain);
  void Enqueue(Vcpu& vcpu, bool front);
  void Dequeue(Vcpu& vcpu);
  void LeaveSibling(Vcpu& vcpu);
  void TakeSibling(Vcpu& vcpu, int sibling, Time now);
  void SetHolder(Pen* pen, Time now);
  void ProposeSwitch(Pen& next, CoreTransaction& txn);
  void ProposeWithin(Time now, CoreTransaction& txn);
  int FirstSibling(const Vcpu& vcpu, const CoreTransaction& txn) const;
  int OldestTurn(const CoreTransaction& txn) const;

  const Core core_;
  const Options options_;
  PerTask<Vcpu>& vcpus_;
  std::vector<std::unique_ptr<Pen>> pens_;
  List<Pen, &Pen::ring> ring_;  // with waiting vCPUs, but without the core
  Pen* holder_ = nullptr;
  Time held_since_{};
  std::array<Vcpu*, GHOST_MAX_SIBLINGS> running_{};
};

class SecureVmPolicy final : public PerCorePolicy {
 public:
  SecureVmPolicy(const Topology& topology, uint32_t nr_slots, const Options& options)
      : topology_(topology), options_(options), placement_(topology), vcpus_(nr_slots) {}

  std::unique_ptr<CorePolicy> MakeCore(int core) override {
    return std::make_unique<CoreScheduler>(topology_.core(core), options_, vcpus_);
  }
  int PlaceTask(const PlacementRequest& task) override { return placement_.Choose(task.domain); }
  void TaskPlaced(const PlacementRequest& task, int core) override {
    placement_.Add(task.domain, core);
  }
  void TaskUnplaced(const PlacementRequest& task, int core) override {
    placement_.Remove(task.domain, core);
  }

 private:
  const Topology topology_;
  const Options options_;
  Placement placement_;
  PerTask<Vcpu> vcpus_;
};

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_POLICY_H_
