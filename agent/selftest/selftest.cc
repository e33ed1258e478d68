// SPDX-License-Identifier: Apache-2.0
#include "agent/selftest/selftest.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/ctl/interrupts.h"
#include "kernel/audit/auditor.h"
#include "kernel/cpu_mask.h"

namespace corral {
namespace {

// Half as many again as CPUs, so that whoever may share a core does.
constexpr int kVms = 3;
constexpr int kLeastPriority = 19;
constexpr int kLooks = 2;

using VmProcesses = std::vector<std::unique_ptr<VmProcess>>;

absl::Status Wait(Duration time) {
  if (!InterruptedWithin(time)) return absl::OkStatus();
  return absl::CancelledError("interrupted; everything was given back");
}

absl::Status Confine(const VmProcess& vm, const CpuSet& cpus) {
  const cpu_set_t mask = MaskOf(cpus);
  for (const pid_t tid : vm.tids()) {
    if (sched_setaffinity(tid, sizeof(mask), &mask) == 0 &&
        setpriority(PRIO_PROCESS, static_cast<id_t>(tid), kLeastPriority) == 0)
      continue;
    return absl::FailedPreconditionError(absl::StrCat("cannot run a thread on the CPUs ",
                                                      cpus.Format(), ": ", strerror(errno),
                                                      "; choose others with --cpus"));
  }
  return absl::OkStatus();
}

absl::StatusOr<VmProcesses> StartVms(const CpuSet& cpus) {
  VmProcesses vms;
  for (int i = 0; i < kVms; ++i) {
    vms.push_back(std::make_unique<VmProcess>(static_cast<int>(cpus.size()) / 2, /*sleepers=*/1));
    if (!vms.back()->status().ok()) return vms.back()->status();
    if (absl::Status confined = Confine(*vms.back(), cpus); !confined.ok()) return confined;
  }
  return vms;
}

std::vector<Duration> CpuTimes(const VmProcesses& vms) {
  std::vector<Duration> times;
  for (const auto& vm : vms) {
    for (const pid_t tid : vm->tids()) times.push_back(CpuTime(tid));
  }
  return times;
}

class Selftest {
 public:
  Selftest(const SelftestOptions& options, Stage& stage, Auditor& auditor, VmProcesses& vms)
      : options_(options), stage_(stage), auditor_(auditor), vms_(vms) {}

  absl::Status Run(SelftestFigures& figures) {
    figures.cpus = stage_.cpus();
    figures.own_enclave = stage_.own_enclave();
    options_.say(absl::StrCat("measuring the default scheduler on CPUs ", figures.cpus.Format(),
                              " for ", options_.before / std::chrono::seconds(1), " s"));
    absl::Status status =
        Measure(figures.before, AUDIT_VCPU_VCPU, [this] { return Wait(options_.before); });
    if (!status.ok()) return status;
    options_.say("taking the throwaway VMs into the class");
    const StageCounters first = stage_.Counters();
    for (const auto& vm : vms_) {
      if (status = stage_.TakeIn(*vm); !status.ok()) return status;
    }
    // Each of their threads has to have been through the class once.
    if (status = Wait(std::chrono::seconds(1)); !status.ok()) return status;
    options_.say(
        absl::StrCat("measuring Corral for ", options_.corral / std::chrono::seconds(1), " s"));
    status = Measure(figures.corral, AUDIT_VCPU_ENFORCED, [&] { return WatchAgents(figures); });
    const StageCounters last = stage_.Counters();
    figures.breaches = last.breaches - first.breaches;
    figures.rescues = last.rescues - first.rescues;
    figures.in_charge = stage_.InCharge();
    return status;
  }

 private:
  template <typename Course>
  absl::Status Measure(SelftestPart& part, audit_condition cross, Course&& course) {
    const std::vector<Duration> before = CpuTimes(vms_);
    if (absl::Status status = auditor_.Reset(); !status.ok()) return status;
    if (absl::Status status = course(); !status.ok()) return status;
    const absl::StatusOr<AuditReport> report = auditor_.Read();
    if (!report.ok()) return report.status();
    Describe(*report, cross, part);
    part.ran = CpuTimes(vms_);
    for (size_t i = 0; i < part.ran.size(); ++i) part.ran[i] -= before[i];
    return absl::OkStatus();
  }

  void Describe(const AuditReport& report, audit_condition cross, SelftestPart& part) const {
    part.observed = report.observed;
    part.complete = !report.gaps.Any();
    for (const AuditCore& core : report.cores) {
      if (core.cpus.empty() || !stage_.cpus().Contains(core.cpus.front())) continue;
      part.core_time += core[AUDIT_BUSY].time;
      part.cross_vm += core[cross].time;
      part.forced_idle += core[AUDIT_FORCED_IDLE].time;
      part.core_switches += core.switches;
    }
    for (const AuditThread& thread : report.threads) {
      for (const auto& vm : vms_)
        part.outside += thread.tgid == vm->pid() ? thread.exposure : Duration(0);
    }
  }

  // An agent of our own dies half-way.
  absl::Status WatchAgents(SelftestFigures& figures) {
    for (int look = 0; look < kLooks; ++look) {
      if (look > 0 && stage_.own_enclave()) {
        options_.say("killing the agent; the class goes on alone until there is another");
        if (absl::Status status = stage_.ReplaceAgent(); !status.ok()) return status;
      }
      const StageCounters before = stage_.Counters();
      if (absl::Status status = Wait(options_.corral / kLooks); !status.ok()) return status;
      const StageCounters after = stage_.Counters();
      figures.by_agent += after.by_agent - before.by_agent;
      figures.by_class += after.by_class - before.by_class;
    }
    return absl::OkStatus();
  }

  const SelftestOptions& options_;
  Stage& stage_;
  Auditor& auditor_;
  VmProcesses& vms_;
};

}  // namespace

absl::StatusOr<SelftestFigures> RunSelftest(const SelftestOptions& options) {
  HoldInterrupts();
  // Before the class, if that is to be loaded: a switch must be counted before the class acts on
  // it. VMs of the operator's are none of it.
  absl::StatusOr<Auditor> auditor = Auditor::Load({.exec_names = {}});
  if (!auditor.ok()) return auditor.status();
  options.say("looking for cores to test on");
  const absl::StatusOr<std::unique_ptr<Stage>> stage = Stage::Set(options.stage);
  if (!stage.ok()) return stage.status();
  if ((*stage)->own_class()) options.say("the class was loaded for this");

  SelftestFigures figures;
  utsname names{};
  if (uname(&names) == 0) figures.kernel = names.release;
  absl::StatusOr<VmProcesses> vms = StartVms((*stage)->cpus());
  absl::Status status = vms.status();
  if (vms.ok()) {
    std::vector<pid_t> pids;
    for (const auto& vm : *vms) pids.push_back(vm->pid());
    status = auditor->Declare(pids);
    if (status.ok()) status = Selftest(options, **stage, *auditor, *vms).Run(figures);
    vms->clear();
  }
  options.say("giving everything back");
  const absl::Status struck = (*stage)->Strike();
  if (!status.ok()) return status;
  figures.left_behind = std::string(struck.message());
  return figures;
}

}  // namespace corral
