// SPDX-License-Identifier: Apache-2.0
// The demo's judgement on the machine that this runs on: throwaway VMs on a few cores, first under
// the default scheduler, then under Corral, and the auditor watches both. Takes about a minute and
// leaves nothing behind, also when it is interrupted.
//
// The throwaway VMs give way: they are as nice as can be, and have the least weight. Root only.
// Used from one thread, which must be the process's only one.
#ifndef CORRAL_AGENT_SELFTEST_SELFTEST_H_
#define CORRAL_AGENT_SELFTEST_SELFTEST_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "agent/selftest/stage.h"
#include "agent/selftest/verdict.h"

namespace corral {

struct SelftestOptions {
  StageOptions stage;
  // How long each is measured.
  Duration before{};
  Duration corral{};
  std::function<void(const std::string&)> say;  // what is going on, a line
};

// FailedPrecondition: it cannot be tried here; says what to do. Cancelled: SIGINT or SIGTERM came,
// and everything was given back.
absl::StatusOr<SelftestFigures> RunSelftest(const SelftestOptions& options);

}  // namespace corral

#endif  // CORRAL_AGENT_SELFTEST_SELFTEST_H_
