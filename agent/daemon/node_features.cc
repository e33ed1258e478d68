// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/node_features.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "kernel/atomic_file.h"
#include "kernel/bpf/sched_ext_state.h"

namespace corral {
namespace {

constexpr Duration kLook = std::chrono::seconds(1);
constexpr char kFolder[] = "/etc/kubernetes/node-feature-discovery/features.d";

}  // namespace

NodeFeatures::NodeFeatures(Log log, std::string root)
    : log_(std::move(log)),
      root_(std::move(root)),
      file_(absl::StrCat(root_, kFolder, "/corral")) {}

// Whatever the policy is, it is the class that keeps VMs apart.
std::string NodeFeatures::Facts(const EnclaveConfig* vms) const {
  if (vms == nullptr || !ReadSchedExtState(root_).Ours()) return "corral.isolation=false\n";
  return absl::StrCat("corral.isolation=true\n",
                      "corral.admission=", vms->admission == Admission::kStrict ? "strict" : "open",
                      "\n", "corral.policy=", vms->policy, "\n");
}

void NodeFeatures::Poll(Time now, absl::Time date, const EnclaveConfig* vms) {
  if (looked_ != Time{} && now < looked_ + kLook) return;
  looked_ = now;
  if (access((root_ + kFolder).c_str(), F_OK) != 0) return;
  const std::string facts = Facts(vms);
  if (facts == written_ && now < wrote_ + kRefresh) return;
  const std::string expiry =
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", date + absl::FromChrono(kExpiry), absl::UTCTimeZone());
  const absl::Status status = ReplaceFile(
      file_, absl::StrCat("# Written by corrald(8), again and again.\n# +expiry-time=", expiry,
                          "\n", facts));
  if (status.ok()) {
    written_ = facts;
    wrote_ = now;
  } else if (!std::exchange(told_, true)) {
    log_(absl::StrCat("no labels for Kubernetes: ", status.message()));
  }
}

}  // namespace corral
