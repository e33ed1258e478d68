// SPDX-License-Identifier: Apache-2.0
#include "agent/simulate/simulation.h"

#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace corral {

// How long each vCPU waited, whenever it got a CPU.
class Simulation::Waits final : public sim::SwitchObserver {
 public:
  explicit Waits(size_t domains) : samples_(domains) {}
  void Switched(Time now, int, const sim::SimThread*, const sim::SimThread* to) override {
    if (to != nullptr && to->vm != 0) samples_[to->vm - 1].push_back(now - to->waiting_since());
  }
  std::vector<Duration> Take(size_t domain) { return std::move(samples_[domain]); }

 private:
  std::vector<std::vector<Duration>> samples_;
};

Simulation::Simulation(const Scenario& scenario) : scenario_(scenario), random_(scenario.seed) {}
Simulation::~Simulation() = default;

absl::StatusOr<std::unique_ptr<Simulation>> Simulation::Create(const Scenario& scenario,
                                                               const sim::Costs& costs) {
  std::unique_ptr<Simulation> simulation(new Simulation(scenario));
  if (const absl::Status status = simulation->MakeMachine(costs); !status.ok()) return status;
  if (const absl::Status status = simulation->MakeEnclave(); !status.ok()) return status;
  for (uint32_t i = 0; i < scenario.domains.size(); ++i) {
    if (const absl::Status status = simulation->MakeDomain(i + 1, scenario.domains[i]);
        !status.ok())
      return status;
  }
  return simulation;
}

absl::Status Simulation::MakeMachine(const sim::Costs& costs) {
  const absl::StatusOr<Topology> topology = absl::EndsWith(scenario_.topology, ".xml")
                                                ? Topology::FromHwlocXml(scenario_.topology)
                                                : Topology::FromHwlocSynthetic(scenario_.topology);
  if (!topology.ok()) return topology.status();
  topology_ = *topology;
  sim::Machine::Spec spec;
  spec.costs = costs;
  spec.domains = static_cast<uint32_t>(scenario_.domains.size()) + GHOST_DOMAIN_FIRST;
  spec.tasks = 0;
  // A domain owns whole blocks of slots.
  for (const ScenarioDomain& domain : scenario_.domains)
    spec.tasks += (domain.vcpus + GHOST_BLOCK_SLOTS - 1) / GHOST_BLOCK_SLOTS * GHOST_BLOCK_SLOTS;
  for (const Core& core : topology_.cores()) {
    sim::SimCore& made = spec.cores.emplace_back();
    made.cpus.assign(core.cpu.begin(), core.cpu.begin() + core.nr_cpus);
    made.node = core.node;
    made.l3 = core.l3;
    if (!core.siblings.Intersects(scenario_.housekeeping)) cpus_ = cpus_ | core.siblings;
  }
  if (cpus_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("housekeeping takes every core of \"",
                                                   scenario_.topology, "\"; leave the VMs some"));
  }
  absl::StatusOr<std::unique_ptr<sim::Machine>> machine = sim::Machine::Create(spec);
  if (!machine.ok()) return machine.status();
  machine_ = *std::move(machine);
  audit_ = std::make_unique<sim::CoreAudit>(*machine_);
  waits_ = std::make_unique<Waits>(scenario_.domains.size());
  machine_->Observe(audit_.get());
  machine_->Observe(waits_.get());
  return absl::OkStatus();
}

absl::Status Simulation::MakeEnclave() {
  absl::StatusOr<std::unique_ptr<sim::SimControlKernel>> control =
      sim::SimControlKernel::Create(*machine_);
  if (!control.ok()) return control.status();
  control_ = *std::move(control);
  const absl::StatusOr<EnclaveId> enclave = control_->CreateEnclave({.name = "vms", .cpus = cpus_});
  if (!enclave.ok()) return enclave.status();
  enclave_ = *enclave;
  absl::StatusOr<std::unique_ptr<AgentProcess>> agent =
      AgentProcess::Start(*machine_, *control_, topology_,
                          {.enclave = enclave_,
                           .enclave_name = "vms",
                           .policy = scenario_.policy,
                           .options = scenario_.options,
                           .housekeeping = scenario_.housekeeping,
                           .message_delay = {}});
  if (!agent.ok()) return agent.status();
  agent_ = *std::move(agent);
  // Until every core has its agent.
  machine_->RunFor(std::chrono::milliseconds(1));
  return absl::OkStatus();
}

absl::Status Simulation::MakeDomain(uint32_t vm, const ScenarioDomain& domain) {
  if (domain.memory_node >= topology_.nr_nodes()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "memory_node ", domain.memory_node, " of domain ", domain.name, " is not there; \"",
        scenario_.topology, "\" has ", topology_.nr_nodes(), " nodes, from 0 on"));
  }
  DomainKey key = {};
  memcpy(key.data(), &vm, sizeof(vm));
  const absl::StatusOr<DomainId> id = control_->CreateDomain(enclave_, key, domain.name);
  if (!id.ok()) return id.status();
  loads_.push_back(MakeLoad(domain.load, *machine_, random_));
  vcpus_.emplace_back();
  tasks_.emplace_back();
  TaskAttributes attributes = domain.attributes;
  if (domain.memory_node >= 0) attributes.node = static_cast<uint32_t>(domain.memory_node);
  for (int i = 0; i < domain.vcpus; ++i) {
    // All are threads of one process, as QEMU's are.
    const pid_t process = i == 0 ? 0 : vcpus_.back().front()->tid();
    sim::SimThread& thread =
        machine_->NewThread(absl::StrCat(domain.name, "/", i), loads_.back()->Program(), process);
    thread.vm = vm;
    thread.home_node = domain.memory_node;
    const absl::StatusOr<Gtid> task =
        control_->AttachTask(thread.tid(), *id, i, static_cast<int>(domain.attributes.weight));
    if (!task.ok()) return task.status();
    if (const absl::Status status = control_->UpdateTask(*task, attributes); !status.ok())
      return status;
    vcpus_.back().push_back(&thread);
    tasks_.back().push_back(*task);
  }
  loads_.back()->Start(vcpus_.back());
  return absl::OkStatus();
}

std::vector<std::string> Simulation::domain_names() const {
  std::vector<std::string> names;
  for (const ScenarioDomain& domain : scenario_.domains) names.push_back(domain.name);
  return names;
}

SimulatedVerdict Simulation::VerdictOn(size_t domain, int vcpu) const {
  const uint32_t slot = GHOST_GTID_SLOT(tasks_[domain][vcpu].value());
  const ghost_status_word& word = control_->status_words()[slot];
  SimulatedVerdict verdict = {.vcpu = vcpu};
  if (word.place == GHOST_NO_CORE) return verdict;
  verdict.granted = FromNs(word.granted_ns);
  verdict.free = FromNs(word.free_ns);
  verdict.core = static_cast<int>(word.place);
  return verdict;
}

void Simulation::Pin(size_t domain, int vcpu, const CpuSet& cpus) {
  machine_->SetAffinity(*vcpus_[domain][vcpu], cpus);
}

void Simulation::Advance(Duration time) {
  machine_->RunFor(time);
  run_ += time;
}

SimulationResult Simulation::Run() {
  if (run_ < scenario_.time) Advance(scenario_.time - run_);
  SimulationResult result = {.nr_cores = 0,
                             .nr_cpus = static_cast<int>(cpus_.size()),
                             .time = scenario_.time,
                             .core_time = audit_->core_time(),
                             .forced_idle = audit_->forced_idle(),
                             .shared = audit_->enforced().time,
                             .agent_time = agent_->cpu_time(),
                             .core_switches = audit_->core_switches()};
  for (const ghost_core_state& core : control_->cores()) {
    result.nr_cores += core.enclave == enclave_.value();
    result.commits += core.commits;
    result.rescues += core.rescues;
  }
  for (size_t i = 0; i < vcpus_.size(); ++i) {
    SimulatedDomain domain = {.name = scenario_.domains[i].name,
                              .vcpus = scenario_.domains[i].vcpus};
    for (const sim::SimThread* thread : vcpus_[i]) {
      domain.cpu_time += machine_->CpuTime(*thread);
      domain.work += thread->work();
    }
    domain.waits = Percentiles::Of(waits_->Take(i));
    domain.requests = Percentiles::Of(loads_[i]->samples());
    domain.budget = scenario_.domains[i].attributes.budget;
    domain.period = scenario_.domains[i].attributes.period;
    for (int v = 0; domain.budget > Duration(0) && v < domain.vcpus; ++v)
      domain.verdicts.push_back(VerdictOn(i, v));
    result.domains.push_back(std::move(domain));
  }
  return result;
}

}  // namespace corral
