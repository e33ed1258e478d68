// SPDX-License-Identifier: Apache-2.0
#include "kernel/control_view.h"

#include <sched.h>
#include <algorithm>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "kernel/call_status.h"
#include "kernel/text_field.h"

namespace corral {
namespace {

uint32_t FlagsOf(const EnclaveSpec& spec) {
  return (spec.deliver_ticks ? GHOST_ENCLAVE_DELIVER_TICKS : 0) |
         (spec.deliver_availability ? GHOST_ENCLAVE_DELIVER_AVAILABILITY : 0);
}

}  // namespace

absl::Status ControlView::Bind(const Memory& memory) {
  memory_ = memory;
  return CheckAbiVersion(info(), "program");
}

template <typename Args>
absl::Status ControlView::Call(ControlCall call, absl::string_view what, Args& args) {
  return StatusOfCall(CallClass(call, &args, sizeof(args)), args, what);
}

absl::StatusOr<std::vector<CoreId>> ControlView::WholeCores(absl::string_view name,
                                                            const CpuSet& cpus,
                                                            EnclaveId owner) const {
  std::vector<CoreId> whole;
  for (uint32_t id = 0; id < info().nr_cores; ++id) {
    const ghost_core_state& core = memory_.cores[id];
    int in = -1;
    int out = -1;
    for (uint32_t i = 0; i < core.nr_cpus; ++i)
      (cpus.Contains(CpuId(core.cpus[i])) ? in : out) = core.cpus[i];
    if (in < 0) continue;
    if (out >= 0) {
      return absl::InvalidArgumentError(absl::StrCat("enclave ", name, " has CPU ", in,
                                                     " but not its SMT sibling ", out, "; add ",
                                                     out, " or take ", in, " out"));
    }
    if (core.enclave != GHOST_NO_ENCLAVE && core.enclave != owner.value()) {
      const absl::string_view other = TextOf(memory_.enclaves[core.enclave].name);
      return absl::FailedPreconditionError(
          absl::StrCat("CPU ", in, " belongs to enclave ", other, "; remove it there first"));
    }
    whole.push_back(CoreId(id));
  }
  if (whole.empty())
    return absl::InvalidArgumentError(absl::StrCat("enclave ", name, " has no CPU that is online"));
  return whole;
}

absl::Status ControlView::AssignCore(CoreId core, EnclaveId enclave) {
  if (enclave.value() != GHOST_NO_ENCLAVE) {
    if (const absl::Status status = MakeQueue(core); !status.ok()) return status;
  }
  ghost_core_assign args = {
      .core = core.value(), .enclave = enclave.value(), .queue = core.value()};
  return Call(ControlCall::kCoreAssign,
              absl::StrCat("giving core ", core.value(), " to an enclave"), args);
}

absl::StatusOr<EnclaveId> ControlView::CreateEnclave(const EnclaveSpec& spec) {
  if (spec.name.empty() || spec.name.size() >= GHOST_NAME_LEN) {
    return absl::InvalidArgumentError(absl::StrCat(
        "enclave name \"", spec.name, "\" must have 1 to ", GHOST_NAME_LEN - 1, " characters"));
  }
  const absl::StatusOr<std::vector<CoreId>> cores =
      WholeCores(spec.name, spec.cpus, EnclaveId(GHOST_NO_ENCLAVE));
  if (!cores.ok()) return cores.status();
  ghost_enclave_create args = {
      .abi_version = GHOST_ABI_VERSION,
      .flags = FlagsOf(spec),
      .tenure_ns = static_cast<uint64_t>(spec.tenure.count()),
      .runnable_timeout_ns = static_cast<uint64_t>(spec.runnable_timeout.count()),
      .first_queue = cores->front().value()};
  SetText(spec.name, args.name);
  if (const absl::Status status =
          Call(ControlCall::kEnclaveCreate, absl::StrCat("creating enclave ", spec.name), args);
      !status.ok()) {
    return status;
  }
  for (const CoreId core : *cores) {
    if (const absl::Status status = AssignCore(core, EnclaveId(args.enclave)); !status.ok()) {
      DestroyEnclave(EnclaveId(args.enclave)).IgnoreError();  // the first error is the one to tell
      return status;
    }
  }
  return EnclaveId(args.enclave);
}

absl::Status ControlView::Protect(EnclaveId enclave, const EnclaveProtection& protection) {
  ghost_enclave_update args = {.enclave = enclave.value()};
  if (protection.stop_on_loss) args.flags |= GHOST_ENCLAVE_STOP_ON_LOSS;
  if (protection.strict) args.flags |= GHOST_ENCLAVE_STRICT;
  return Call(ControlCall::kEnclaveUpdate, absl::StrCat("changing enclave ", enclave.value()),
              args);
}

absl::Status ControlView::ReshapeEnclave(EnclaveId enclave, const CpuSet& cpus) {
  if (enclave.value() == GHOST_NO_ENCLAVE || enclave.value() >= enclaves().size() ||
      enclaves()[enclave.value()].in_use == 0)
    return absl::NotFoundError(absl::StrCat("there is no enclave ", enclave.value()));
  const absl::StatusOr<std::vector<CoreId>> wanted =
      WholeCores(TextOf(enclaves()[enclave.value()].name), cpus, enclave);
  if (!wanted.ok()) return wanted.status();
  // Those that come first, so that there is always one.
  for (const CoreId core : *wanted) {
    if (cores()[core.value()].enclave == enclave.value()) continue;
    if (const absl::Status status = AssignCore(core, enclave); !status.ok()) return status;
  }
  for (uint32_t id = 0; id < info().nr_cores; ++id) {
    if (cores()[id].enclave != enclave.value() ||
        std::find(wanted->begin(), wanted->end(), CoreId(id)) != wanted->end())
      continue;
    if (const absl::Status status = AssignCore(CoreId(id), EnclaveId(GHOST_NO_ENCLAVE));
        !status.ok())
      return status;
  }
  return absl::OkStatus();
}

absl::Status ControlView::DestroyEnclave(EnclaveId enclave) {
  for (uint32_t id = 0; id < info().nr_domains; ++id) {
    if (memory_.domains[id].in_use && memory_.domains[id].enclave == enclave.value()) {
      if (const absl::Status status = DestroyDomain(DomainId(id)); !status.ok()) return status;
    }
  }
  for (uint32_t id = 0; id < info().nr_cores; ++id) {
    if (memory_.cores[id].enclave != enclave.value()) continue;
    if (const absl::Status status = AssignCore(CoreId(id), EnclaveId(GHOST_NO_ENCLAVE));
        !status.ok())
      return status;
  }
  ghost_enclave_destroy args = {.enclave = enclave.value()};
  return Call(ControlCall::kEnclaveDestroy, absl::StrCat("destroying enclave ", enclave.value()),
              args);
}

absl::Status ControlView::BlessAgent(pid_t tgid, EnclaveId enclave) {
  ghost_agent_bless args = {.tgid = static_cast<uint32_t>(tgid), .enclave = enclave.value()};
  return Call(ControlCall::kAgentBless, absl::StrCat("making process ", tgid, " an agent"), args);
}

absl::StatusOr<DomainId> ControlView::CreateDomain(EnclaveId enclave, const DomainKey& key,
                                                   absl::string_view name) {
  ghost_domain_create args = {.enclave = enclave.value()};
  memcpy(args.key, key.data(), key.size());
  SetText(name, args.name);
  const absl::Status status =
      Call(ControlCall::kDomainCreate, absl::StrCat("making trust domain ", name), args);
  if (!status.ok()) return status;
  return DomainId(args.domain);
}

absl::Status ControlView::DestroyDomain(DomainId domain) {
  ghost_domain_destroy args = {.domain = domain.value()};
  return Call(ControlCall::kDomainDestroy, absl::StrCat("destroying trust domain ", domain.value()),
              args);
}

absl::StatusOr<Gtid> ControlView::AttachTask(pid_t tid, DomainId domain, int vcpu, int weight) {
  const int policy = PolicyOf(tid);
  if (policy == SCHED_FIFO || policy == SCHED_RR || policy == SCHED_DEADLINE) {
    return absl::FailedPreconditionError(
        absl::StrCat("thread ", tid,
                     " has a real-time policy, which the class cannot isolate; take <vcpusched> "
                     "out of the domain's XML"));
  }
  ghost_task_attach args = {.tid = static_cast<uint32_t>(tid),
                            .domain = domain.value(),
                            .vcpu = static_cast<uint32_t>(vcpu),
                            .weight = static_cast<uint32_t>(weight)};
  const absl::Status status =
      Call(ControlCall::kTaskAttach, absl::StrCat("attaching thread ", tid), args);
  if (absl::IsAlreadyExists(status)) return Gtid(args.gtid);
  if (!status.ok()) return status;
  if (const absl::Status entered = SetPolicy(tid, kSchedExtPolicy); !entered.ok()) {
    DetachTask(Gtid(args.gtid)).IgnoreError();  // the first error is the one to tell
    return entered;
  }
  return Gtid(args.gtid);
}

absl::Status ControlView::UpdateTask(Gtid task, const TaskAttributes& attributes) {
  const bool capped = attributes.cap != Duration(0);
  if (attributes.weight == 0 || attributes.budget < Duration(0) || attributes.cap < Duration(0) ||
      attributes.period < attributes.budget || (capped && attributes.cap_period <= Duration(0))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "weight ", attributes.weight, ", budget ", attributes.budget.count(), " ns in ",
        attributes.period.count(), " ns, cap ", attributes.cap.count(), " ns in ",
        attributes.cap_period.count(),
        " ns: a weight is at least 1, a budget fits into its period, and a cap has one"));
  }
  ghost_task_update args = {.gtid = task.value(),
                            .budget_ns = static_cast<uint64_t>(attributes.budget.count()),
                            .period_ns = static_cast<uint64_t>(attributes.period.count()),
                            .cap_ns = static_cast<uint64_t>(attributes.cap.count()),
                            .cap_period_ns = static_cast<uint64_t>(attributes.cap_period.count()),
                            .weight = attributes.weight,
                            .node = attributes.node};
  return Call(ControlCall::kTaskUpdate, "changing what a task is promised", args);
}

absl::StatusOr<Gtid> ControlView::RelabelTask(Gtid task, DomainId domain) {
  ghost_task_relabel args = {.gtid = task.value(), .domain = domain.value()};
  const absl::Status status =
      Call(ControlCall::kTaskRelabel,
           absl::StrCat("moving a task to trust domain ", domain.value()), args);
  if (!status.ok()) return status;
  return Gtid(args.gtid);
}

absl::Status ControlView::DetachTask(Gtid task) {
  const uint32_t slot = GHOST_GTID_SLOT(task.value());
  if (slot >= memory_.status_words.size())
    return absl::NotFoundError(absl::StrCat("no task has slot ", slot));
  const ghost_status_word sw = memory_.status_words[slot];
  if (sw.gtid != task.value()) return absl::NotFoundError("the task has left the class already");
  const pid_t tid = static_cast<pid_t>(sw.tid);
  if (PolicyOf(tid) == kSchedExtPolicy) return SetPolicy(tid, static_cast<int>(sw.former_policy));
  ghost_task_detach args = {.gtid = task.value()};
  return Call(ControlCall::kTaskDetach, absl::StrCat("detaching thread ", tid), args);
}

absl::Status ControlView::RestoreTask(const ghost_task_restore& task) {
  ghost_task_restore args = task;
  return Call(ControlCall::kTaskRestore, "restoring what a task did", args);
}

absl::Status ControlView::RestoreCore(const ghost_core_restore& core) {
  ghost_core_restore args = core;
  return Call(ControlCall::kCoreRestore, absl::StrCat("restoring what core ", core.core, " did"),
              args);
}

}  // namespace corral
