// SPDX-License-Identifier: Apache-2.0
#include "tests/cockpit/simulated_host.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace corral {
namespace {

using std::chrono::milliseconds;

constexpr int kSmallHost = 8;  // CPUs

class Busy final : public sim::Program {
  sim::Step Next(sim::SimThread&, Time) override { return sim::Step::Run(milliseconds(1)); }
};

class Sleepy final : public sim::Program {
  sim::Step Next(sim::SimThread&, Time) override {
    runs_ = !runs_;
    return runs_ ? sim::Step::Run(milliseconds(2)) : sim::Step::Sleep(milliseconds(9));
  }
  bool runs_ = false;
};

int NodesOf(int cpus) { return cpus <= kSmallHost ? 1 : cpus <= 128 ? 2 : 4; }

}  // namespace

SimulatedHost::SimulatedHost(int cpus) {
  const int cores = cpus / 2, nodes = NodesOf(cpus);
  sim::Machine::Spec spec;
  spec.tasks = std::max<uint32_t>(spec.tasks, 4 * cores * GHOST_BLOCK_SLOTS);
  std::vector<Core> topology;
  for (int c = 0; c < cores; ++c) {
    Core core{.id = CoreId(c), .nr_cpus = 2, .node = c * nodes / cores};
    core.cpu[0] = CpuId(2 * c);
    core.cpu[1] = CpuId(2 * c + 1);
    core.siblings = CpuSet({2 * c, 2 * c + 1});
    spec.cores.push_back({.cpus = {core.cpu[0], core.cpu[1]}, .node = core.node});
    topology.push_back(core);
  }
  topology_ = Topology::FromCores(std::move(topology));
  machine_ = sim::Machine::Create(spec).value();
  control_ = sim::SimControlKernel::Create(*machine_).value();
  const int batch = cpus <= kSmallHost ? 0 : cores / 16;
  AddEnclave("vms", 0, cores - 2 - batch);
  if (batch > 0) AddEnclave("batch", cores - 1 - batch, cores - 2);
  constexpr const char* kNames[] = {"web", "db-primary", "mail", "build-agent-of-the-nightly-run",
                                    "ci"};
  for (int i = 0; i < cores - batch; ++i)
    AddVm(absl::StrCat(kNames[i % 5], i < 5 ? "" : absl::StrCat("-", i / 5)), 1 + i % 3);
  MakeTroubles();
  Pass(milliseconds(300));
}

void SimulatedHost::AddEnclave(const std::string& name, int first, int last) {
  CpuSet cpus;
  for (int c = first; c <= last; ++c) cpus = cpus | CpusOfCore(c);
  Enclave enclave{.name = name,
                  .id = control_->CreateEnclave({.name = name, .cpus = cpus}).value()};
  StartAgent(enclave, FindPolicy("secure_vm").value());
  enclaves_.push_back(enclave);
}

void SimulatedHost::StartAgent(Enclave& enclave, const PolicyInfo* policy) {
  agents_.push_back(AgentProcess::Start(*machine_, *control_, topology_,
                                        {.enclave = enclave.id,
                                         .enclave_name = enclave.name,
                                         .policy = policy,
                                         .options = OptionValues::Defaults(policy->options)})
                        .value());
  enclave.policy = policy;
  enclave.agent = agents_.back().get();
  for (int i = 0; i < 1000 && !enclave.agent->serving(); ++i) Pass(milliseconds(1));
}

absl::Status SimulatedHost::SetPolicy(const std::string& name, const std::string& policy) {
  const absl::StatusOr<const PolicyInfo*> info = FindPolicy(policy);
  if (!info.ok()) return info.status();
  for (Enclave& enclave : enclaves_) {
    if (enclave.name != name) continue;
    enclave.agent->Leave();
    for (int i = 0; i < 1000 && !enclave.agent->ended(); ++i) Pass(milliseconds(1));
    StartAgent(enclave, *info);
    return absl::OkStatus();
  }
  return absl::NotFoundError(absl::StrCat("there is no enclave \"", name, "\""));
}

BusState SimulatedHost::Look() const {
  BusState state = LookForBus(Mode::kEnforce, control_.get());
  // Of a real agent it is read from its process.
  for (EnclaveView& view : state.enclaves) {
    for (const Enclave& enclave : enclaves_) {
      if (enclave.name == view.name) view.policy = std::string(enclave.policy->name);
    }
  }
  return state;
}

DomainId SimulatedHost::NewDomain(const std::string& name) {
  const uint32_t id = ++vms_;
  DomainKey key = {};
  memcpy(key.data(), &id, sizeof(id));
  return control_->CreateDomain(enclaves_.front().id, key, name).value();
}

SimulatedHost::Vcpu SimulatedHost::AddVcpu(DomainId domain, int index,
                                           std::unique_ptr<sim::Program> program) {
  sim::SimThread& thread = machine_->NewThread("vm", std::move(program));
  const Gtid task = control_->AttachTask(thread.tid(), domain, index, 100).value();
  machine_->Wake(thread);
  return {&thread, task};
}

void SimulatedHost::AddVm(const std::string& name, int vcpus) {
  const DomainId domain = NewDomain(name);
  for (int i = 0; i < vcpus; ++i) {
    if (vms_ % 4 == 3)
      AddVcpu(domain, i, std::make_unique<Sleepy>());
    else
      AddVcpu(domain, i, std::make_unique<Busy>());
  }
}

void SimulatedHost::MakeTroubles() {
  const Vcpu greedy = AddVcpu(NewDomain("greedy"), 0, std::make_unique<Busy>());
  (void)control_->UpdateTask(greedy.task, {.budget = milliseconds(10), .period = milliseconds(10)});
  const Vcpu astray = AddVcpu(NewDomain("astray"), 0, std::make_unique<Busy>());
  machine_->SetAffinity(*astray.thread, CpusOfCore(topology_.nr_cores() - 1));
  for (const char* const name : {"pinned-a", "pinned-b"}) {
    const Vcpu pinned = AddVcpu(NewDomain(name), 0, std::make_unique<Busy>());
    machine_->SetAffinity(*pinned.thread, CpusOfCore(1));
  }
}

}  // namespace corral
