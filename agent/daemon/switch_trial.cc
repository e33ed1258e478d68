// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/switch_trial.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace corral {

GivenPromises::GivenPromises(const ControlKernel& kernel, EnclaveId enclave) {
  const absl::Span<const ghost_status_word> words = kernel.status_words();
  for (uint32_t slot = 0; slot < words.size(); ++slot) {
    const ghost_status_word& word = words[slot];
    if ((word.flags & GHOST_SW_INUSE) == 0 || word.enclave != enclave.value()) continue;
    if (word.granted_ns == 0 || word.period_ns == 0) continue;
    by_gtid_[word.gtid] = {.slot = slot,
                           .budget_ns = word.budget_ns,
                           .period_ns = word.period_ns,
                           .missed_ns = kernel.waits()[slot].missed_ns};
  }
}

int GivenPromises::TakenBack(const ControlKernel& kernel) const {
  int taken_back = 0;
  for (const auto& [gtid, promise] : by_gtid_) {
    const ghost_status_word& word = kernel.status_words()[promise.slot];
    const bool asked_for = (word.flags & GHOST_SW_INUSE) != 0 && word.gtid == gtid &&
                           word.budget_ns == promise.budget_ns &&
                           word.period_ns == promise.period_ns;
    if (asked_for && word.granted_ns == 0) ++taken_back;
  }
  return taken_back;
}

double GivenPromises::Missed(const ControlKernel& kernel, Duration elapsed) const {
  double promised = 0, missed = 0;
  for (const auto& [gtid, promise] : by_gtid_) {
    const ghost_status_word& word = kernel.status_words()[promise.slot];
    if (word.gtid != gtid || word.granted_ns == 0) continue;
    promised += static_cast<double>(promise.budget_ns) / static_cast<double>(promise.period_ns) *
                static_cast<double>(elapsed.count());
    missed += static_cast<double>(kernel.waits()[promise.slot].missed_ns - promise.missed_ns);
  }
  return promised > 0 ? missed / promised : 0;
}

std::string SwitchTrial::Failure(Time now) const {
  for (const CoreId core : former_.spec.cores) {
    const ghost_core_state& state = kernel_.cores()[core.value()];
    if (state.agent_tid != 0 && state.agent_stalled != 0)
      return absl::StrCat("let tasks wait until the class scheduled core ", core.value(),
                          " without it");
  }
  if (!IsOver(now)) return "";
  if (const int taken_back = before_.TakenBack(kernel_); taken_back > 0)
    return absl::StrCat("took ", taken_back, " promises back");
  if (const double missed = before_.Missed(kernel_, now - begin_); missed > kMissed)
    return absl::StrFormat("missed %.1f %% of what is promised", missed * 100);
  return "";
}

}  // namespace corral
