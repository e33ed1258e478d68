// SPDX-License-Identifier: Apache-2.0
#include "kernel/agent_view.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "kernel/call_status.h"
#include "kernel/text_field.h"

namespace corral {
namespace {

struct CommitProgram {
  AgentCall call;
  uint32_t most;  // transactions
};

CommitProgram CommitFor(uint32_t transactions) {
  if (transactions <= 1) return {AgentCall::kCommit, 1};
  if (transactions <= GHOST_COMMIT_FEW_CORES)
    return {AgentCall::kCommitFew, GHOST_COMMIT_FEW_CORES};
  return {AgentCall::kCommitMany, GHOST_COMMIT_MAX_CORES};
}

}  // namespace

absl::Status AgentView::Bind(const Memory& memory, absl::string_view enclave,
                             uint64_t first_cookie) {
  memory_ = memory;
  next_cookie_ = first_cookie;
  if (const absl::Status status = CheckAbiVersion(info(), "agent"); !status.ok()) return status;
  return FindEnclave(enclave);
}

absl::Status AgentView::FindEnclave(absl::string_view name) {
  for (uint32_t id = 1; id < memory_.enclaves.size(); ++id) {
    const ghost_enclave& e = memory_.enclaves[id];
    if (e.in_use && name == TextOf(e.name)) {
      enclave_id_ = EnclaveId(id);
      return absl::OkStatus();
    }
  }
  return absl::NotFoundError(
      absl::StrCat("the class has no enclave named ", name, "; corralctl status lists them"));
}

absl::Status AgentView::CallEnter(CoreId core, bool leave) {
  ghost_agent_enter args = {.abi_version = GHOST_ABI_VERSION, .core = core.value(), .leave = leave};
  return StatusOfCall(CallClass(AgentCall::kEnter, &args, sizeof(args)), args,
                      leave ? "leaving a core" : "becoming the agent of a core");
}

absl::Status AgentView::EnterAgent(CoreId core) { return CallEnter(core, false); }
absl::Status AgentView::LeaveAgent(CoreId core) { return CallEnter(core, true); }

size_t SizeOfCommit(uint32_t transactions) {
  return offsetof(ghost_commit, txn) + transactions * sizeof(ghost_core_txn);
}

absl::Status AgentView::Commit(ghost_commit& commit) {
  if (commit.nr > GHOST_COMMIT_MAX_CORES) {
    return absl::InvalidArgumentError(absl::StrCat("a commit names ", commit.nr, " cores; at most ",
                                                   GHOST_COMMIT_MAX_CORES, " fit"));
  }
  commit.abi_version = GHOST_ABI_VERSION;
  for (uint32_t i = 0; i < commit.nr; ++i)
    commit.txn[i].cookie = next_cookie_.fetch_add(1, std::memory_order_relaxed);
  const auto [call, most] = CommitFor(commit.nr);
  // Little more than what is in use crosses the boundary.
  if (const absl::Status status =
          StatusOfCall(CallClass(call, &commit, SizeOfCommit(most)), commit, "commit");
      !status.ok()) {
    return status;
  }
  for (uint32_t i = 0; i < commit.nr; ++i) {
    ghost_core_txn& txn = commit.txn[i];
    txn.state = commit.states[i];
    // What the siblings came to is in the class's own memory, stamped with the caller's cookie.
    if (txn.core >= memory_.txns.size()) continue;
    const ghost_core_txn& outcome = memory_.txns[txn.core];
    if (__atomic_load_n(&outcome.cookie, __ATOMIC_ACQUIRE) == txn.cookie) txn = outcome;
  }
  return absl::OkStatus();
}

absl::StatusOr<Association> AgentView::Associate(Gtid task, uint64_t barrier, QueueId queue) {
  ghost_associate args = {.gtid = task.value(), .barrier = barrier, .queue = queue.value()};
  const absl::Status status = StatusOfCall(CallClass(AgentCall::kAssociate, &args, sizeof(args)),
                                           args, "associating a task with a queue");
  if (!status.ok()) return status;
  return Association{.already = (args.status & GHOST_ASSOC_ALREADY) != 0,
                     .brand_new = (args.status & GHOST_ASSOC_BRAND_NEW) != 0};
}

absl::Status AgentView::ArmTimer(CpuId cpu, Time when, uint64_t cookie) {
  if (cpu.value() < 0) return absl::InvalidArgumentError("there is no CPU below 0");
  const auto ns = static_cast<uint64_t>(std::max<int64_t>(when.time_since_epoch().count(), 1));
  ghost_timer_arm args = {.cpu = static_cast<uint32_t>(cpu.value()),
                          .when_ns = when == Time::max() ? 0 : ns,
                          .cookie = cookie};
  return StatusOfCall(CallClass(AgentCall::kArmTimer, &args, sizeof(args)), args, "arming a timer");
}

absl::Status AgentView::Grant(Gtid task, const Verdict& verdict) {
  ghost_task_grant args = {.gtid = task.value(),
                           .granted_ns = static_cast<uint64_t>(verdict.granted.count()),
                           .free_ns = static_cast<uint64_t>(verdict.free.count()),
                           .place = verdict.place.value()};
  return StatusOfCall(CallClass(AgentCall::kGrant, &args, sizeof(args)), args,
                      "telling what a task is promised");
}

absl::Status AgentView::Account(Gtid task, const ghost_waits& waits) {
  ghost_task_account args = {.gtid = task.value(), .waits = waits};
  return StatusOfCall(CallClass(AgentCall::kAccount, &args, sizeof(args)), args,
                      "telling what a task waited for");
}

absl::Status AgentView::OfferTask(Gtid task, Offer offer) {
  ghost_task_offer args = {.gtid = task.value(), .offer = static_cast<uint32_t>(offer)};
  return StatusOfCall(CallClass(AgentCall::kOffer, &args, sizeof(args)), args,
                      "telling who may take a task");
}

}  // namespace corral
