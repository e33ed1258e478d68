// SPDX-License-Identifier: Apache-2.0
#include "tests/audit/machine.h"

#include <sched.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "kernel/audit/cores.h"

namespace corral {
namespace {

bool IsEmulated() {
  std::ifstream vendor("/sys/class/dmi/id/sys_vendor");
  std::string line;
  return std::getline(vendor, line) && line == "QEMU";
}

// Only by trying: the kernel knows the number of the policy even when it is built without it.
bool HasSchedExt() {
  bool has = false;
  std::thread([&has] {
    const sched_param none = {};
    has = sched_setscheduler(0, 7, &none) == 0;
  }).join();
  return has;
}

std::vector<CpuSet> PairUp(const std::vector<CpuSet>& singles) {
  std::vector<CpuSet> pairs;
  for (size_t i = 0; i + 1 < singles.size(); i += 2) pairs.push_back(singles[i] | singles[i + 1]);
  return pairs;
}

}  // namespace

Machine ThisMachine() {
  Machine machine;
  machine.is_test_host = IsEmulated();
  machine.spin = machine.is_test_host ? std::chrono::seconds(2) : std::chrono::milliseconds(400);
  machine.has_sched_ext = HasSchedExt();
  if (geteuid() != 0) machine.obstacle = "needs root";
  if (access("/sys/kernel/btf/vmlinux", R_OK) != 0) machine.obstacle = "this kernel has no BTF";
  absl::StatusOr<std::vector<CpuSet>> cores = ReadCores();
  if (!cores.ok()) {
    machine.obstacle = std::string(cores.status().message());
    return machine;
  }
  machine.cores = *cores;
  bool smt = false;
  for (const CpuSet& core : machine.cores) smt |= core.size() > 1;
  if (!smt) machine.cores = PairUp(machine.cores);
  for (const CpuSet& core : machine.cores) {
    if (core.size() > 1 && machine.first < 0) {
      machine.first = core.ToVector()[0].value();
      machine.sibling = core.ToVector()[1].value();
    } else if (machine.elsewhere < 0) {
      machine.elsewhere = core.First().value();
    }
  }
  if (machine.first < 0) machine.obstacle = "needs two CPUs";
  return machine;
}

}  // namespace corral
