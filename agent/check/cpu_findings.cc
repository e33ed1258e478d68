// SPDX-License-Identifier: Apache-2.0
// Which CPUs there are, and what the kernel's command line did to them.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/check/host_findings.h"
#include "kernel/abi/ghost.h"

namespace corral {
namespace {

constexpr char kCpuDir[] = "/sys/devices/system/cpu";

std::string CpuFile(absl::string_view name) { return absl::StrCat(kCpuDir, "/", name); }

// off and forceoff, or the number of threads per core that are on.
bool SmtIsOff(absl::string_view control) {
  return control == "off" || control == "forceoff" || control == "notsupported" ||
         control == "notimplemented" || control == "1";
}

void CheckSmt(const HostTree& tree, Findings& findings) {
  const absl::StatusOr<std::string> control = tree.Text(CpuFile("smt/control"));
  if (!control.ok()) {
    Add(findings, Level::kWarn, "cpu.smt",
        absl::StrCat("whether SMT is on is not told: ", control.status().message()));
  } else if (SmtIsOff(*control)) {
    Add(findings, Level::kOk, "cpu.smt",
        absl::StrCat("SMT is off (", *control, "): VMs share no core at one time, Corral or not"));
  } else if (*control == "on" ||
             (control->size() == 1 && (*control)[0] > '1' && (*control)[0] <= '9')) {
    Add(findings, Level::kOk, "cpu.smt", absl::StrCat("SMT is on (", *control, ")"));
  } else {
    Add(findings, Level::kWarn, "cpu.smt",
        absl::StrCat("smt/control says \"", *control, "\", which is not known"));
  }
}

void CheckOnline(const HostTree& tree, Findings& findings) {
  const absl::StatusOr<CpuSet> online = tree.Cpus(CpuFile("online"));
  const absl::StatusOr<CpuSet> present = tree.Cpus(CpuFile("present"));
  const absl::StatusOr<std::vector<CpuSet>> cores = ReadCores(tree);
  for (const absl::Status& status : {online.status(), present.status(), cores.status()}) {
    if (status.ok()) continue;
    Add(findings, Level::kFail, "cpu.online",
        absl::StrCat("which CPUs make a core cannot be told: ", status.message()),
        absl::StrCat("mount /sys; CPUs 0 to ", CpuSet::kMaxCpus - 1, " are supported"));
    return;
  }
  for (const CpuSet& core : *cores) {
    if (core.size() <= GHOST_MAX_SIBLINGS) continue;
    Add(findings, Level::kFail, "cpu.online",
        absl::StrCat("the core of CPUs ", core.Format(), " has ", core.size(), " siblings"),
        absl::StrCat("Corral supports ", GHOST_MAX_SIBLINGS, "; lower smt/control"));
    return;
  }
  const CpuSet offline = *present - *online;
  const std::string all = absl::StrCat(online->size(), " CPUs in ", cores->size(), " cores");
  if (offline.empty()) {
    Add(findings, Level::kOk, "cpu.online", absl::StrCat(all, ", all online"));
  } else if (SmtIsOff(tree.Text(CpuFile("smt/control")).value_or(""))) {
    Add(findings, Level::kOk, "cpu.online",
        absl::StrCat(all, "; offline are ", offline.Format(), ", as SMT is off"));
  } else {
    Add(findings, Level::kWarn, "cpu.online",
        absl::StrCat(all, "; CPUs ", offline.Format(),
                     " are offline, so not every core is whole, and one that comes online later "
                     "ends the class"),
        absl::StrCat("bring them online before the class is loaded: chcpu -e ", offline.Format()));
  }
}

// The value of isolcpus= if it isolates from the scheduler's domains, which is what it does unless
// it has flags that say otherwise.
std::string DomainIsolation(absl::string_view cmdline) {
  std::string isolated;
  for (absl::string_view word : absl::StrSplit(cmdline, absl::ByAnyChar(" \n"))) {
    if (!absl::ConsumePrefix(&word, "isolcpus=")) continue;
    bool flagged = false, domain = false;
    for (const absl::string_view part : absl::StrSplit(word, ',')) {
      flagged |= part == "nohz" || part == "managed_irq";
      domain |= part == "domain";
    }
    if (domain || !flagged) isolated = std::string(word);
  }
  return isolated;
}

void CheckIsolated(const HostTree& tree, Findings& findings) {
  const absl::StatusOr<std::string> cmdline = tree.Text("/proc/cmdline");
  const absl::StatusOr<CpuSet> isolated = tree.Cpus(CpuFile("isolated"));
  const std::string asked = cmdline.ok() ? DomainIsolation(*cmdline) : "";
  if (!asked.empty()) {
    Add(findings, Level::kFail, "cpu.isolated",
        absl::StrCat("isolcpus=", asked, " isolates CPUs: the kernel loads no sched_ext scheduler"),
        "take isolcpus= off the kernel's command line and reboot; give VMs their CPUs by enclaves");
  } else if (!isolated.ok() || !cmdline.ok()) {
    Add(findings, Level::kWarn, "cpu.isolated",
        absl::StrCat("whether CPUs are isolated is not told: ",
                     isolated.ok() ? cmdline.status().message() : isolated.status().message()));
  } else if (!isolated->empty()) {
    Add(findings, Level::kWarn, "cpu.isolated",
        absl::StrCat("CPUs ", isolated->Format(),
                     " are in an isolated cpuset; the kernel may load no sched_ext scheduler"),
        "make its cpuset.cpus.partition \"member\" or \"root\"");
  } else {
    Add(findings, Level::kOk, "cpu.isolated", "no CPU is isolated by isolcpus=");
  }
}

void CheckNohzFull(const HostTree& tree, Findings& findings) {
  const absl::StatusOr<CpuSet> full = tree.Cpus(CpuFile("nohz_full"));
  if (absl::IsNotFound(full.status())) {
    Add(findings, Level::kOk, "cpu.nohz_full", "the kernel has no nohz_full");
  } else if (!full.ok()) {
    Add(findings, Level::kWarn, "cpu.nohz_full", full.status().message());
  } else if (full->empty()) {
    Add(findings, Level::kOk, "cpu.nohz_full", "no CPU is nohz_full");
  } else {
    Add(findings, Level::kOk, "cpu.nohz_full",
        absl::StrCat("CPUs ", full->Format(),
                     " are nohz_full: no timer ticks interrupt the vCPUs there; corralctl cores "
                     "--ticks counts them"));
  }
}

}  // namespace

absl::StatusOr<std::vector<CpuSet>> ReadCores(const HostTree& tree) {
  const absl::StatusOr<CpuSet> online = tree.Cpus(CpuFile("online"));
  if (!online.ok()) return online.status();
  if (online->empty()) return absl::InvalidArgumentError("no CPU is online");
  std::vector<CpuSet> cores;
  CpuSet seen;
  for (const CpuId cpu : online->ToVector()) {
    const absl::StatusOr<CpuSet> siblings =
        tree.Cpus(CpuFile(absl::StrCat("cpu", cpu.value(), "/topology/thread_siblings_list")));
    if (!siblings.ok()) return siblings.status();
    if (!siblings->Contains(cpu) || !online->Contains(*siblings)) {
      return absl::InvalidArgumentError(absl::StrCat("CPU ", cpu.value(), " has siblings ",
                                                     siblings->Format(), " of online CPUs ",
                                                     online->Format()));
    }
    if (seen.Contains(cpu)) continue;
    if (seen.Intersects(*siblings)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the cores of CPUs ", siblings->Format(), " overlap"));
    }
    seen = seen | *siblings;
    cores.push_back(*siblings);
  }
  return cores;
}

HostCpus ReadHostCpus(const HostTree& tree) {
  return {.cores = ReadCores(tree).value_or(std::vector<CpuSet>()),
          .nohz_full = tree.Cpus(CpuFile("nohz_full")).value_or(CpuSet())};
}

void CheckCpus(const HostTree& tree, Findings& findings) {
  CheckSmt(tree, findings);
  CheckOnline(tree, findings);
  CheckIsolated(tree, findings);
  CheckNohzFull(tree, findings);
}

}  // namespace corral
