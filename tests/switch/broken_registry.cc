// SPDX-License-Identifier: Apache-2.0
// The policies of an agent that breaks: `fifo` alone, which does what the environment variable
// CORRAL_BROKEN says. Linked before the real registry, in whose place it is found.
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "policies/fifo/policy.h"
#include "policies/registry.h"

namespace corral {
namespace {

constexpr int kLastDecision = 100;

enum class Fault { kConstructor, kHundredthDecision, kNeverCommits, kNonsense };

Fault FaultOfThisProcess() {
  const char* const name = getenv("CORRAL_BROKEN");
  const std::string fault = name == nullptr ? "" : name;
  if (fault == "constructor") return Fault::kConstructor;
  if (fault == "never_commits") return Fault::kNeverCommits;
  return fault == "nonsense" ? Fault::kNonsense : Fault::kHundredthDecision;
}

class BrokenCore final : public CorePolicy {
 public:
  BrokenCore(std::unique_ptr<CorePolicy> sound, Fault fault)
      : sound_(std::move(sound)), fault_(fault) {}

  void TaskNew(Task& task, Time now) override { sound_->TaskNew(Seen(task), now); }
  void TaskWakeup(Task& task, Time now) override { sound_->TaskWakeup(Seen(task), now); }
  void TaskBlocked(Task& task, Time now) override { sound_->TaskBlocked(task, now); }
  void TaskPreempt(Task& task, Time now) override { sound_->TaskPreempt(Seen(task), now); }
  void TaskOnCpu(Task& task, Time now) override { sound_->TaskOnCpu(task, now); }
  void TaskDeparted(Task& task, Time now) override {
    if (seen_ == &task) seen_ = nullptr;
    sound_->TaskDeparted(task, now);
  }
  void Schedule(Time now, CoreTransaction& txn) override {
    switch (fault_) {
      case Fault::kNeverCommits:
        return;
      case Fault::kNonsense:
        // One task on all siblings at once.
        for (int i = 0; i < txn.nr_siblings() && seen_ != nullptr; ++i) txn.Run(i, *seen_);
        return;
      case Fault::kConstructor:
      case Fault::kHundredthDecision:
        if (++decisions_ == kLastDecision) abort();
        sound_->Schedule(now, txn);
    }
  }
  void Committed(const CoreTransaction& txn, Time now) override { sound_->Committed(txn, now); }
  Time NextDeadline() const override { return sound_->NextDeadline(); }
  bool IsQueued(const Task& task) const override { return sound_->IsQueued(task); }

 private:
  Task& Seen(Task& task) {
    seen_ = &task;
    return task;
  }

  const std::unique_ptr<CorePolicy> sound_;
  const Fault fault_;
  Task* seen_ = nullptr;
  int decisions_ = 0;
};

class BrokenPolicy final : public PerCorePolicy {
 public:
  BrokenPolicy(std::unique_ptr<PerCorePolicy> sound, Fault fault)
      : sound_(std::move(sound)), fault_(fault) {
    if (fault == Fault::kConstructor) abort();
  }
  std::unique_ptr<CorePolicy> MakeCore(int core) override {
    return std::make_unique<BrokenCore>(sound_->MakeCore(core), fault_);
  }
  int PlaceTask(const PlacementRequest& task) override { return sound_->PlaceTask(task); }
  void TaskPlaced(const PlacementRequest& task, int core) override {
    sound_->TaskPlaced(task, core);
  }
  void TaskUnplaced(const PlacementRequest& task, int core) override {
    sound_->TaskUnplaced(task, core);
  }

 private:
  const std::unique_ptr<PerCorePolicy> sound_;
  const Fault fault_;
};

absl::StatusOr<std::unique_ptr<PerCorePolicy>> MakeBroken(const PolicyContext& context) {
  return std::make_unique<BrokenPolicy>(
      std::make_unique<fifo::FifoPolicy>(context.topology, context.nr_slots,
                                         fifo::ReadOptions(context.options)),
      FaultOfThisProcess());
}

}  // namespace

absl::Span<const PolicyInfo> Policies() {
  static const PolicyInfo kPolicies[] = {{.name = "fifo",
                                          .summary = "breaks",
                                          .options = fifo::OptionTable(),
                                          .make_per_core = MakeBroken}};
  return kPolicies;
}

absl::StatusOr<const PolicyInfo*> FindPolicy(absl::string_view name) {
  if (name == "fifo") return &Policies().front();
  return absl::NotFoundError(absl::StrCat("the broken agent has no policy ", name));
}

}  // namespace corral
