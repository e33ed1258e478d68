// SPDX-License-Identifier: Apache-2.0
// How an enclave comes by another policy, and what becomes of promises then.
#include "absl/strings/str_cat.h"
#include "agent/daemon/daemon.h"
#include "agent/daemon/enclaves.h"
#include "agent/views/vm_attributes.h"
#include "policies/registry.h"

namespace corral {

// Before anything is changed: a policy that cannot take what is there is not even started.
absl::Status Daemon::CheckSwitch(const Enclave& enclave, const EnclaveConfig& wanted) const {
  const absl::StatusOr<const PolicyInfo*> info = FindPolicy(wanted.policy);
  if (!info.ok()) return info.status();
  const size_t promised = GivenPromises(*kernel_, enclave.id).size();
  if ((*info)->promises || promised == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "enclave ", wanted.name, ": ", promised, " vCPUs are promised time, which policy ",
      wanted.policy, " does not give (corralctl domains); take their reservations back, or run: ",
      "corralctl policy set ", wanted.name, " ", wanted.policy, " --drop-promises"));
}

absl::Status Daemon::SwitchPolicy(Enclave& enclave, const EnclaveConfig& wanted,
                                  bool drop_promises) {
  if (wanted.policy == enclave.config.policy && wanted.options == enclave.config.options)
    return absl::OkStatus();
  if (!drop_promises) {
    if (const absl::Status status = CheckSwitch(enclave, wanted); !status.ok()) return status;
  }
  const Time begin = kernel_->Now();
  const absl::Status status = enclave.supervisor->SwitchTo(
      AgentFor(*kernel_, config_, wanted, enclave.id, agent_program_, options_.runtime_dir));
  if (!status.ok())
    return absl::Status(status.code(),
                        absl::StrCat("enclave ", wanted.name, ": ", status.message()));
  enclave.config.policy = wanted.policy;
  enclave.config.options = wanted.options;
  log_({Event::kPolicyChanged,
        absl::StrCat("enclave ", wanted.name, " has policy ", wanted.policy, " now, after ",
                     (kernel_->Now() - begin) / std::chrono::milliseconds(1), " ms"),
        {{"ENCLAVE", wanted.name}, {"POLICY", wanted.policy}}});
  return absl::OkStatus();
}

// What was granted stands in the status words until something else is asked for: the same is, and
// the policy that is there now judges it.
void Daemon::DropPromises(const Enclave& enclave) {
  for (const ghost_status_word& word : kernel_->status_words()) {
    if ((word.flags & GHOST_SW_INUSE) == 0 || word.enclave != enclave.id.value()) continue;
    if (word.granted_ns == 0) continue;
    // Gone meanwhile, or it will be told at the next change of its attributes.
    kernel_->UpdateTask(Gtid(word.gtid), AttributesOf(word)).IgnoreError();
  }
}

// The policy that decides may be another one than was asked for: the former came back.
void Daemon::FollowAgent(Enclave& enclave) {
  const AgentSpec& spec = enclave.supervisor->spec();
  if (spec.policy == enclave.config.policy && spec.options_json == enclave.config.options.ToJson())
    return;
  const absl::StatusOr<const PolicyInfo*> info = FindPolicy(spec.policy);
  if (!info.ok()) return;
  const absl::StatusOr<OptionValues> options =
      OptionValues::FromJson((*info)->options, spec.options_json);
  enclave.config.policy = spec.policy;
  if (options.ok()) enclave.config.options = *options;
}

}  // namespace corral
