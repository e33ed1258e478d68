// SPDX-License-Identifier: Apache-2.0
#include "tests/policies/fake_kernel.h"

#include <utility>

namespace corral::testing {

class FakeQueue final : public MessageQueue {
 public:
  explicit FakeQueue(FakeKernel::QueueData& data) : data_(data) {}
  int Drain(absl::FunctionRef<void(const ghost_msg&)> handle) override {
    int count = 0;
    for (; !data_.messages.empty(); ++count) {
      const ghost_msg message = data_.messages.front();
      data_.messages.pop_front();
      handle(message);
    }
    return count;
  }
  uint64_t overflows() const override { return data_.overflows; }
  void Wait(Time) override {}
  void Wake() override { data_.wakeup = true; }

 private:
  FakeKernel::QueueData& data_;
};

FakeKernel::FakeKernel(const Topology& topology, const Options& options)
    : options_(options),
      words_(options.slots),
      affinities_(options.slots),
      waits_(options.slots),
      tasks_(options.slots) {
  info_.abi_version = GHOST_ABI_VERSION;
  info_.nr_slots = options.slots;
  info_.nr_cores = static_cast<uint32_t>(topology.nr_cores());
  info_.nr_cpus = static_cast<uint32_t>(topology.cpus().size());
  info_.enabled = 1;
  enclave_.in_use = 1;
  enclave_.default_queue = 100;
  cpus_.resize(CpuSet::kMaxCpus);
  cpu_states_.resize(CpuSet::kMaxCpus);
  for (int c = 0; c < topology.nr_cores(); ++c) {
    const Core& core = topology.core(c);
    ghost_core_state state{};
    state.enclave = kEnclave.value();
    state.queue = 100 + static_cast<uint32_t>(c);
    state.nr_cpus = static_cast<uint32_t>(core.nr_cpus);
    for (int i = 0; i < core.nr_cpus; ++i) {
      const int cpu = core.cpu[i].value();
      state.cpus[i] = cpu;
      cpus_[cpu] = {.core = static_cast<uint32_t>(c),
                    .sibling = static_cast<uint32_t>(i),
                    .present = 1,
                    .node = static_cast<uint32_t>(core.node)};
      SetCurrent(cpu, Gtid(0));
      SetLatch(cpu, 0);
    }
    cores_.push_back(state);
    queues_[state.queue];
  }
}

// ---- AgentKernel ----

absl::Status FakeKernel::EnterAgent(CoreId core) {
  if (leaves_at_refusal_.erase(core.value()) > 0) {
    cores_[core.value()].agent_tid = 0;
    return absl::FailedPreconditionError("it is in use");
  }
  agents_.insert(core.value());
  cores_[core.value()].agent_tid = 1;
  return absl::OkStatus();
}

absl::Status FakeKernel::LeaveAgent(CoreId core) {
  agents_.erase(core.value());
  cores_[core.value()].agent_tid = 0;
  for (int i = 0; i < static_cast<int>(cores_[core.value()].nr_cpus); ++i) {
    Replace(cores_[core.value()].cpus[i], 0);
  }
  return absl::OkStatus();
}

uint32_t FakeKernel::TargetState(uint64_t target, uint64_t barrier) const {
  if (!Exists(Gtid(target))) return GHOST_TXN_TARGET_NOT_FOUND;
  const FakeTask& t = task(Gtid(target));
  if (t.barrier != barrier) return GHOST_TXN_TARGET_STALE;
  if (t.state == State::kRunq || t.state == State::kLatched) return GHOST_TXN_TARGET_ONCPU;
  return t.state == State::kHeld ? GHOST_TXN_COMPLETE : GHOST_TXN_TARGET_NOT_RUNNABLE;
}

uint32_t FakeKernel::KeptDomain(int cpu) const {
  const uint64_t latch = latch_.at(cpu);
  if (latch == GHOST_TARGET_IDLE) return 0;
  const Gtid holder = latch != 0 ? Gtid(latch) : current_.at(cpu);
  return holder.value() == 0 ? 0 : word(holder).domain;
}

uint32_t FakeKernel::Validate(ghost_core_txn& txn) {
  const ghost_core_state& core = cores_[txn.core];
  uint32_t domain = 0;
  uint32_t bad = 0;
  for (uint32_t i = 0; i < core.nr_cpus; ++i) {
    ghost_txn_sibling& s = txn.sibling[i];
    s.state = GHOST_TXN_READY;
    uint32_t d = 0;
    if (s.target == GHOST_TARGET_KEEP) {
      d = KeptDomain(core.cpus[i]);
    } else if (s.target != GHOST_TARGET_IDLE) {
      uint32_t state = TargetState(s.target, s.barrier);
      if (!fail_states_.empty()) {
        state = fail_states_.front();
        fail_states_.pop_front();
      }
      if (state == GHOST_TXN_COMPLETE && cpu_states_[core.cpus[i]].offline != 0)
        state = GHOST_TXN_CPU_OFFLINE;
      if (state != GHOST_TXN_COMPLETE) {
        s.state = state;
        bad = bad != 0 ? bad : state;
        continue;
      }
      d = word(Gtid(s.target)).domain;
    }
    if (d != 0 && domain != 0 && d != domain) {
      s.state = bad = GHOST_TXN_INVALID_TARGET;
      ++invalid_targets_;
    }
    if (d != 0) domain = d;
  }
  return bad;
}

void FakeKernel::Replace(int cpu, uint64_t latch) {
  const uint64_t old = latch_[cpu];
  SetLatch(cpu, latch);
  if (old == 0 || old == GHOST_TARGET_IDLE) return;
  if (Exists(Gtid(old)) && task(Gtid(old)).state == State::kLatched) {
    Move(Gtid(old), State::kHeld, GHOST_MSG_TASK_PREEMPT, GHOST_MSG_F_WAS_LATCHED);
  }
}

absl::Status FakeKernel::Commit(ghost_commit& commit) {
  if (!fail_calls_.empty()) {
    const absl::Status status = fail_calls_.front();
    fail_calls_.pop_front();
    return status;
  }
  for (uint32_t n = 0; n < commit.nr; ++n) {
    ghost_core_txn& txn = commit.txn[n];
    const ghost_core_state& core = cores_[txn.core];
    uint32_t bad = GHOST_TXN_NO_AGENT;
    if (agents_.count(txn.core) != 0) bad = Validate(txn);
    txn.state = GHOST_TXN_COMPLETE;
    if (bad != 0) txn.state = bad;
    commit.completed += bad == 0;
    commits_ += bad == 0;
    for (uint32_t i = 0; i < core.nr_cpus; ++i) {
      ghost_txn_sibling& s = txn.sibling[i];
      if (s.state == GHOST_TXN_READY) s.state = bad != 0 ? GHOST_TXN_POISONED : GHOST_TXN_COMPLETE;
      if (bad != 0 || s.target == GHOST_TARGET_KEEP) continue;
      if (s.target != GHOST_TARGET_IDLE) {
        task(Gtid(s.target)).state = State::kLatched;
        Publish(Gtid(s.target));
      }
      Replace(core.cpus[i], s.target);
    }
  }
  last_commit_ = commit;
  return absl::OkStatus();
}

absl::StatusOr<Association> FakeKernel::Associate(Gtid gtid, uint64_t barrier, QueueId queue) {
  if (before_associate) before_associate(gtid);
  if (!Exists(gtid)) return absl::NotFoundError("gone");
  if (task(gtid).barrier != barrier) return absl::AbortedError("stale");
  __u32& now = words_[GHOST_GTID_SLOT(gtid.value())].queue;
  const Association before = {.already = now == queue.value(),
                              .brand_new = now == GHOST_QUEUE_DEFAULT};
  now = queue.value();
  if (after_associate) after_associate(gtid);
  return before;
}

absl::Status FakeKernel::Grant(Gtid gtid, const Verdict& verdict) {
  if (!Exists(gtid)) return absl::NotFoundError("gone");
  ghost_status_word& w = words_[GHOST_GTID_SLOT(gtid.value())];
  w.granted_ns = static_cast<uint64_t>(verdict.granted.count());
  w.free_ns = static_cast<uint64_t>(verdict.free.count());
  w.place = verdict.place.value();
  return absl::OkStatus();
}

absl::Status FakeKernel::Account(Gtid gtid, const ghost_waits& waits) {
  if (!Exists(gtid)) return absl::NotFoundError("gone");
  ghost_waits& sum = waits_[GHOST_GTID_SLOT(gtid.value())];
  for (int i = 0; i < GHOST_NR_WAITS; ++i) sum.ns[i] += waits.ns[i];
  return absl::OkStatus();
}

absl::Status FakeKernel::OfferTask(Gtid gtid, Offer offer) {
  if (!Exists(gtid)) return absl::NotFoundError("gone");
  words_[GHOST_GTID_SLOT(gtid.value())].offer = static_cast<uint32_t>(offer);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<MessageQueue>> FakeKernel::OpenQueue(QueueId queue) {
  const auto it = queues_.find(queue.value());
  if (it == queues_.end()) return absl::NotFoundError("no such queue");
  return std::make_unique<FakeQueue>(it->second);
}

// ---- the world ----

bool FakeKernel::Exists(Gtid gtid) const {
  const uint32_t slot = GHOST_GTID_SLOT(gtid.value());
  return gtid.value() != 0 && slot < words_.size() && words_[slot].gtid == gtid.value();
}

void FakeKernel::Publish(Gtid gtid) {
  const FakeTask& t = task(gtid);
  ghost_status_word& w = words_[GHOST_GTID_SLOT(gtid.value())];
  uint32_t flags = (w.flags & GHOST_SW_ANNOUNCED) | GHOST_SW_INUSE;
  if (t.state == State::kHeld) flags |= GHOST_SW_RUNNABLE;
  if (t.state == State::kLatched) flags |= GHOST_SW_RUNNABLE | GHOST_SW_LATCHED;
  if (t.state == State::kRunq) flags |= GHOST_SW_RUNNABLE | GHOST_SW_ONCPU;
  w.flags = t.state == State::kNone ? 0 : flags;
  w.barrier = t.barrier;
}

void FakeKernel::Post(Gtid gtid, uint32_t message, uint32_t flags, uint64_t arg) {
  const ghost_status_word& w = word(gtid);
  if (lose_messages) return;
  const uint32_t id = w.queue == GHOST_QUEUE_DEFAULT ? enclave_.default_queue : w.queue;
  QueueData& queue = queues_[id];
  if (queue.messages.size() >= options_.queue_room) {
    ++queue.overflows;
    return;
  }
  queue.messages.push_back({.type = message,
                            .flags = flags,
                            .gtid = gtid.value(),
                            .barrier = task(gtid).barrier,
                            .time_ns = static_cast<uint64_t>(now_.time_since_epoch().count()),
                            .runtime_ns = w.runtime_ns,
                            .cpu = w.cpu,
                            .domain = w.domain,
                            .tid = w.tid,
                            .arg = arg});
}

void FakeKernel::SetCurrent(int cpu, Gtid gtid) {
  current_[cpu] = gtid;
  const uint32_t claim = gtid.value() == 0 ? 0 : GHOST_GTID_SLOT(gtid.value()) + 1;
  __atomic_store_n(&cpu_states_[cpu].claim, claim, __ATOMIC_RELAXED);
}

void FakeKernel::SetLatch(int cpu, uint64_t latch) {
  latch_[cpu] = latch;
  __atomic_store_n(&cpu_states_[cpu].latch, latch, __ATOMIC_RELAXED);
}

void FakeKernel::LeaveCpu(Gtid gtid) {
  FakeTask& t = task(gtid);
  if (t.state == State::kRunq) {
    SetCurrent(t.cpu, Gtid(0));
    ghost_status_word& w = words_[GHOST_GTID_SLOT(gtid.value())];
    const auto now = static_cast<uint64_t>(now_.time_since_epoch().count());
    w.runtime_ns += now - w.switch_time_ns;
    w.switch_time_ns = now;
    w.on_since_ns = 0;
  }
  for (const auto& [cpu, latch] : latch_) {
    if (latch == gtid.value()) SetLatch(cpu, 0);
  }
}

void FakeKernel::Move(Gtid gtid, State state, uint32_t message, uint32_t flags) {
  LeaveCpu(gtid);
  FakeTask& t = task(gtid);
  t.state = state;
  ++t.barrier;
  Publish(gtid);
  Post(gtid, message, flags);
}

Gtid FakeKernel::Attach(uint32_t domain, bool runnable, int slot) {
  for (slot = slot < 0 ? 0 : slot; words_[slot].gtid != 0; ++slot) {
  }
  FakeTask& t = tasks_[slot];
  const Gtid gtid(GHOST_GTID(slot, ++t.incarnation));
  words_[slot] = {.gtid = gtid.value(),
                  .flags = GHOST_SW_ANNOUNCED,
                  .cpu = cores_[0].cpus[0],
                  .tid = 1000u + static_cast<uint32_t>(slot),
                  .domain = domain,
                  .enclave = kEnclave.value(),
                  .queue = GHOST_QUEUE_DEFAULT,
                  .weight = 100,
                  .priority = 100,
                  .place = GHOST_NO_CORE};
  WriteAffinity(static_cast<uint32_t>(slot), CpuSet::All());
  t.barrier = 0;
  Move(gtid, runnable ? State::kHeld : State::kBlocked, GHOST_MSG_TASK_NEW,
       runnable ? GHOST_MSG_F_RUNNABLE : 0);
  return gtid;
}

void FakeKernel::Wake(Gtid gtid) {
  if (task(gtid).state == State::kBlocked) Move(gtid, State::kHeld, GHOST_MSG_TASK_WAKEUP);
}

void FakeKernel::Block(Gtid gtid) {
  if (task(gtid).state != State::kBlocked) Move(gtid, State::kBlocked, GHOST_MSG_TASK_BLOCKED);
}

void FakeKernel::Yield(Gtid gtid) {
  if (task(gtid).state == State::kRunq) Move(gtid, State::kHeld, GHOST_MSG_TASK_YIELD);
}

bool FakeKernel::YieldTo(Gtid from, Gtid to) {
  if (!IsRunning(from) || !IsHeld(to) || word(from).domain != word(to).domain) return false;
  const int cpu = task(from).cpu;
  const ghost_core_state& core = cores_[cpus_[cpu].core];
  if (latch_[cpu] != 0) return false;
  if (word(from).queue != core.queue || word(to).queue != core.queue || !MayUse(to, cpu)) {
    queues_[word(to).queue].messages.push_back(
        {.type = GHOST_MSG_CORE_YIELDED_TO, .arg = to.value()});
    return true;
  }
  const bool offered = word(from).offer != 0 && word(to).offer != 0;
  LeaveCpu(from);
  if (offered) {
    ++task(to).barrier;
    RunOn(to, cpu);
    Post(to, GHOST_MSG_TASK_ON_CPU, GHOST_MSG_F_OFFERED);
  }
  task(from).state = State::kHeld;
  ++task(from).barrier;
  Publish(from);
  Post(from, GHOST_MSG_TASK_YIELD, offered ? GHOST_MSG_F_OFFERED : 0, to.value());
  return true;
}

void FakeKernel::Die(Gtid gtid, uint32_t message) {
  Move(gtid, State::kNone, message);
  words_[GHOST_GTID_SLOT(gtid.value())].gtid = 0;
}

void FakeKernel::ChangeDomain(Gtid gtid, uint32_t domain) {
  FakeTask& t = task(gtid);
  words_[GHOST_GTID_SLOT(gtid.value())].domain = domain;
  ++t.barrier;
  Publish(gtid);
  Post(gtid, GHOST_MSG_TASK_ATTRIBUTES_CHANGED, 0);
}

void FakeKernel::WriteAffinity(uint32_t slot, const CpuSet& cpus) {
  for (__u64& word : affinities_[slot].cpus) __atomic_store_n(&word, 0, __ATOMIC_RELAXED);
  cpus.ForEach([&](CpuId cpu) {
    __u64& word = affinities_[slot].cpus[cpu.value() / 64];
    __atomic_store_n(&word, word | __u64{1} << (cpu.value() % 64), __ATOMIC_RELAXED);
  });
}

void FakeKernel::SetAffinity(Gtid gtid, const CpuSet& cpus) {
  WriteAffinity(GHOST_GTID_SLOT(gtid.value()), cpus);
  ++task(gtid).barrier;
  Publish(gtid);
  Post(gtid, GHOST_MSG_TASK_AFFINITY_CHANGED, 0);
  const State state = task(gtid).state;
  if (state == State::kRunq) Move(gtid, State::kHeld, GHOST_MSG_TASK_PREEMPT);
  if (state == State::kLatched)
    Move(gtid, State::kHeld, GHOST_MSG_TASK_PREEMPT, GHOST_MSG_F_WAS_LATCHED);
}

bool FakeKernel::MayUse(Gtid gtid, int cpu) const {
  if (const auto tied = tied_.find(gtid.value()); tied != tied_.end())
    return tied->second == CpuId(cpu);
  const ghost_affinity& affinity = affinities_[GHOST_GTID_SLOT(gtid.value())];
  return (affinity.cpus[cpu / 64] >> (cpu % 64)) & 1;
}

void FakeKernel::Ask(Gtid gtid, Duration budget, Duration period) {
  ghost_status_word& word = words_[GHOST_GTID_SLOT(gtid.value())];
  const auto budget_ns = static_cast<uint64_t>(budget.count());
  const auto period_ns = static_cast<uint64_t>(period.count());
  if (budget_ns != word.budget_ns || period_ns != word.period_ns) {
    word.granted_ns = word.free_ns = 0;
    word.place = GHOST_NO_CORE;
  }
  word.budget_ns = budget_ns;
  word.period_ns = period_ns;
  ++task(gtid).barrier;
  Publish(gtid);
  Post(gtid, GHOST_MSG_TASK_ATTRIBUTES_CHANGED, 0);
}

void FakeKernel::SetOffline(CpuId cpu, bool offline) {
  cpu_states_[cpu.value()].offline = offline ? 1 : 0;
  if (!offline) return;
  Replace(cpu.value(), 0);
  HostTakes(cpu);
}

void FakeKernel::HostTakes(CpuId cpu) {
  const Gtid gtid = current_[cpu.value()];
  if (gtid.value() != 0) Move(gtid, State::kHeld, GHOST_MSG_TASK_PREEMPT);
}

void FakeKernel::RunOn(Gtid gtid, int cpu) {
  FakeTask& t = task(gtid);
  tied_.erase(gtid.value());
  t.state = State::kRunq;
  t.cpu = cpu;
  SetCurrent(cpu, gtid);
  ghost_status_word& w = words_[GHOST_GTID_SLOT(gtid.value())];
  w.cpu = cpu;
  w.switch_time_ns = static_cast<uint64_t>(now_.time_since_epoch().count());
  w.on_since_ns = std::max<uint64_t>(w.switch_time_ns, 1);  // 0 is on no CPU
  Publish(gtid);
}

bool FakeKernel::ClassRuns(Gtid gtid, CpuId cpu) {
  const ghost_core_state& core = cores_[cpus_[cpu.value()].core];
  if (!IsHeld(gtid) || !GateOpen(core, cpu.value(), word(gtid).domain)) return false;
  if (current_[cpu.value()].value() != 0) HostTakes(cpu);
  ++task(gtid).barrier;
  RunOn(gtid, cpu.value());
  return true;
}

bool FakeKernel::GateOpen(const ghost_core_state& core, int cpu, uint32_t domain) const {
  for (uint32_t i = 0; i < core.nr_cpus; ++i) {
    if (core.cpus[i] == cpu) continue;
    const Gtid other = current_.at(core.cpus[i]);
    if (other.value() != 0 && word(other).domain != domain) return false;
  }
  return true;
}

void FakeKernel::CarryOut(CoreId id) {
  const ghost_core_state& core = cores_[id.value()];
  for (uint32_t i = 0; i < core.nr_cpus; ++i) {
    const int cpu = core.cpus[i];
    if (latch_[cpu] != 0) HostTakes(CpuId(cpu));
    if (latch_[cpu] == GHOST_TARGET_IDLE) SetLatch(cpu, 0);
  }
  for (uint32_t i = 0; i < core.nr_cpus; ++i) {
    const int cpu = core.cpus[i];
    const Gtid gtid(latch_[cpu]);
    if (gtid.value() == 0 || !GateOpen(core, cpu, word(gtid).domain)) continue;
    SetLatch(cpu, 0);
    if (!MayUse(gtid, cpu) || refused_.count(gtid.value()) != 0) {
      Move(gtid, State::kHeld, GHOST_MSG_TASK_LATCH_FAILURE);
    } else {
      RunOn(gtid, cpu);
    }
  }
}

bool FakeKernel::HasLatch(CoreId id) const {
  const ghost_core_state& core = cores_[id.value()];
  for (uint32_t i = 0; i < core.nr_cpus; ++i) {
    if (latch_.at(core.cpus[i]) != 0) return true;
  }
  return false;
}

void FakeKernel::SendCoreRescued(CoreId core) {
  queues_[cores_[core.value()].queue].messages.push_back(
      {.type = GHOST_MSG_CORE_RESCUED, .core = core.value()});
}

void FakeKernel::RefuseCpu(Gtid gtid, bool refuse) {
  if (refuse) {
    refused_.insert(gtid.value());
  } else {
    refused_.erase(gtid.value());
  }
}

void FakeKernel::ForgetQueues() {
  for (auto& [id, queue] : queues_) {
    queue.overflows += queue.messages.size();
    queue.messages.clear();
  }
}

// ---- what is to be seen ----

bool FakeKernel::IsHeld(Gtid gtid) const {
  return Exists(gtid) && task(gtid).state == State::kHeld;
}
bool FakeKernel::IsRunning(Gtid gtid) const {
  return Exists(gtid) && task(gtid).state == State::kRunq;
}

bool FakeKernel::HasMessages(QueueId queue) const {
  return !queues_.at(queue.value()).messages.empty();
}

bool FakeKernel::TakeWakeup(QueueId queue) {
  return std::exchange(queues_.at(queue.value()).wakeup, false);
}

std::vector<Gtid> FakeKernel::Tasks() const {
  std::vector<Gtid> tasks;
  for (const ghost_status_word& w : words_) {
    if (w.gtid != 0) tasks.push_back(Gtid(w.gtid));
  }
  return tasks;
}

}  // namespace corral::testing
