// SPDX-License-Identifier: Apache-2.0
// Keeps the audit log (agent/ledger): an entry every ten minutes, and one when corrald ends or
// begins anew, of what the kernel says of the class and the auditor of the cores. None of it is
// what the class, or corrald, thinks of itself.
//
// What goes wrong with the file is told once and leaves corrald as it is. One thread.
#ifndef CORRAL_AGENT_DAEMON_LEDGER_KEEPER_H_
#define CORRAL_AGENT_DAEMON_LEDGER_KEEPER_H_

#include <functional>
#include <optional>
#include <string>

#include "agent/events/news.h"
#include "agent/ledger/ledger.h"
#include "agent/report/audit_watch.h"
#include "kernel/ghost_kernel.h"

namespace corral {

class LedgerKeeper {
 public:
  using Log = std::function<void(const News&)>;
  static constexpr Duration kEntry = std::chrono::minutes(10);

  // `folder`: corrald's state directory, which is made if it is not there. `kernel` must outlive
  // it. `system`: where sys/ is looked for; "" on a real machine.
  LedgerKeeper(const ControlKernel& kernel, const std::string& folder, Log log,
               std::string system = "");

  // To be called a few times a second.
  void Poll(Time now);
  // The last entry, because this process ends.
  void Finish();

 private:
  void Look(Time now);
  void Append(Time now);

  const ControlKernel& kernel_;
  const Log log_;
  const std::string system_;
  std::optional<ledger::Writer> writer_;
  report::AuditWatch audit_;
  ledger::Stretch stretch_;
  Time began_{};
  Time looked_{};
  bool in_charge_ = false;  // at the last look
  uint64_t trips_ = 0;      // of the class, by then
  int64_t told_hour_ = -1;
};

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_LEDGER_KEEPER_H_
