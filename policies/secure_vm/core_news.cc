// SPDX-License-Identifier: Apache-2.0
// CoreScheduler, fifth part: what the lead hears of this core, and when it is called (ledger.h).
#include <algorithm>

#include "policies/secure_vm/core_scheduler.h"

namespace corral::secure_vm {

// One that was taken by a core that its domain has, beside others of it. It wants time as before:
// its domain is charged there, as it would be here.
bool CoreScheduler::JoinsItsDomain(const Task& task) const {
  const int core = topology_.CoreOf(task.cpu);
  return core >= 0 && ledger_.core(core).domain.load(std::memory_order_relaxed) == task.domain;
}

void CoreScheduler::SetAwake(Vcpu& vcpu, bool awake, Time now) {
  if (vcpu.pen == nullptr || vcpu.awake == awake) return;
  vcpu.pen->CountWanted(now, core_.nr_cpus);
  vcpu.awake = awake;
  vcpu.pen->nr_awake += awake ? 1 : -1;
  ledger_.of(vcpu.task->slot).awake.store(awake, std::memory_order_relaxed);
  // It may be the last one that is here.
  if (!awake) TellOf(*vcpu.pen, vcpu);
}

void CoreScheduler::TellOf(Pen& pen, const Vcpu& member) {
  Ledger::Entry& entry = ledger_.of(member.task->slot);
  Ledger::Add(entry.had, std::exchange(pen.had, Duration(0)));
  Ledger::Add(entry.wanted, std::exchange(pen.wanted, Duration(0)));
}

void CoreScheduler::TellNews(Time now) {
  for (const std::unique_ptr<Pen>& pen : pens_) {
    if (pen->nr_awake == 0) continue;
    pen->CountWanted(now, core_.nr_cpus);
    const Vcpu* member = pen->waiting.front();
    for (const Vcpu* v : running_) {
      if (v != nullptr && v->pen == pen.get()) member = v;
    }
    if (member != nullptr) TellOf(*pen, *member);
  }
  TellHolder(now);
  const bool crowded = holder_ != nullptr && holder_->nr_awake > core_.nr_cpus;
  if (ring_.empty() && !crowded) contended_since_ = now;
  if (!may_call_lead_ || now < contended_since_ + tenures_.longest) return;
  contended_since_ = now;
  calls_lead_ |= ledger_.CallLead();
}

void CoreScheduler::TellHolder(Time now) {
  const auto runs = [](const Vcpu* v) { return v != nullptr; };
  const auto first = std::find_if(running_.begin(), running_.end(), runs);
  const uint32_t holder = first == running_.end() ? Ledger::kNobody : (*first)->task->slot;
  Ledger::PerCore& core = ledger_.core(index_);
  core.told.store(now, std::memory_order_relaxed);
  core.free.store(now + (serving_ == nullptr ? Duration(0) : serving_->left()),
                  std::memory_order_relaxed);
  core.holder.store(holder, std::memory_order_relaxed);
  core.domain.store(holder_ == nullptr ? DomainId(0) : holder_->domain, std::memory_order_relaxed);
}

}  // namespace corral::secure_vm
