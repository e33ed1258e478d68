// SPDX-License-Identifier: Apache-2.0
#include "policies/search/policy.h"

#include <algorithm>

namespace corral::search {

using central::Assigner;
using central::Entry;

namespace {

constexpr absl::string_view kPlacements[] = {"idle_cores", "nearest", "anywhere"};

// CPU time as a task of weight 100 would have had it.
int64_t Weighted(Duration time, uint32_t weight) {
  return time.count() * 100 / std::max<int64_t>(weight, 1);
}

Placement ReadPlacement(absl::string_view name) {
  if (name == "nearest") return Placement::kNearest;
  return name == "anywhere" ? Placement::kAnywhere : Placement::kIdleCores;
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
      {.name = "locality",
       .type = OptionType::kDuration,
       .default_value = "5ms",
       .min = "1us",
       .max = "10s",
       .help = "How long a task waits while those of a CPU's own L3 cache get it first, even if "
               "they had more runtime."},
      {.name = "placement",
       .type = OptionType::kChoice,
       .default_value = "idle_cores",
       .choices = kPlacements,
       .help = "Whether a task gets the nearest idle core to where it ran last, even where its L3 "
               "cache has an idle sibling of a busy one; or the nearest CPU; or any."},
  };
  return kTable;
}

Options ReadOptions(const OptionValues& values) {
  return {.slice = values.GetDuration("slice"),
          .park = values.GetDuration("park"),
          .credit = values.GetDuration("credit"),
          .locality = values.GetDuration("locality"),
          .placement = ReadPlacement(values.GetChoice("placement"))};
}

SearchPolicy::SearchPolicy(const Topology& topology, uint32_t nr_slots, const Options& options)
    : options_(options),
      board_(topology),
      assigner_(board_),
      seekers_(nr_slots),
      waiting_(nr_slots) {
  placed_.reserve(nr_slots);
  passed_over_.reserve(nr_slots);
  for (int c = 0; c < topology.nr_cores(); ++c) {
    const Core& core = topology.core(c);
    l3s_.resize(std::max(l3s_.size(), static_cast<size_t>(core.l3) + 1));
    l3s_[core.l3].cpus = l3s_[core.l3].cpus | core.siblings;
    l3s_[core.l3].cores.push_back(c);
  }
  idle_core_.resize(l3s_.size());
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
  in_line_.PushBack(seeker.entry);
}

void SearchPolicy::Leave(Seeker& seeker) {
  waiting_.Erase(seeker);
  in_line_.Erase(seeker.entry);
}

void SearchPolicy::TaskBlocked(Task& task, Time) {
  Seeker& seeker = seekers_[task];
  Charge(seeker);
  board_.TakeOff(seeker.entry);
  Leave(seeker);
}

void SearchPolicy::TaskOnCpu(Task& task, Time now) {
  Seeker& seeker = seekers_[task];
  Leave(seeker);
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
  if (waiting_.empty() && options_.placement == Placement::kIdleCores) Relieve(txn);
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

// Those that are to run wait until that is committed.
void SearchPolicy::Serve(Time now) {
  next_unparked_ = Time::max();
  if (options_.placement == Placement::kIdleCores) Offer(Reach::kIdleCores, now);
  if (options_.placement != Placement::kAnywhere) {
    if (!in_line_.empty() && IsOverdue(seekers_[*in_line_.front()->task], now))
      Offer(Reach::kAllIfOverdue, now);
    Offer(Reach::kOwnL3, now);
  }
  Offer(Reach::kAll, now);
  for (Seeker* const seeker : placed_) waiting_.Push(*seeker);
  placed_.clear();
}

// In the order of the heap. Those that get nothing are put back.
void SearchPolicy::Offer(Reach reach, Time now) {
  const auto yields = [&](const Entry& running, const Entry& waiting) {
    return reach != Reach::kIdleCores &&
           Yields(seekers_[*running.task], seekers_[*waiting.task], now);
  };
  bool parks = false;
  const auto distance = [&](const Entry& waiting, int core, int crowd) {
    const Seeker& seeker = seekers_[*waiting.task];
    const int far = DistanceOf(seeker, core);
    const bool stays = far == kSameL3 && (seeker.home >= 0 || reach != Reach::kOwnL3);
    if (reach == Reach::kIdleCores && crowd > 0) return Assigner::kOutOfReach;
    return stays || !parks ? far : Assigner::kOutOfReach;
  };
  while (!waiting_.empty()) {
    Seeker& seeker = waiting_.top();
    waiting_.Erase(seeker);
    if (reach == Reach::kAllIfOverdue && !IsOverdue(seeker, now)) {
      passed_over_.push_back(&seeker);
      continue;
    }
    parks = Parks(reach, seeker, now);
    const bool placed = reach == Reach::kAll ? assigner_.Place(seeker.entry, yields, distance)
                                             : assigner_.TryPlace(seeker.entry, yields, distance);
    (placed ? placed_ : passed_over_).push_back(&seeker);
    if (placed) continue;
    if (assigner_.hopeless()) break;
    if (reach == Reach::kAll && parks)
      next_unparked_ = std::min(next_unparked_, seeker.in_line_since + options_.park);
  }
  for (Seeker* const seeker : passed_over_) waiting_.Push(*seeker);
  passed_over_.clear();
}

// Of two that share a core while one of their L3 idles, one gets in line, and then that core.
void SearchPolicy::Relieve(EnclaveTransaction& txn) {
  const Topology& topology = board_.topology();
  std::fill(idle_core_.begin(), idle_core_.end(), -1);
  for (int c = 0; c < topology.nr_cores(); ++c) {
    if (assigner_.Crowd(c) == 0) idle_core_[topology.core(c).l3] = c;
  }
  for (int c = 0; c < topology.nr_cores(); ++c) {
    int& idle = idle_core_[topology.core(c).l3];
    if (idle < 0 || assigner_.Crowd(c) < 2) continue;
    const int sibling = Movable(txn.core(c), c, topology.core(idle).siblings);
    if (sibling < 0) continue;
    txn.Idle(c, sibling);
    idle = -1;
  }
}

// -1: none of those on the core may use `there`.
int SearchPolicy::Movable(const CoreTransaction& txn, int core, const CpuSet& there) const {
  for (int i = 0; i < txn.nr_siblings(); ++i) {
    const Entry* const entry = board_.at(core, i);
    if (entry != nullptr && txn.usable(i) && entry->task->affinity.Intersects(there)) return i;
  }
  return -1;
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

int SearchPolicy::DistanceOf(const Seeker& waiting, int core) const {
  if (options_.placement == Placement::kAnywhere || waiting.home < 0) return kSameL3;
  const Core& here = board_.topology().core(core);
  const Core& there = board_.topology().core(waiting.home);
  if (here.l3 == there.l3) return kSameL3;
  return here.node == there.node ? kSameNode : kElsewhere;
}

// Whether it stays with what its L3 has.
bool SearchPolicy::Parks(Reach reach, const Seeker& waiting, Time now) const {
  if (reach == Reach::kOwnL3) return true;
  return IsParked(waiting, now) && (reach != Reach::kIdleCores || !MayShare(waiting));
}

bool SearchPolicy::IsOverdue(const Seeker& waiting, Time now) const {
  return now >= waiting.in_line_since + options_.locality;
}

// Its L3 has a CPU for it, if only a sibling of a busy core.
bool SearchPolicy::MayShare(const Seeker& waiting) const {
  const Topology& topology = board_.topology();
  for (const int c : l3s_[topology.core(waiting.home).l3].cores) {
    for (int i = 0; i < topology.core(c).nr_cpus; ++i) {
      const CpuId cpu = topology.core(c).cpu[i];
      if (assigner_.IsIdle(c, i) && waiting.entry.task->affinity.Contains(cpu)) return true;
    }
  }
  return false;
}

// In vain where it may use none of the CPUs that it waits for.
bool SearchPolicy::IsParked(const Seeker& waiting, Time now) const {
  if (options_.placement == Placement::kAnywhere || now >= waiting.in_line_since + options_.park)
    return false;
  if (waiting.home < 0) return false;
  return waiting.entry.task->affinity.Intersects(
      l3s_[board_.topology().core(waiting.home).l3].cpus);
}

void SearchPolicy::Committed(int core, const CoreTransaction& txn, Time now) {
  board_.Follow(core, txn, now, [&](Task& task) -> Entry& {
    Seeker& seeker = seekers_[task];
    Leave(seeker);
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
