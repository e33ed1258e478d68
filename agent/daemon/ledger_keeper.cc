// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/ledger_keeper.h"

#include <sys/stat.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "kernel/audit/auditor.h"
#include "kernel/bpf/sched_ext_state.h"
#include "kernel/text_field.h"

namespace corral {
namespace {

constexpr Duration kLook = std::chrono::seconds(1);

}  // namespace

LedgerKeeper::LedgerKeeper(const ControlKernel& kernel, const std::string& folder, Log log,
                           std::string system)
    : kernel_(kernel),
      log_(std::move(log)),
      system_(std::move(system)),
      audit_(Auditor::kPinDir),
      trips_(kernel.info().trips) {
  mkdir(folder.c_str(), 0700);
  absl::StatusOr<ledger::Writer> writer =
      ledger::Writer::Open(absl::StrCat(folder, "/", ledger::kName));
  if (!writer.ok()) {
    log_({Event::kAuditLogBroken, absl::StrCat("no audit log: ", writer.status().message())});
    return;
  }
  writer_ = *std::move(writer);
  (void)audit_.Look();
  began_ = looked_ = kernel_.Now();
  stretch_.begin = absl::Now();
  in_charge_ = ReadSchedExtState(system_).Ours();
}

void LedgerKeeper::Poll(Time now) {
  if (!writer_ || now < looked_ + kLook) return;
  Look(now);
  if (now >= began_ + kEntry) Append(now);
}

void LedgerKeeper::Finish() {
  if (!writer_) return;
  Look(kernel_.Now());
  Append(kernel_.Now());
}

// Whoever was not in charge at one of two looks may not have been between them.
void LedgerKeeper::Look(Time now) {
  const bool in_charge = ReadSchedExtState(system_).Ours();
  if (in_charge && in_charge_) stretch_.in_charge += now - looked_;
  in_charge_ = in_charge;
  looked_ = now;
}

void LedgerKeeper::Append(Time now) {
  stretch_.end = absl::Now();
  const uint64_t trips = kernel_.info().trips;
  stretch_.bypassed = trips - std::exchange(trips_, trips);
  if (const std::optional<report::AuditSample> seen = audit_.Look()) {
    stretch_.watched = now - began_;
    stretch_.shared = seen->enforced;
    stretch_.exposed = seen->exposed;
    stretch_.complete = seen->complete;
  }
  for (uint32_t id = GHOST_DOMAIN_FIRST; id < kernel_.info().nr_domains; ++id) {
    const ghost_domain& domain = kernel_.domains()[id];
    if (domain.in_use && domain.nr_tasks > 0) stretch_.tenants.emplace_back(TextOf(domain.name));
  }
  const absl::Time end = stretch_.end;
  if (const absl::Status written = writer_->Append(stretch_); !written.ok()) {
    log_({Event::kAuditLogBroken,
          absl::StrCat("the audit log has a gap from now on: ", written.message())});
  }
  stretch_ = {.begin = end};
  began_ = now;
  const int64_t hour = absl::ToUnixSeconds(end) / 3600;
  if (std::exchange(told_hour_, hour) == hour) return;
  log_({Event::kAuditLogHead, absl::StrCat("the audit log has ", writer_->entries(),
                                           " entries; the last one's hash is ", writer_->head())});
}

}  // namespace corral
