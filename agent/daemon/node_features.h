// SPDX-License-Identifier: Apache-2.0
// What Kubernetes may know of this host when it places VMs: a feature file of Node Feature
// Discovery, of which its nfd-worker makes labels feature.node.kubernetes.io/corral.*. Written only
// where NFD has its folder.
//
// It expires unless it is written again, so no label outlives what it says by more than kExpiry:
// neither corrald nor the class has to be there to take it away. What goes wrong is told once. One
// thread.
// Source: NFD's customization guide, "Local feature source".
#ifndef CORRAL_AGENT_DAEMON_NODE_FEATURES_H_
#define CORRAL_AGENT_DAEMON_NODE_FEATURES_H_

#include <functional>
#include <string>

#include "absl/time/time.h"
#include "agent/events/news.h"
#include "config/config.h"
#include "kernel/types.h"

namespace corral {

class NodeFeatures {
 public:
  using Log = std::function<void(const News&)>;
  static constexpr Duration kRefresh = std::chrono::minutes(1);
  static constexpr Duration kExpiry = std::chrono::minutes(3);

  // `root`: where etc/ and sys/ are looked for; "" on a real machine.
  explicit NodeFeatures(Log log, std::string root = "");

  // To be called a few times a second. `vms`: the enclave that holds VMs, as it is now; nullptr if
  // none does. `date`: `now` by the calendar.
  void Poll(Time now, absl::Time date, const EnclaveConfig* vms);

 private:
  std::string Facts(const EnclaveConfig* vms) const;

  const Log log_;
  const std::string root_;
  const std::string file_;
  std::string written_;  // without the date of expiry
  Time looked_{};
  Time wrote_{};
  bool told_ = false;
};

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_NODE_FEATURES_H_
