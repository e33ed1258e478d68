// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/bare_vms.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace corral {

BareVms::BareVms(int cores, int siblings, int foreign, bool whole_host) {
  sim::Machine::Spec spec;
  spec.whole_host = whole_host;
  // Room for two VMs per core; each owns whole blocks of slots.
  spec.tasks = std::max<uint32_t>(spec.tasks, 2 * cores * GHOST_BLOCK_SLOTS);
  std::vector<Core> topology;
  CpuSet cpus;
  for (int c = 0; c < cores + foreign; ++c) {
    sim::SimCore& made = spec.cores.emplace_back();
    Core core{.id = CoreId(c), .nr_cpus = siblings};
    for (int i = 0; i < siblings; ++i) {
      core.cpu[i] = CpuId(c * siblings + i);
      core.siblings.Insert(core.cpu[i]);
      made.cpus.push_back(core.cpu[i]);
    }
    if (c < cores) cpus = cpus | core.siblings;
    topology.push_back(core);
  }
  machine_ = sim::Machine::Create(spec).value();
  control_ = sim::SimControlKernel::Create(*machine_).value();
  enclave_ = control_->CreateEnclave({.name = "vms", .cpus = cpus}).value();
  const PolicyInfo* const policy = FindPolicy("secure_vm").value();
  agent_ = AgentProcess::Start(*machine_, *control_, Topology::FromCores(topology),
                               {.enclave = enclave_,
                                .enclave_name = "vms",
                                .policy = policy,
                                .options = OptionValues::Defaults(policy->options)})
               .value();
  // Until every core has its agent.
  machine_->RunFor(std::chrono::milliseconds(1));
}

DomainId BareVms::NewDomain(const char* name) {
  const uint32_t id = ++vms_;
  DomainKey key = {};
  memcpy(key.data(), &id, sizeof(id));
  return control_->CreateDomain(enclave_, key, name).value();
}

BareVms::Vcpu BareVms::AddVcpu(DomainId domain, int index, std::unique_ptr<sim::Program> program) {
  sim::SimThread& thread = machine_->NewThread("vm", std::move(program));
  thread.vm = vms_;
  const absl::StatusOr<Gtid> task = control_->AttachTask(thread.tid(), domain, index, 100);
  EXPECT_TRUE(task.ok()) << task.status();
  machine_->Wake(thread);
  return {&thread, task.value_or(Gtid(0))};
}

sim::SimThread& BareVms::AddHostThread(int cpu, std::unique_ptr<sim::Program> program) {
  sim::SimThread& thread = machine_->NewThread("host", std::move(program));
  machine_->SetAffinity(thread, CpuSet({cpu}));
  machine_->Wake(thread);
  return thread;
}

const ghost_waits& BareVms::Waits(const Vcpu& vcpu) const {
  return control_->waits()[GHOST_GTID_SLOT(vcpu.task.value())];
}

}  // namespace corral
