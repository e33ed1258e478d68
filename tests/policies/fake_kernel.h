// SPDX-License-Identifier: Apache-2.0
// A class in memory for tests of the runtime and of policies: one thread, a clock that the test
// moves, and faults on demand.
//
// It keeps to the rules of kernel/ghost_kernel.h that an agent can observe: barriers, status words,
// queues with room for few messages, transactions latched for a whole core or not at all, and a
// gate that lets one domain on a core. Decisions are carried out when the test says so (CarryOut),
// so everything in between can be tested. Tests only.
#ifndef CORRAL_TESTS_POLICIES_FAKE_KERNEL_H_
#define CORRAL_TESTS_POLICIES_FAKE_KERNEL_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "agent/runtime/topology.h"
#include "kernel/ghost_kernel.h"

namespace corral::testing {

class FakeKernel final : public AgentKernel {
 public:
  struct Options {
    uint32_t slots = 128;
    size_t queue_room = 56;  // messages, as in the real class's ring buffers
  };
  static constexpr EnclaveId kEnclave{1};

  FakeKernel(const Topology& topology, const Options& options);

  // ---- AgentKernel ----
  Time Now() const override { return now_; }
  const ghost_class_info& info() const override { return info_; }
  const ghost_enclave& enclave() const override { return enclave_; }
  EnclaveId enclave_id() const override { return kEnclave; }
  absl::Span<const ghost_core_state> cores() const override { return cores_; }
  absl::Span<const ghost_cpu_config> cpus() const override { return cpus_; }
  absl::Span<const ghost_cpu_state> cpu_states() const override { return cpu_states_; }
  absl::Span<const ghost_status_word> status_words() const override { return words_; }
  absl::Span<const ghost_affinity> affinities() const override { return affinities_; }
  absl::Status EnterAgent(CoreId core) override;
  absl::Status LeaveAgent(CoreId core) override;
  absl::Status Commit(ghost_commit& commit) override;
  absl::StatusOr<Association> Associate(Gtid task, uint64_t barrier, QueueId queue) override;
  absl::Status ArmTimer(CpuId, Time, uint64_t) override {
    return absl::UnimplementedError("the loops under test arm no timers of the class");
  }
  absl::Status Grant(Gtid task, const Verdict& verdict) override;
  absl::Status Account(Gtid task, const ghost_waits& waits) override;
  absl::Status OfferTask(Gtid task, Offer offer) override;
  absl::StatusOr<std::unique_ptr<MessageQueue>> OpenQueue(QueueId queue) override;

  // ---- the world ----
  void SetTime(Time now) { now_ = now; }
  // Another agent has the core, and leaves it just after the next one was refused because of it.
  void OccupyUntilRefusal(CoreId core) {
    cores_[core.value()].agent_tid = 99;
    leaves_at_refusal_.insert(core.value());
  }
  // A thread enters the class; TASK_NEW is sent. `slot` reuses a slot that is free.
  Gtid Attach(uint32_t domain, bool runnable, int slot = -1);
  void Wake(Gtid task);
  void Block(Gtid task);  // from wherever it is
  void Yield(Gtid task);
  // As KVM asks for it. False if nothing could be done. What the class does beside it, and on cores
  // that are not both tasks', this one leaves to agents.
  bool YieldTo(Gtid from, Gtid to);
  void Die(Gtid task, uint32_t message = GHOST_MSG_TASK_DEAD);
  void ChangeDomain(Gtid task, uint32_t domain);
  // It leaves its CPU for that, as in the real class.
  void SetAffinity(Gtid task, const CpuSet& cpus);
  void Ask(Gtid task, Duration budget, Duration period);
  // Something of the host takes the CPU for a moment.
  void HostTakes(CpuId cpu);
  // The CPU goes away, or is back.
  void SetOffline(CpuId cpu, bool offline);
  // The class runs a task by itself, without a message, as it does without an agent and when it
  // rescues. False if the task does not wait or the gate does not let it in.
  bool ClassRuns(Gtid task, CpuId cpu);
  // Carries out what is latched on the core, as far as the gate allows.
  void CarryOut(CoreId core);
  bool HasLatch(CoreId core) const;
  void SendCoreRescued(CoreId core);

  // ---- faults ----
  // The next commit that runs a task fails with this state at its first task.
  void FailNextCommit(uint32_t state) { fail_states_.push_back(state); }
  void FailNextCall(absl::Status status) { fail_calls_.push_back(std::move(status)); }
  void RefuseCpu(Gtid task, bool refuse);  // latches of it fail
  // It was preempted where migration is disabled: until it has run, no other CPU than this can take
  // it.
  void Tie(Gtid task, CpuId cpu) { tied_[task.value()] = cpu; }
  std::function<void(Gtid)> before_associate;
  std::function<void(Gtid)> after_associate;
  bool lose_messages = false;  // silently: no overflow is counted
  void ForgetQueues();         // all messages that wait are gone, counted as overflow

  // ---- what is to be seen ----
  Gtid Running(CpuId cpu) const { return current_.at(cpu.value()); }
  const ghost_waits& waits(Gtid task) const { return waits_[GHOST_GTID_SLOT(task.value())]; }
  bool IsHeld(Gtid task) const;
  bool IsRunning(Gtid task) const;
  const ghost_status_word& word(Gtid task) const { return words_[GHOST_GTID_SLOT(task.value())]; }
  bool HasMessages(QueueId queue) const;
  bool TakeWakeup(QueueId queue);
  std::vector<Gtid> Tasks() const;
  uint64_t commits() const { return commits_; }
  uint64_t invalid_targets() const {
    return invalid_targets_;
  }  // two domains on one core were asked for
  const ghost_commit& last_commit() const { return last_commit_; }

 private:
  friend class FakeQueue;
  enum class State { kNone, kBlocked, kHeld, kLatched, kRunq };
  struct FakeTask {
    State state = State::kNone;
    uint64_t barrier = 0;
    uint32_t incarnation = 0;
    int cpu = -1;
  };
  struct QueueData {
    std::deque<ghost_msg> messages;
    uint64_t overflows = 0;
    bool wakeup = false;
  };

  FakeTask& task(Gtid gtid) { return tasks_[GHOST_GTID_SLOT(gtid.value())]; }
  const FakeTask& task(Gtid gtid) const { return tasks_[GHOST_GTID_SLOT(gtid.value())]; }
  bool Exists(Gtid gtid) const;
  void Publish(Gtid gtid);
  void Move(Gtid gtid, State state, uint32_t message, uint32_t flags = 0);
  void Post(Gtid gtid, uint32_t message, uint32_t flags, uint64_t arg = 0);
  // Both in the CPU's state as well.
  void SetCurrent(int cpu, Gtid gtid);
  void SetLatch(int cpu, uint64_t latch);
  void LeaveCpu(Gtid gtid);
  uint32_t TargetState(uint64_t target, uint64_t barrier) const;
  uint32_t Validate(ghost_core_txn& txn);
  uint32_t KeptDomain(int cpu) const;
  bool MayUse(Gtid gtid, int cpu) const;
  void WriteAffinity(uint32_t slot, const CpuSet& cpus);
  bool GateOpen(const ghost_core_state& core, int cpu, uint32_t domain) const;
  void Replace(int cpu, uint64_t latch);
  void RunOn(Gtid gtid, int cpu);

  Time now_{};
  Options options_;
  ghost_class_info info_{};
  ghost_enclave enclave_{};
  std::vector<ghost_core_state> cores_;
  std::set<uint32_t> leaves_at_refusal_;
  std::vector<ghost_cpu_config> cpus_;
  std::vector<ghost_cpu_state> cpu_states_;
  std::vector<ghost_status_word> words_;
  std::vector<ghost_affinity> affinities_;
  std::vector<ghost_waits> waits_;
  std::vector<FakeTask> tasks_;
  std::map<uint32_t, QueueData> queues_;
  std::map<int, Gtid> current_;    // by CPU; Gtid(0) is nobody
  std::map<int, uint64_t> latch_;  // by CPU: gtid, GHOST_TARGET_IDLE or 0
  std::set<uint32_t> agents_;
  std::set<uint64_t> refused_;
  std::map<uint64_t, CpuId> tied_;
  std::deque<uint32_t> fail_states_;
  std::deque<absl::Status> fail_calls_;
  ghost_commit last_commit_{};
  uint64_t commits_ = 0;
  uint64_t invalid_targets_ = 0;
};

}  // namespace corral::testing

#endif  // CORRAL_TESTS_POLICIES_FAKE_KERNEL_H_
