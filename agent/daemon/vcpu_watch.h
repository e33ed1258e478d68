// SPDX-License-Identifier: Apache-2.0
// Tells the operator when a vCPU in the class begins or ceases to be unprotected, when a promise
// that was asked for cannot be given, and when pins make trust domains share a core.
//
// Looks at the class's memory; changes nothing. One thread.
#ifndef CORRAL_AGENT_DAEMON_VCPU_WATCH_H_
#define CORRAL_AGENT_DAEMON_VCPU_WATCH_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "agent/events/news.h"
#include "agent/views/protection.h"
#include "kernel/ghost_kernel.h"

namespace corral {

class VcpuWatch {
 public:
  // `kernel` must outlive the watch.
  explicit VcpuWatch(const ControlKernel& kernel) : kernel_(kernel) {}

  // What is new since the last look, a line each.
  std::vector<News> Look();

 private:
  // How one kind of trouble is told.
  struct Kind {
    absl::string_view word;
    Event begins, ends;
  };
  void Compare(const Kind& kind, std::vector<VcpuTrouble> now, std::map<Gtid, VcpuTrouble>& former,
               std::vector<News>& news) const;
  bool Exists(Gtid gtid) const;

  const ControlKernel& kernel_;
  std::map<Gtid, VcpuTrouble> unprotected_;
  std::map<Gtid, VcpuTrouble> refused_;
  std::set<std::string> conflicts_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_VCPU_WATCH_H_
