// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/side_by_side/comparison.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/runtime/topology.h"
#include "kernel/audit/auditor.h"
#include "tests/bench/side_by_side/loads.h"

namespace corral::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr Duration kSettles = std::chrono::milliseconds(100);
constexpr std::pair<const char*, double> kPercentiles[] = {
    {"wake_p50_ns", 0.5}, {"wake_p99_ns", 0.99}, {"wake_p999_ns", 0.999}};
constexpr char kDefaultAgain[] = "default again";

// What one load came to under one scheduler, once; what is no sum is a share of the CPUs' time.
struct Figures {
  Duration cross_vm{};     // a core was in two VMs
  Duration longest{};      // of these stretches
  uint64_t overlaps = 0;   // their number
  uint64_t missed = 0;     // switches that the auditor did not see
  uint64_t switches = 0;   // of cores from one VM to another
  double work = 0;         // rounds per second
  double busy = 0;         // with vCPUs
  double forced_idle = 0;  // a sibling idle beside a vCPU
  double own = 0;          // of the scheduler's processes
  double fairness = 0;     // Jain's index of what the VMs had per vCPU: 1 is even
  std::vector<Duration> waits;
};
// Of one load, in the order in which the schedulers had their turns.
struct Run {
  std::string scheduler;
  std::vector<Figures> figures;  // by round
};
using Runs = std::vector<Run>;

std::vector<Figures>& FiguresOf(Runs& runs, const std::string& scheduler) {
  const auto same = [&](const Run& run) { return run.scheduler == scheduler; };
  auto run = std::find_if(runs.begin(), runs.end(), same);
  if (run == runs.end()) run = runs.insert(runs.end(), {.scheduler = scheduler, .figures = {}});
  return run->figures;
}

double Jain(const std::vector<double>& parts) {
  double sum = 0;
  double squares = 0;
  for (const double part : parts) {
    sum += part;
    squares += part * part;
  }
  return squares == 0 ? 1 : sum * sum / (squares * static_cast<double>(parts.size()));
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// Of all rounds.
std::vector<Duration> WaitsOf(const std::vector<Figures>& runs) {
  std::vector<Duration> waits;
  for (const Figures& run : runs) waits.insert(waits.end(), run.waits.begin(), run.waits.end());
  return waits;
}

double Percentile(std::vector<Duration> waits, double share) {
  std::sort(waits.begin(), waits.end());
  const auto at = static_cast<size_t>(share * static_cast<double>(waits.size() - 1));
  return static_cast<double>(waits[at].count());
}

class Comparison {
 public:
  Comparison(Auditor& auditor, const Topology& topology, const ComparisonOptions& options)
      : auditor_(auditor), topology_(topology), options_(options) {}

  // All loads under one scheduler; null: the default one.
  absl::Status Measure(const std::string& name, Contender* contender) {
    for (const Load& load : Loads()) {
      if (!Chosen(options_.loads, load.name)) continue;
      options_.progress(absl::StrCat(name, ": ", load.name));
      const absl::StatusOr<Figures> figures = Measure(load, contender);
      if (!figures.ok())
        return absl::Status(figures.status().code(),
                            absl::StrCat(name, ", ", load.name, ": ", figures.status().message()));
      FiguresOf(runs_[load.name], name).push_back(*figures);
    }
    return absl::OkStatus();
  }

  static bool Chosen(const std::vector<std::string>& chosen, const std::string& name) {
    return chosen.empty() || std::find(chosen.begin(), chosen.end(), name) != chosen.end();
  }

  Json ToJson() const {
    Json loads = Json::array();
    for (const Load& load : Loads()) {
      if (const auto runs = runs_.find(load.name); runs != runs_.end())
        loads.push_back(LoadJson(load, runs->second));
    }
    return loads;
  }

 private:
  absl::StatusOr<Figures> Measure(const Load& load, Contender* contender) {
    std::vector<BenchVm> vms;
    for (size_t core = 0; core < topology_.cores().size(); ++core) {
      for (const VmShape& shape : load.vms) {
        absl::StatusOr<BenchVm> vm = BenchVm::Start(shape);
        if (!vm.ok()) return vm.status();
        vms.push_back(*std::move(vm));
      }
    }
    std::vector<pid_t> pids;
    for (const BenchVm& vm : vms) pids.push_back(vm.pid());
    absl::Status status = auditor_.Declare(pids);
    if (status.ok() && contender != nullptr) status = contender->Adopt(vms);
    if (!status.ok()) return status;
    std::this_thread::sleep_for(kSettles);
    return Observe(vms, contender);
  }

  absl::StatusOr<Figures> Observe(std::vector<BenchVm>& vms, const Contender* contender) {
    if (const absl::Status status = auditor_.Reset(); !status.ok()) return status;
    const Duration own = contender == nullptr ? Duration(0) : contender->OwnTime();
    std::vector<Duration> had;
    for (BenchVm& vm : vms) {
      vm.Begin();
      had.push_back(vm.CpuTime());
    }
    const Clock::time_point began = Clock::now();
    std::this_thread::sleep_for(options_.time);
    const std::chrono::duration<double> elapsed = Clock::now() - began;
    const absl::StatusOr<AuditReport> report = auditor_.Read();
    if (!report.ok()) return report.status();
    const auto share = [&](Duration time) {
      return std::chrono::duration<double>(time) / elapsed /
             static_cast<double>(topology_.cpus().size());
    };
    Figures figures = {.cross_vm = report->total[AUDIT_VCPU_VCPU].time,
                       .longest = report->total[AUDIT_VCPU_VCPU].longest,
                       .overlaps = report->total[AUDIT_VCPU_VCPU].count,
                       .missed = report->gaps.missed_switches + report->gaps.lost_threads +
                                 report->gaps.lost_processes,
                       .switches = report->total.switches,
                       .forced_idle = share(report->total[AUDIT_FORCED_IDLE].time)};
    if (contender != nullptr) figures.own = share(contender->OwnTime() - own);
    std::vector<double> parts;
    for (size_t i = 0; i < vms.size(); ++i) {
      const double part = share(vms[i].CpuTime() - had[i]);
      figures.busy += part;
      parts.push_back(part / static_cast<double>(vms[i].tids().size()));
      figures.work += static_cast<double>(vms[i].rounds()) / elapsed.count();
      const std::vector<Duration> waits = vms[i].Waits();
      figures.waits.insert(figures.waits.end(), waits.begin(), waits.end());
    }
    figures.fairness = Jain(parts);
    return figures;
  }

  // Of all rounds: medians, percentiles of all waits, and sums of what must not be.
  static Json ResultJson(const std::string& scheduler, const std::vector<Figures>& runs) {
    const auto median = [&](auto figure) {
      std::vector<double> values;
      for (const Figures& run : runs) values.push_back(figure(run));
      return Median(std::move(values));
    };
    Duration cross_vm{0};
    Duration longest{0};
    uint64_t overlaps = 0;
    uint64_t missed = 0;
    for (const Figures& run : runs) {
      cross_vm += run.cross_vm;
      longest = std::max(longest, run.longest);
      overlaps += run.overlaps;
      missed += run.missed;
    }
    Json json = {{"scheduler", scheduler},
                 {"cross_vm_ns", cross_vm.count()},
                 {"missed_switches", missed},
                 {"overlaps", overlaps},
                 {"longest_overlap_ns", longest.count()},
                 {"busy", median([](const Figures& run) { return run.busy; })},
                 {"forced_idle", median([](const Figures& run) { return run.forced_idle; })},
                 {"own_time", median([](const Figures& run) { return run.own; })},
                 {"fairness", median([](const Figures& run) { return run.fairness; })},
                 {"switches", median([](const Figures& run) { return double(run.switches); })}};
    if (runs.front().work > 0) json["work"] = median([](const Figures& run) { return run.work; });
    if (const std::vector<Duration> waits = WaitsOf(runs); !waits.empty()) {
      for (const auto& [name, share] : kPercentiles) json[name] = Percentile(waits, share);
    }
    return json;
  }

  // How far two turns of the same scheduler are from one another, in parts of their mean.
  static double Apart(double a, double b) { return 2 * std::abs(a - b) / (a + b); }

  // The default scheduler has the first and the last turn.
  static Json LoadJson(const Load& load, const Runs& runs) {
    Json json = {{"name", load.name}, {"what", load.what}};
    const std::vector<Figures>& first = runs.front().figures;
    const std::vector<Figures>& last = runs.back().figures;
    std::vector<double> apart;
    for (size_t round = 0; round < first.size(); ++round)
      apart.push_back(Apart(first[round].work, last[round].work));
    const bool works = first.front().work > 0;
    if (works) json["noise"] = Median(apart);
    if (const std::vector<Duration> waits = WaitsOf(first); !waits.empty()) {
      for (const auto& [name, share] : kPercentiles)
        json[absl::StrCat("noise_", name)] =
            Apart(Percentile(waits, share), Percentile(WaitsOf(last), share));
      if (!works) json["noise"] = json["noise_wake_p99_ns"];
    }
    for (const auto& [scheduler, figures] : runs)
      json["results"].push_back(ResultJson(scheduler, figures));
    return json;
  }

  Auditor& auditor_;
  const Topology& topology_;
  const ComparisonOptions& options_;
  std::map<std::string, Runs> runs_;  // by load
};

// One scheduler's turn; why it cannot be had, if so.
absl::StatusOr<std::optional<std::string>> TakeTurn(const ContenderKind& kind,
                                                    Comparison& comparison) {
  const absl::StatusOr<std::unique_ptr<Contender>> contender = kind.start();
  if (absl::IsUnimplemented(contender.status())) return std::string(contender.status().message());
  if (!contender.ok()) return contender.status();
  if (const absl::Status status = comparison.Measure(kind.name, contender->get()); !status.ok())
    return status;
  return std::nullopt;
}

}  // namespace

absl::StatusOr<Json> Compare(const std::vector<ContenderKind>& kinds,
                             const ComparisonOptions& options) {
  const absl::StatusOr<Topology> topology = Topology::FromHost();
  if (!topology.ok()) return topology.status();
  absl::StatusOr<Auditor> auditor = Auditor::Load({});
  if (!auditor.ok()) return auditor.status();
  Comparison comparison(*auditor, *topology, options);
  Json json = {{"rounds", options.rounds},
               {"seconds", std::chrono::duration<double>(options.time).count()},
               {"cpus", topology->cpus().size()},
               {"cores", topology->cores().size()}};
  for (int round = 0; round < options.rounds; ++round) {
    if (const absl::Status status = comparison.Measure(kDefaultScheduler, nullptr); !status.ok())
      return status;
    for (const ContenderKind& kind : kinds) {
      if (!Comparison::Chosen(options.schedulers, kind.name)) continue;
      const absl::StatusOr<std::optional<std::string>> missing = TakeTurn(kind, comparison);
      if (!missing.ok()) return missing.status();
      if (missing->has_value()) json["missing"][kind.name] = **missing;
    }
    if (const absl::Status status = comparison.Measure(kDefaultAgain, nullptr); !status.ok())
      return status;
  }
  json["loads"] = comparison.ToJson();
  return json;
}

}  // namespace corral::bench
