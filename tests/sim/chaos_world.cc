// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/chaos_world.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"

namespace corral::testing {

using sim::Machine;
using sim::Program;
using sim::Random;
using sim::SimThread;
using sim::Step;
using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

constexpr int kNormal = 0;  // SCHED_OTHER

class RunOnce final : public Program {
 public:
  explicit RunOnce(Duration work) : work_(work) {}
  Step Next(SimThread&, Time) override {
    return std::exchange(done_, true) ? Step::Exit() : Step::Run(work_);
  }

 private:
  const Duration work_;
  bool done_ = false;
};

}  // namespace

// A VM's thread. Steps of up to 5 ms, as tests/class/chaos_process.cc does it with real ones.
class ChaosWorld::Worker final : public Program {
 public:
  Worker(ChaosWorld& world, Random random) : world_(world), random_(random) {}

  Step Next(SimThread& self, Time) override {
    const microseconds time(random_.Below(5000));
    const uint64_t what = random_.Below(200);
    // One that left the class would run before everybody who is in it.
    if (world_.calm_ && self.policy != kSchedExtPolicy) return Step::Block();
    if (!world_.calm_ && what < 10) return Step::RunPinned(time);
    if (world_.calm_ || what < 80) return Step::Run(time);
    if (what < 160) return Step::Sleep(time);
    if (what < 180) return Step::Yield();
    if (what < 194) {
      // To anybody, of other VMs too.
      SimThread& other = *world_.threads_[random_.Below(world_.threads_.size())];
      if (&other != &self) world_.machine_->YieldTo(self, other);
      return Step::Run(time);
    }
    if (what < 198) {
      Machine& machine = *world_.machine_;
      machine.Fork(self, absl::StrCat(self.name(), "c"),
                   std::make_unique<RunOnce>(milliseconds(2)));
      return Step::Sleep(milliseconds(3));
    }
    // Its place is taken by another, which inherits class and domain.
    SimThread& heir = world_.machine_->Fork(self, absl::StrCat(self.name(), "'"),
                                            std::make_unique<Worker>(world_, random_.Fork()));
    std::replace(world_.threads_.begin(), world_.threads_.end(), &self, &heir);
    return Step::Exit();
  }

 private:
  ChaosWorld& world_;
  Random random_;
};

// FNV-1a over every switch.
class ChaosWorld::Recorder final : public sim::SwitchObserver {
 public:
  void Switched(Time now, int cpu, const SimThread* from, const SimThread* to) override {
    Add(static_cast<uint64_t>(now.time_since_epoch().count()));
    Add(static_cast<uint64_t>(cpu));
    Add(from == nullptr ? 0 : static_cast<uint64_t>(from->tid()));
    Add(to == nullptr ? 0 : static_cast<uint64_t>(to->tid()));
  }
  uint64_t value() const { return value_; }

 private:
  void Add(uint64_t word) {
    for (int i = 0; i < 8; ++i, word >>= 8) value_ = (value_ ^ (word & 0xff)) * 0x100000001b3;
  }
  uint64_t value_ = 0xcbf29ce484222325;
};

// With the whole host in the class: of threads that come to a core, those of an enclave must not
// find one of the host's there, nor the other way round. What a thread is the class's own words
// tell; one that changes over where it runs counts as neither.
class ChaosWorld::HostWatch final : public sim::SwitchObserver {
 public:
  explicit HostWatch(const ChaosWorld& world) : world_(world) {
    for (const sim::SimCore& core : world.machine_->spec().cores) {
      for (const CpuId cpu : core.cpus) cores_[cpu.value()] = &core;
    }
  }
  void Switched(Time, int cpu, const SimThread*, const SimThread* to) override {
    const What what = WhatIs(to);
    stints_[cpu] = {to, what};
    for (const CpuId other : cores_[cpu]->cpus) {
      const auto& [thread, was] = stints_[other.value()];
      if (other.value() == cpu || what == What::kOther || was == What::kOther) continue;
      if (was == what || WhatIs(thread) != was) continue;
      if (times_++ == 0)
        first_ = absl::StrCat(to->name(), " came to CPU ", cpu, " beside ", thread->name());
    }
  }
  uint64_t times() const { return times_; }
  const std::string& first() const { return first_; }

 private:
  enum class What { kOther, kHost, kEnclaves };
  What WhatIs(const SimThread* thread) const {
    if (thread == nullptr || thread->realtime) return What::kOther;
    // One that is to change its domain has another word as well, which nobody was told of.
    const auto words = world_.control_->status_words();
    const bool told = std::any_of(words.begin(), words.end(), [&](const ghost_status_word& word) {
      return (word.flags & GHOST_SW_ANNOUNCED) != 0 &&
             word.tid == static_cast<uint32_t>(thread->tid());
    });
    return told ? What::kEnclaves : What::kHost;
  }

  const ChaosWorld& world_;
  std::map<int, const sim::SimCore*> cores_;
  std::map<int, std::pair<const SimThread*, What>> stints_;
  uint64_t times_ = 0;
  std::string first_;
};

ChaosWorld::ChaosWorld(uint64_t seed, const Options& options)
    : seed_(seed), options_(options), random_(seed) {
  MakeMachine();
  if (!options_.policy.empty()) StartAgent();
  const uint32_t vms = 2 + random_.Below(3);
  const uint32_t per_vm = 1 + random_.Below(6);
  for (uint32_t vm = 1; vm <= vms; ++vm) {
    for (uint32_t i = 0; i < per_vm; ++i) AddWorker(vm);
  }
}

ChaosWorld::~ChaosWorld() = default;

// An enclave of one to four cores, and a core of the host's.
void ChaosWorld::MakeMachine() {
  const int nr_cores = 1 + static_cast<int>(random_.Below(4));
  const int siblings = random_.Chance(250) ? 1 + static_cast<int>(random_.Below(4)) : 2;
  Machine::Spec spec;
  spec.fault = options_.fault;
  spec.whole_host = options_.whole_host;
  spec.tasks = 1024;
  std::vector<Core> cores;
  for (int c = 0; c <= nr_cores; ++c) {
    sim::SimCore& made = spec.cores.emplace_back();
    made.node = made.l3 = c / 2;
    Core core = {
        .id = CoreId(static_cast<uint32_t>(c)), .nr_cpus = siblings, .node = c / 2, .l3 = c / 2};
    for (int i = 0; i < siblings; ++i) {
      const CpuId cpu(c * siblings + i);
      made.cpus.push_back(cpu);
      core.cpu[i] = cpu;
      core.siblings.Insert(cpu);
      all_.Insert(cpu);
      if (c < nr_cores) enclave_cpus_.Insert(cpu);
    }
    cores.push_back(core);
  }
  topology_ = Topology::FromCores(std::move(cores));
  machine_ = Machine::Create(spec).value();
  audit_ = std::make_unique<sim::CoreAudit>(*machine_);
  recorder_ = std::make_unique<Recorder>();
  machine_->Observe(audit_.get());
  machine_->Observe(recorder_.get());
  if (options_.whole_host) {
    host_watch_ = std::make_unique<HostWatch>(*this);
    machine_->Observe(host_watch_.get());
  }
  control_ = sim::SimControlKernel::Create(*machine_).value();
  enclave_ =
      control_
          ->CreateEnclave(
              {.name = "vms", .cpus = enclave_cpus_, .runnable_timeout = options_.runnable_timeout})
          .value();
  machine_->while_unlocked = [this](CpuId cpu) {
    if (calm_ || unlocked_ || !random_.Chance(300)) return;
    unlocked_ = true;
    auto* const running = const_cast<SimThread*>(machine_->Running(cpu));
    if (running != nullptr && running->vm != 0 && !running->dead() && random_.Chance(600)) {
      DisturbThread(*running);
    } else if (SimThread* const thread = RandomThread()) {
      DisturbThread(*thread);
    }
    unlocked_ = false;
  };
}

void ChaosWorld::StartAgent() {
  const PolicyInfo* const policy = FindPolicy(options_.policy).value();
  AgentProcess::Spec spec = {.enclave = enclave_,
                             .enclave_name = "vms",
                             .policy = policy,
                             .options = OptionValues::Defaults(policy->options)};
  spec.message_delay = [this] {
    return !calm_ && random_.Chance(20) ? Duration(microseconds(random_.Below(20000)))
                                        : Duration(0);
  };
  agents_.push_back(AgentProcess::Start(*machine_, *control_, topology_, std::move(spec)).value());
  // Now and then a decision is made from older news than it says.
  agents_.back()->kernel().before_commit = [this](ghost_commit& commit) {
    if (calm_ || !random_.Chance(10)) return;
    for (uint32_t i = 0; i < commit.nr; ++i) {
      for (ghost_txn_sibling& sibling : commit.txn[i].sibling) sibling.barrier -= random_.Below(2);
    }
  };
}

void ChaosWorld::AddWorker(uint32_t vm) {
  SimThread& thread = machine_->NewThread(absl::StrCat("vm", vm, "/", threads_.size()),
                                          std::make_unique<Worker>(*this, random_.Fork()));
  thread.vm = vm;
  threads_.push_back(&thread);
  machine_->Wake(thread);
  control_->AttachTask(thread.tid(), DomainOf(vm), 0, 100).IgnoreError();
}

DomainId ChaosWorld::DomainOf(uint32_t vm) {
  DomainKey key = {};
  memcpy(key.data(), &vm, sizeof(vm));
  key[8] = static_cast<uint8_t>(random_.Below(2));
  return control_->CreateDomain(enclave_, key, absl::StrCat("vm", vm)).value_or(DomainId(0));
}

CpuSet ChaosWorld::RandomCpus() {
  CpuSet cpus;
  all_.ForEach([&](CpuId cpu) {
    if (random_.Below(3) != 0) cpus.Insert(cpu);
  });
  return cpus.empty() ? all_ : cpus;
}

SimThread* ChaosWorld::RandomThread() {
  SimThread* const thread = threads_[random_.Below(threads_.size())];
  return thread->dead() ? nullptr : thread;
}

const ghost_status_word* ChaosWorld::WordOf(const SimThread& thread) const {
  for (const ghost_status_word& word : control_->status_words()) {
    if ((word.flags & GHOST_SW_INUSE) && word.tid == static_cast<uint32_t>(thread.tid()))
      return &word;
  }
  return nullptr;
}

void ChaosWorld::Relabel(const SimThread& thread) {
  const ghost_status_word* const word = WordOf(thread);
  if (word == nullptr) return;
  control_->RelabelTask(Gtid(word->gtid), DomainOf(thread.vm)).IgnoreError();  // or it is busy
}

void ChaosWorld::AskForBudget(SimThread& thread) {
  const ghost_status_word* const word = WordOf(thread);
  if (word == nullptr) return;
  const Duration period = microseconds(10'000 + random_.Below(90'000));
  const Duration budget = period * static_cast<int64_t>(random_.Below(60)) / 100;
  control_->UpdateTask(Gtid(word->gtid), {.budget = budget, .period = period}).IgnoreError();
}

void ChaosWorld::DisturbThread(SimThread& thread) {
  switch (random_.Below(14)) {
    case 0:
    case 1:
      return machine_->SetAffinity(thread, RandomCpus());
    case 2:
      return machine_->SetAffinity(thread, enclave_cpus_);
    case 3:
      return machine_->SetNice(thread, static_cast<int>(random_.Below(20)));
    case 4:
      return machine_->SetPolicy(thread, kNormal);
    case 5:
      // A stranger, as any user may make himself one.
      machine_->SetPolicy(thread, kNormal);
      // Among the host's threads he is nobody special, but in the audit's eyes in the class.
      if (options_.whole_host) return;
      return machine_->SetPolicy(thread, kSchedExtPolicy);
    case 6:
      return machine_->Wake(thread);
    case 7:
      return AskForBudget(thread);
    case 8:
      return Relabel(thread);
    default:
      if (thread.policy == kSchedExtPolicy && random_.Chance(300)) {
        machine_->SetPolicy(thread, kNormal);
      }
      // It may be in already; both are fine.
      control_->AttachTask(thread.tid(), DomainOf(thread.vm), 0, 100).IgnoreError();
  }
}

void ChaosWorld::DisturbAgent() {
  if (agents_.empty()) return;
  AgentProcess& agent = *agents_.back();
  if (agent.ended()) {
    if (machine_->now() >= agent_due_) StartAgent();
    return;
  }
  const uint64_t what = random_.Below(1000);
  if (what < 3) {
    agent.Kill();
    agent_due_ = machine_->now() + milliseconds(random_.Below(400));
  } else if (what < 4) {
    agent.Leave();
    agent_due_ = machine_->now();
  } else if (what < 8) {
    agent.Pause(milliseconds(random_.Below(1500)));
  }
}

void ChaosWorld::DisturbCpus() {
  if (!random_.Chance(5)) return;
  if (offline_.value() < 0) {
    const std::vector<CpuId> cpus = enclave_cpus_.ToVector();
    offline_ = cpus[random_.Below(cpus.size())];
    machine_->SetOnline(offline_, false);
  } else if (!machine_->Online(offline_)) {
    machine_->SetOnline(offline_, true);
    offline_ = CpuId(-1);
  }
}

// Something of the host with a higher class.
void ChaosWorld::TakeCpu() {
  if (!random_.Chance(20)) return;
  SimThread& hog = machine_->NewThread(
      "hog", std::make_unique<RunOnce>(Duration(microseconds(random_.Below(60000)))));
  CpuSet there;
  const std::vector<CpuId> cpus = all_.ToVector();
  there.Insert(cpus[random_.Below(cpus.size())]);
  machine_->SetAffinity(hog, there);
  machine_->Wake(hog);
}

void ChaosWorld::Disturb() {
  if (SimThread* const thread = RandomThread()) DisturbThread(*thread);
  DisturbAgent();
  DisturbCpus();
  TakeCpu();
}

void ChaosWorld::Run(Duration time) {
  const Time end = machine_->now() + time;
  while (machine_->now() < end) {
    machine_->RunFor(microseconds(random_.Below(2000)));
    Disturb();
  }
}

void ChaosWorld::Calm(Duration time) {
  calm_ = true;
  // One that is on its way down has to arrive before it can come up.
  for (int i = 0; i < 3000 && offline_.value() >= 0; ++i) {
    if (i > 0 && machine_->Online(offline_) && !machine_->GoingDown(offline_)) break;
    machine_->RunFor(milliseconds(1));
    machine_->SetOnline(offline_, true);
  }
  hotplug_stuck_ = offline_.value() >= 0 && machine_->GoingDown(offline_);
  // An agent that was killed has to end before its successor can come.
  machine_->RunFor(milliseconds(100));
  for (int i = 0; i < 300 && !agents_.empty() && !agents_.back()->serving(); ++i) {
    if (agents_.back()->ended()) StartAgent();
    machine_->RunFor(milliseconds(10));
  }
  machine_->RunFor(milliseconds(100));
  std::vector<std::pair<SimThread*, Duration>> before;
  for (SimThread* thread : threads_) {
    if (!thread->dead()) before.emplace_back(thread, machine_->CpuTime(*thread));
  }
  const uint64_t rescues_before = rescues();
  machine_->RunFor(time);
  calm_rescues_ = rescues() - rescues_before;
  for (const auto& [thread, cpu_time] : before) {
    if (machine_->CpuTime(*thread) == cpu_time && thread->policy == kSchedExtPolicy)
      starved_.push_back(absl::StrCat(thread->name(), " (thread ", thread->tid(), ", CPUs ",
                                      thread->affinity().Format(), ", on ", thread->cpu(),
                                      ", queue ",
                                      thread->scx.dsq == nullptr ? 0 : thread->scx.dsq->id, ")"));
  }
}

std::vector<std::string> ChaosWorld::Misplaced() const {
  std::vector<std::string> misplaced;
  for (const SimThread* thread : threads_) {
    const ghost_status_word* const word = WordOf(*thread);
    if (thread->dead() || thread->policy != kSchedExtPolicy || word == nullptr) continue;
    const auto may_use = [&](uint32_t core) {
      return thread->affinity().Intersects(topology_.core(static_cast<int>(core)).siblings);
    };
    const bool somewhere = thread->affinity().Intersects(enclave_cpus_);
    // A queue has the number of its core.
    const bool lost = word->queue == GHOST_QUEUE_DEFAULT || may_use(word->queue) != somewhere;
    const bool empty_promise = word->granted_ns != 0 && word->place != word->queue;
    const bool unanswered = word->budget_ns != 0 && word->place == GHOST_NO_CORE;
    if (!lost && !empty_promise && !unanswered) continue;
    misplaced.push_back(absl::StrCat(thread->name(), " (thread ", thread->tid(), ", CPUs ",
                                     thread->affinity().Format(), ", queue ", word->queue,
                                     ", granted ", word->granted_ns, " of ", word->budget_ns,
                                     " on core ", word->place, ")"));
  }
  return misplaced;
}

uint64_t ChaosWorld::breaches() const {
  uint64_t sum = 0;
  for (const ghost_core_state& core : control_->cores()) sum += core.breaches;
  return sum;
}

uint64_t ChaosWorld::rescues() const {
  uint64_t sum = 0;
  for (const ghost_core_state& core : control_->cores()) sum += core.rescues;
  return sum;
}

uint64_t ChaosWorld::commits() const {
  uint64_t sum = 0;
  for (const ghost_core_state& core : control_->cores()) sum += core.commits;
  return sum;
}

uint64_t ChaosWorld::event_rate() const {
  const uint64_t ms = machine_->now().time_since_epoch() / milliseconds(1);
  return machine_->events() * 1000 / std::max<uint64_t>(ms, 1) / all_.size();
}

uint64_t ChaosWorld::repairs() const {
  uint64_t sum = 0;
  for (const auto& agent : agents_) sum += agent->counters().repairs;
  return sum;
}

Duration ChaosWorld::LongestWait() const {
  Duration longest{0};
  for (const SimThread* thread : threads_) {
    if (thread->policy == kSchedExtPolicy)
      longest = std::max(longest, machine_->LongestWait(*thread));
  }
  return longest;
}

std::string ChaosWorld::BesideTheHost() const {
  return host_watch_ == nullptr || host_watch_->times() == 0 ? "" : host_watch_->first();
}

uint64_t ChaosWorld::fingerprint() const { return recorder_->value(); }

std::string ChaosWorld::Describe() const {
  return absl::StrCat("seed ", seed_, ": ", machine_->spec().cores.size() - 1, " cores of ",
                      machine_->spec().cores[0].cpus.size(), ", ", threads_.size(), " threads, ",
                      agents_.size(), " agents, ", commits(), " commits, ", rescues(),
                      " rescues, longest wait ", LongestWait().count() / 1000000, " ms");
}

}  // namespace corral::testing
