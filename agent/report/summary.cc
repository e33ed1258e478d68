// SPDX-License-Identifier: Apache-2.0
#include "agent/report/summary.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace corral::report {
namespace {

double Seconds(Duration time) { return std::chrono::duration<double>(time).count(); }

// The slices of a stretch of time.
class Slices {
 public:
  Slices(absl::Time from, absl::Time until, size_t count)
      : from_(from),
        width_(absl::ToDoubleSeconds(until - from) / static_cast<double>(count)),
        count_(count) {}

  size_t count() const { return count_; }

  // Calls `add(slice, seconds)` for each that the sample covers a part of.
  template <typename Add>
  void Cover(const Sample& sample, Add add) const {
    const double end = absl::ToDoubleSeconds(sample.at - from_);
    const double begin = std::max(end - Seconds(sample.window), 0.0);
    if (!(end > begin) || !(width_ > 0)) return;
    auto slice = std::min(static_cast<size_t>(begin / width_), count_ - 1);
    for (; slice < count_ && static_cast<double>(slice) * width_ < end; ++slice) {
      const double left = std::max(begin, static_cast<double>(slice) * width_);
      const double right = std::min(end, static_cast<double>(slice + 1) * width_);
      if (right > left) add(slice, right - left);
    }
  }

 private:
  const absl::Time from_;
  const double width_;
  const size_t count_;
};

// Adds up a figure by slice; a mean over the time that samples cover.
class Mean {
 public:
  explicit Mean(size_t slices) : sums_(slices) {}
  void Add(size_t slice, double value, double seconds) { sums_[slice] += value * seconds; }
  Series Of(const std::vector<double>& covered) const {
    Series series;
    for (size_t i = 0; i < sums_.size(); ++i)
      series.push_back(covered[i] > 0 ? sums_[i] / covered[i] : -1);
    return series;
  }

 private:
  std::vector<double> sums_;
};

using WaitCounts = std::array<uint64_t, GHOST_WAIT_BUCKETS>;

// By nearest rank.
Duration Percentile(const WaitCounts& waits, uint64_t all, int percent) {
  const uint64_t rank = (all * static_cast<uint64_t>(percent) + 99) / 100;
  uint64_t below = 0;
  for (unsigned i = 0; i + 1 < GHOST_WAIT_BUCKETS; ++i) {
    below += waits[i];
    if (below >= rank) return FromNs(ghost_wait_bound(i));
  }
  return Duration::max();
}

class DomainSums {
 public:
  explicit DomainSums(size_t slices)
      : used_(slices), guaranteed_(slices), waited_(slices), missed_(slices) {}

  void Add(const DomainSample& domain, double seconds) {
    seconds_ += seconds;
    sum_.vcpus = std::max(sum_.vcpus, domain.vcpus);
    sum_.refused = std::max(sum_.refused, domain.refused);
    sum_.unprotected = std::max(sum_.unprotected, domain.unprotected);
    sum_.cores = std::max(sum_.cores, domain.cores);
    sum_.guaranteed += domain.guaranteed * seconds;
    sum_.used_s += domain.used * seconds;
    sum_.most_used = std::max(sum_.most_used, domain.used);
    sum_.local_s += domain.local * seconds;
    sum_.remote_s += domain.remote * seconds;
    sum_.missed_s += domain.missed * seconds;
    sum_.unprotected_s += domain.unprotected * seconds;
    for (int why = 0; why < GHOST_NR_WAITS; ++why)
      sum_.waited_s[why] += domain.waited[why] * seconds;
    sum_.all_waited_s += domain.all_waited() * seconds;
    for (size_t i = 0; i < waits_.size(); ++i) waits_[i] += domain.waits[i];
  }
  void AddSlice(const DomainSample& domain, size_t slice, double seconds) {
    used_.Add(slice, domain.used, seconds);
    guaranteed_.Add(slice, domain.guaranteed, seconds);
    waited_.Add(slice, domain.all_waited(), seconds);
    missed_.Add(slice, domain.missed, seconds);
  }

  DomainSummary Of(std::string name, const std::vector<double>& covered) {
    sum_.name = std::move(name);
    if (seconds_ > 0) {
      sum_.guaranteed /= seconds_;
      sum_.used = sum_.used_s / seconds_;
    }
    sum_.waits = std::accumulate(waits_.begin(), waits_.end(), uint64_t{0});
    if (sum_.waits > 0) {
      sum_.wait = {Percentile(waits_, sum_.waits, 50), Percentile(waits_, sum_.waits, 90),
                   Percentile(waits_, sum_.waits, 99)};
    }
    sum_.used_over_time = used_.Of(covered);
    sum_.guaranteed_over_time = guaranteed_.Of(covered);
    sum_.waited_over_time = waited_.Of(covered);
    sum_.missed_over_time = missed_.Of(covered);
    return std::move(sum_);
  }

 private:
  DomainSummary sum_;
  double seconds_ = 0;
  WaitCounts waits_{};
  Mean used_, guaranteed_, waited_, missed_;
};

struct CoreSums {
  CoreSummary sum;
  Mean forced_idle;
};

class Summarizer {
 public:
  Summarizer(absl::Time from, absl::Time until, size_t slices)
      : slices_(from, until, slices),
        covered_(slices),
        used_(slices),
        guaranteed_(slices),
        waited_(slices),
        forced_idle_(slices),
        hand_over_(slices) {
    summary_.from = from;
    summary_.until = until;
  }

  void Add(const Sample& sample) {
    const double seconds = Seconds(sample.window);
    ++summary_.samples;
    summary_.simulated = summary_.simulated || sample.simulated;
    summary_.seconds += seconds;
    summary_.omitted = std::max(summary_.omitted, sample.omitted);
    slices_.Cover(sample, [this](size_t slice, double part) { covered_[slice] += part; });
    AddDomains(sample, seconds);
    AddCores(sample, seconds);
    if (!sample.audit) return;
    if (!summary_.audit) summary_.audit.emplace();
    AuditSums& sums = *summary_.audit;
    sums.watched_s += seconds;
    sums.enforced_s += Seconds(sample.audit->enforced);
    sums.exposed_s += Seconds(sample.audit->exposed);
    sums.forced_idle_s += Seconds(sample.audit->forced_idle);
    sums.complete = sums.complete && sample.audit->complete;
  }

  Summary Finish() {
    for (auto& [name, sums] : domains_) summary_.domains.push_back(sums.Of(name, covered_));
    std::stable_sort(summary_.domains.begin(), summary_.domains.end(), Before);
    for (auto& [id, sums] : cores_) {
      sums.sum.forced_idle_over_time = sums.forced_idle.Of(covered_);
      summary_.cores.push_back(std::move(sums.sum));
    }
    std::stable_sort(summary_.cores.begin(), summary_.cores.end(),
                     [](const CoreSummary& a, const CoreSummary& b) { return a.node < b.node; });
    std::set<uint32_t> nodes;
    for (const CoreSummary& core : summary_.cores) {
      nodes.insert(core.node);
      summary_.nr_cpus += core.cpus;
    }
    summary_.nr_cores = summary_.cores.size();
    summary_.nr_nodes = nodes.size();
    summary_.used_over_time = used_.Of(covered_);
    summary_.guaranteed_over_time = guaranteed_.Of(covered_);
    summary_.waited_over_time = waited_.Of(covered_);
    summary_.forced_idle_over_time = forced_idle_.Of(covered_);
    summary_.hand_over_over_time = hand_over_.Of(covered_);
    return std::move(summary_);
  }

 private:
  static bool Before(const DomainSummary& a, const DomainSummary& b) {
    const auto trouble = [](const DomainSummary& d) {
      return d.unprotected > 0 ? 3 : d.missed_s > 0 ? 2 : d.refused > 0 ? 1 : 0;
    };
    if (trouble(a) != trouble(b)) return trouble(a) > trouble(b);
    return a.used_s > b.used_s;
  }

  void AddDomains(const Sample& sample, double seconds) {
    std::set<std::string> names;
    for (const DomainSample& domain : sample.domains) {
      std::string name = domain.name;
      if (!names.insert(name).second) {
        absl::StrAppend(&name, " (", domain.id, ")");
        names.insert(name);
      }
      DomainSums& sums = domains_.try_emplace(name, slices_.count()).first->second;
      sums.Add(domain, seconds);
      const double forced = domain.waited[GHOST_WAIT_FORCED_IDLE];
      const double hands = domain.waited[GHOST_WAIT_HAND_OVER];
      summary_.used_s += domain.used * seconds;
      summary_.guaranteed_s += domain.guaranteed * seconds;
      summary_.waited_s += domain.all_waited() * seconds;
      summary_.missed_s += domain.missed * seconds;
      summary_.forced_idle_s += forced * seconds;
      summary_.hand_over_s += hands * seconds;
      summary_.local_s += domain.local * seconds;
      summary_.remote_s += domain.remote * seconds;
      summary_.unprotected_s += domain.unprotected * seconds;
      slices_.Cover(sample, [&](size_t slice, double part) {
        sums.AddSlice(domain, slice, part);
        used_.Add(slice, domain.used, part);
        guaranteed_.Add(slice, domain.guaranteed, part);
        waited_.Add(slice, domain.all_waited(), part);
        forced_idle_.Add(slice, forced, part);
        hand_over_.Add(slice, hands, part);
      });
    }
  }

  void AddCores(const Sample& sample, double seconds) {
    for (uint32_t id = 0; id < sample.cores.size(); ++id) {
      const CoreSample& core = sample.cores[id];
      summary_.breaches += core.breaches;
      if (core.enclave == GHOST_NO_ENCLAVE) continue;
      CoreSums& sums = cores_.try_emplace(id, CoreSums{{}, Mean(slices_.count())}).first->second;
      sums.sum.id = id;
      sums.sum.node = core.node;
      sums.sum.cpus = core.cpus;
      sums.sum.switches += core.switches;
      sums.sum.rescues += core.rescues;
      sums.sum.breaches += core.breaches;
      sums.sum.forced_idle_s += core.forced_idle * seconds;
      summary_.switches += core.switches;
      summary_.rescues += core.rescues;
      slices_.Cover(sample, [&](size_t slice, double part) {
        sums.forced_idle.Add(slice, core.forced_idle, part);
      });
    }
  }

  const Slices slices_;
  Summary summary_;
  std::vector<double> covered_;  // seconds of each slice that are known
  Mean used_, guaranteed_, waited_, forced_idle_, hand_over_;
  std::map<std::string, DomainSums> domains_;
  std::map<uint32_t, CoreSums> cores_;
};

}  // namespace

absl::StatusOr<Summary> Summarize(absl::Span<const Sample> samples) {
  if (samples.empty())
    return absl::InvalidArgumentError("there is no sample to report; ask for a longer time");
  absl::Time from = absl::InfiniteFuture(), until = absl::InfinitePast();
  for (const Sample& sample : samples) {
    from = std::min(from, sample.at - absl::FromChrono(sample.window));
    until = std::max(until, sample.at);
  }
  Summarizer summarizer(from, until, std::clamp<size_t>(samples.size(), 1, kMostSlices));
  for (const Sample& sample : samples) summarizer.Add(sample);
  Summary summary = summarizer.Finish();
  summary.incidents = FindIncidents(samples);
  return summary;
}

}  // namespace corral::report
