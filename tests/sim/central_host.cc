// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/central_host.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace corral {

using sim::SimThread;
using sim::Step;
using std::chrono::milliseconds;

CentralHost::CentralHost(const Options& options) : options_(options) {
  sim::Machine::Spec spec;
  spec.costs = options.costs;
  spec.tasks = options.tasks;
  spec.queue_messages = options.queue_messages;
  std::vector<Core> topology;
  int next_cpu = 0;
  for (int c = 0; c < options.cores + options.foreign; ++c) {
    const bool ours = c < options.cores;
    Core core{.id = CoreId(static_cast<uint32_t>(c)),
              .nr_cpus = ours ? options.siblings : options.foreign_siblings};
    if (options.cores_per_l3 > 0) core.l3 = c / options.cores_per_l3;
    if (options.cores_per_node > 0) core.node = c / options.cores_per_node;
    if (!ours && options.foreign_node > 0) core.node = core.l3 = options.foreign_node;
    sim::SimCore& made = spec.cores.emplace_back(sim::SimCore{.node = core.node, .l3 = core.l3});
    for (int i = 0; i < core.nr_cpus; ++i) {
      core.cpu[i] = CpuId(next_cpu++);
      core.siblings.Insert(core.cpu[i]);
      made.cpus.push_back(core.cpu[i]);
    }
    if (ours) cpus_ = cpus_ | core.siblings;
    topology.push_back(core);
  }
  topology_ = Topology::FromCores(std::move(topology));
  machine_ = sim::Machine::Create(spec).value();
  control_ = sim::SimControlKernel::Create(*machine_).value();
  enclave_ = control_->CreateEnclave({.name = "office", .cpus = cpus_}).value();
  StartAgent();
  // Until every core has its agent.
  machine_->RunFor(milliseconds(1));
}

CentralHost::~CentralHost() = default;

void CentralHost::StartAgent() {
  const PolicyInfo* const policy = FindPolicy(options_.policy).value();
  OptionValues values = OptionValues::Defaults(policy->options);
  for (const auto& [name, value] : options_.values) {
    const absl::Status status = values.Set(name, value);
    EXPECT_TRUE(status.ok()) << status;
  }
  agents_.push_back(AgentProcess::Start(*machine_, *control_, topology_,
                                        {.enclave = enclave_,
                                         .enclave_name = "office",
                                         .policy = policy,
                                         .options = std::move(values),
                                         .housekeeping = options_.housekeeping,
                                         .memory_node = options_.agent_memory_node,
                                         .hints = options_.hints})
                        .value());
}

DomainId CentralHost::DomainOf(uint32_t number) {
  DomainId& domain = domains_[number];
  if (domain == DomainId(0)) {
    DomainKey key = {};
    memcpy(key.data(), &number, sizeof(number));
    domain = control_->CreateDomain(enclave_, key, absl::StrCat("domain ", number)).value();
  }
  return domain;
}

SimThread& CentralHost::AddTask(std::unique_ptr<sim::Program> program, uint32_t weight,
                                uint32_t domain, pid_t process) {
  SimThread& task =
      machine_->NewThread(absl::StrCat("task ", tasks_.size()), std::move(program), process);
  task.vm = domain;
  const absl::StatusOr<Gtid> gtid =
      control_->AttachTask(task.tid(), DomainOf(domain), 0, static_cast<int>(weight));
  EXPECT_TRUE(gtid.ok()) << gtid.status();
  tasks_.push_back(&task);
  machine_->Wake(task);
  return task;
}

SimThread& CentralHost::Fork(SimThread& parent, std::unique_ptr<sim::Program> program) {
  SimThread& child =
      machine_->Fork(parent, absl::StrCat("task ", tasks_.size()), std::move(program));
  tasks_.push_back(&child);
  return child;
}

void CentralHost::SetAffinity(SimThread& task, const CpuSet& cpus) {
  affinity_set_[&task] = machine_->now();
  machine_->SetAffinity(task, cpus);
}

SimThread& CentralHost::AddHostThread(CpuId cpu, std::unique_ptr<sim::Program> program) {
  SimThread& thread =
      machine_->NewThread(absl::StrCat("host on ", cpu.value()), std::move(program));
  CpuSet there;
  there.Insert(cpu);
  machine_->SetAffinity(thread, there);
  return thread;
}

const ghost_status_word* CentralHost::WordOf(const SimThread& task) const {
  const absl::Span<const ghost_status_word> words = control_->status_words();
  const auto is_its = [&](uint32_t slot) {
    return slot < words.size() && (words[slot].flags & GHOST_SW_INUSE) &&
           words[slot].tid == static_cast<uint32_t>(task.tid());
  };
  if (const auto known = slots_.find(&task); known != slots_.end() && is_its(known->second))
    return &words[known->second];
  for (uint32_t slot = 0; slot < words.size(); ++slot) {
    if (!is_its(slot)) continue;
    slots_[&task] = slot;
    return &words[slot];
  }
  return nullptr;
}

Time CentralHost::HeldSince(const SimThread& task) const {
  if (task.dead() || !task.runnable() || task.running() || task.policy != kSchedExtPolicy)
    return Time::max();
  const ghost_status_word* const word = WordOf(task);
  if (word == nullptr || !(word->flags & GHOST_SW_RUNNABLE) ||
      (word->flags & (GHOST_SW_LATCHED | GHOST_SW_ONCPU)))
    return Time::max();
  return std::max(task.waiting_since(), AffinitySince(task));
}

bool CentralHost::LookAt(const SimThread& task) {
  const bool fresh = HeldSince(task) != Time::max() && !WaitsAsSeen(task);
  if (fresh) seen_waiting_[&task] = WordOf(task)->barrier;
  return fresh;
}

bool CentralHost::WaitsAsSeen(const SimThread& task) const {
  const auto seen = seen_waiting_.find(&task);
  return seen != seen_waiting_.end() && HeldSince(task) != Time::max() &&
         WordOf(task)->barrier == seen->second;
}

Time CentralHost::AffinitySince(const SimThread& task) const {
  const auto set = affinity_set_.find(&task);
  return set == affinity_set_.end() ? Time() : set->second;
}

Duration CentralHost::LongestWait() const {
  Duration longest{0};
  for (const SimThread* task : tasks_) {
    if (!task->dead()) longest = std::max(longest, machine_->LongestWait(*task));
  }
  return longest;
}

uint64_t CentralHost::breaches() const {
  uint64_t sum = 0;
  for (const ghost_core_state& core : control_->cores()) sum += core.breaches;
  return sum;
}

Step RandomTask::Next(SimThread& self, Time) {
  const Duration time = random_.Between(Duration(1000), habits_.longest);
  if (habits_.forks && random_.Chance(10)) {
    // Another takes its place half of the time, so that there are about as many as before.
    if (random_.Chance(500) && host_.tasks().size() < 64)
      host_.Fork(self, std::make_unique<RandomTask>(host_, habits_, random_.Next()));
    else if (host_.tasks().size() > 8)
      return Step::Exit();
  }
  if (random_.Chance(habits_.sleeps)) return Step::Sleep(time);
  return random_.Chance(50) ? Step::Yield() : Step::Run(time);
}

}  // namespace corral
