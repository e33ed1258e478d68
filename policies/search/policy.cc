// SPDX-License-Identifier: Apache-2.0
#include "policies/search/policy.h"

#include <algorithm>

namespace corral::search {

using central::Assigner;
using central::Entry;

namespace {

constexpr absl::string_view kPlacements[] = {"nearest", "anywhere"};

// CPU time as a task of weight 100 would have had it.
int64_t Weighted(Duration time, uint32_t weight) {
  return time.count() * 100 / std::max<int64_t>(weight, 1);
}

}  // namespace

absl::Span<const OptionSpec> OptionTable() {
  static constexpr OptionSpec kTable[] = {
      {.name = "slice",
       .type = OptionType::kDuration,
       .default_value = "1ms",
       .min = "10us",
       .max = "10s",
       .help = "For how long a task keeps a CPU that one with less runtime waits for."},
      {.name = "park",
       .type = OptionType::kDuration,
       .default_value = "100us",
       .min = "1us",
       .max = "10ms",
       .help = "How long a task waits for a CPU of the L3 cache that it ran in, before it takes "
               "one elsewhere."},
      {.name = "credit",
       .type = OptionType::kDuration,
       .default_value = "10ms",
       .min = "10us",
       .max = "10s",
       .help = "How much CPU time a task may be ahead of the others, or behind, when it gets in "
               "line."},
      {.name = "placement",
       .type = OptionType::kChoice,
       .default_value = "nearest",
       .choices = kPlacements,
       .help = "Whether a task gets the nearest CPU to where it ran last, or any."},
  };
  return kTable;
}

Options ReadOptions(const OptionValues& values) {
  return {.slice = values.GetDuration("slice"),
          .park = values.GetDuration("park"),
          .credit = values.GetDuration("credit"),
          .nearest = values.GetChoice("placement") == "nearest"};
}

SearchPolicy::SearchPolicy(const Topology& topology, uint32_t nr_slots, const Options& options)
    : options_(options),
      board_(topology),
      assigner_(board_),
      seekers_(nr_slots),
      waiting_(nr_slots) {
  passed_over_.reserve(nr_slots);
  for (const Core& core : topology.cores()) {
    l3s_.resize(std::max(l3s_.size(), static_cast<size_t>(core.l3) + 1));
    l3s_[core.l3] = l3s_[core.l3] | core.siblings;
  }
}

// ---- what happens to tasks ----

void SearchPolicy::TaskNew(Task& task, Time now) {
  Seeker& seeker = seekers_[task];
  seeker = Seeker{.entry = {.task = &task},
                  .elapsed = floor_ + options_.credit.count(),
                  .charged = task.runtime,
                  .weight = task.weight,
                  .home = board_.topology().CoreOf(task.cpu)};
  seeker.given = seeker.home;
  if (task.state == TaskState::kQueued) GetInLine(task, now);
  if (task.state == TaskState::kOnCpu) TaskOnCpu(task, now);
}

void SearchPolicy::GetInLine(Task& task, Time now) {
  Seeker& seeker = seekers_[task];
  Charge(seeker);
  board_.TakeOff(seeker.entry);
  if (seeker.waits()) return;
  const int64_t credit = options_.credit.count();
  seeker.elapsed = std::clamp(seeker.elapsed, floor_ - credit, floor_ + credit);
  seeker.in_line_since = now;
  seeker.number = next_number_++;
  waiting_.Push(seeker);
}

void SearchPolicy::TaskBlocked(Task& task, Time) {
  Seeker& seeker = seekers_[task];
  Charge(seeker);
  board_.TakeOff(seeker.entry);
  waiting_.Erase(seeker);
}

void SearchPolicy::TaskOnCpu(Task& task, Time now) {
  Seeker& seeker = seekers_[task];
  waiting_.Erase(seeker);
  Charge(seeker);
  board_.Put(seeker.entry, task.cpu, now);
  seeker.given = seeker.entry.core;
}

// What it had so far counts by its former weight.
void SearchPolicy::TaskAttributesChanged(Task& task, Time) {
  Seeker& seeker = seekers_[task];
  const bool waits = seeker.waits();
  waiting_.Erase(seeker);
  Charge(seeker);
  seeker.weight = task.weight;
  if (waits) waiting_.Push(seeker);
}

// A CPU that was to have it, and did not, has nothing of it in its caches.
void SearchPolicy::Charge(Seeker& seeker) {
  const Duration runtime = seeker.entry.task->runtime;
  if (runtime > seeker.charged) seeker.home = seeker.given;
  seeker.elapsed += Weighted(runtime - seeker.charged, seeker.weight);
  seeker.charged = runtime;
}

// ---- the decision ----

void SearchPolicy::Schedule(Time now, EnclaveTransaction& txn) {
  scheduled_at_ = now;
  Begin(txn, now);
  Serve(now);
}

// Time passes for those that run.
void SearchPolicy::Begin(EnclaveTransaction& txn, Time now) {
  assigner_.Begin(txn);
  int64_t least = waiting_.empty() ? INT64_MAX : waiting_.top().elapsed;
  for (int c = 0; c < txn.nr_cores(); ++c) {
    for (int i = 0; i < txn.core(c).nr_siblings(); ++i) {
      board_.SetPaused(c, i, !txn.core(c).usable(i), now);
      const Entry* const entry = board_.at(c, i);
      if (entry != nullptr) least = std::min(least, ElapsedAt(seekers_[*entry->task], now));
    }
  }
  if (least != INT64_MAX) floor_ = std::max(floor_, least);
}

// In the order of the heap, those that get nothing included, which are put back afterwards.
void SearchPolicy::Serve(Time now) {
  next_unparked_ = Time::max();
  const auto yields = [&](const Entry& running, const Entry& waiting) {
    return Yields(seekers_[*running.task], seekers_[*waiting.task], now);
  };
  const auto distance = [&](const Entry& waiting, int core) {
    return DistanceOf(seekers_[*waiting.task], core, now);
  };
  while (!waiting_.empty()) {
    Seeker& seeker = waiting_.top();
    waiting_.Erase(seeker);
    passed_over_.push_back(&seeker);
    if (assigner_.Place(seeker.entry, yields, distance)) continue;
    if (assigner_.hopeless()) break;
    if (IsParked(seeker, now))
      next_unparked_ = std::min(next_unparked_, seeker.in_line_since + options_.park);
  }
  for (Seeker* const seeker : passed_over_) waiting_.Push(*seeker);
  passed_over_.clear();
}

bool SearchPolicy::Yields(const Seeker& running, const Seeker& waiting, Time now) const {
  return now >= running.entry.SliceEnd(options_.slice) && waiting.elapsed < ElapsedAt(running, now);
}

// The class tells how much it had when it leaves the CPU.
int64_t SearchPolicy::ElapsedAt(const Seeker& running, Time now) const {
  const Entry& entry = running.entry;
  const Duration ran = std::min(now, entry.paused_since) - entry.since - entry.paused;
  return running.elapsed + Weighted(entry.had + ran - running.charged, running.weight);
}

int SearchPolicy::DistanceOf(const Seeker& waiting, int core, Time now) const {
  if (!options_.nearest || waiting.home < 0) return kSameL3;
  const Core& here = board_.topology().core(core);
  const Core& there = board_.topology().core(waiting.home);
  if (here.l3 == there.l3) return kSameL3;
  if (IsParked(waiting, now)) return Assigner::kOutOfReach;
  return here.node == there.node ? kSameNode : kElsewhere;
}

// In vain where it may use none of the CPUs that it waits for.
bool SearchPolicy::IsParked(const Seeker& waiting, Time now) const {
  if (!options_.nearest || now >= waiting.in_line_since + options_.park) return false;
  if (waiting.home < 0) return false;
  return waiting.entry.task->affinity.Intersects(l3s_[board_.topology().core(waiting.home).l3]);
}

void SearchPolicy::Committed(int core, const CoreTransaction& txn, Time now) {
  board_.Follow(core, txn, now, [&](Task& task) -> Entry& {
    Seeker& seeker = seekers_[task];
    waiting_.Erase(seeker);
    seeker.given = core;
    return seeker.entry;
  });
}

// When somebody waits: a task whose slice was over had less than those then, so it is looked at
// again after another one.
Time SearchPolicy::NextDeadline() const {
  if (waiting_.empty()) return Time::max();
  Time next = next_unparked_;
  for (int c = 0; c < board_.topology().nr_cores(); ++c) {
    for (int i = 0; i < board_.topology().core(c).nr_cpus; ++i) {
      const Entry* const entry = board_.at(c, i);
      if (entry == nullptr || entry->pauses()) continue;
      const Time end = entry->SliceEnd(options_.slice);
      const int64_t missed = end > scheduled_at_ ? 0 : (scheduled_at_ - end) / options_.slice + 1;
      next = std::min(next, end + missed * options_.slice);
    }
  }
  return next;
}

}  // namespace corral::search
