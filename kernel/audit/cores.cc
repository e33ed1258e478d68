// SPDX-License-Identifier: Apache-2.0
#include "kernel/audit/cores.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "kernel/audit/audit.h"

namespace corral {
namespace {

absl::StatusOr<CpuSet> ReadCpuList(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) {
    return absl::UnavailableError(absl::StrCat("cannot read ", path, "; is sysfs mounted?"));
  }
  return CpuSet::Parse(line);
}

}  // namespace

absl::StatusOr<std::vector<CpuSet>> ReadCores(const std::string& sysfs) {
  const std::string root = sysfs + "/devices/system/cpu";
  absl::StatusOr<CpuSet> online = ReadCpuList(root + "/online");
  if (!online.ok()) return online.status();
  std::vector<CpuSet> cores;
  CpuSet placed;
  for (CpuId cpu : online->ToVector()) {
    if (placed.Contains(cpu)) continue;
    absl::StatusOr<CpuSet> core =
        ReadCpuList(absl::StrCat(root, "/cpu", cpu.value(), "/topology/thread_siblings_list"));
    if (!core.ok()) return core.status();
    *core = *core & *online;
    core->Insert(cpu);
    placed = placed | *core;
    cores.push_back(*core);
  }
  return cores;
}

absl::Status CheckCores(const std::vector<CpuSet>& cores) {
  if (cores.empty())
    return absl::InvalidArgumentError("there is no core to audit; name at least one");
  CpuSet placed;
  for (const CpuSet& core : cores) {
    if (core.empty() || core.size() > AUDIT_MAX_SIBLINGS) {
      return absl::InvalidArgumentError(absl::StrCat("a core of ", core.size(), " CPUs (\"",
                                                     core.Format(), "\"); 1 to ",
                                                     AUDIT_MAX_SIBLINGS, " are possible"));
    }
    if (placed.Intersects(core)) {
      return absl::InvalidArgumentError(absl::StrCat("CPU ", (placed & core).Format(),
                                                     " is in two cores; put each CPU into one"));
    }
    placed = placed | core;
  }
  return absl::OkStatus();
}

}  // namespace corral
