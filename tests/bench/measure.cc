// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/measure.h"

#include <benchmark/benchmark.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace corral::bench {
namespace {

// CPU seconds of the timed parts of one repetition.
constexpr double kMinSeconds = 0.03;

// The seconds per round of each repetition, by figure.
class Collector final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration || run.iterations == 0) continue;
      rounds_[run.run_name.function_name].push_back(run.real_accumulated_time /
                                                    static_cast<double>(run.iterations));
    }
  }
  std::vector<double> Sorted(const std::string& id) const {
    const auto found = rounds_.find(id);
    if (found == rounds_.end()) return {};
    std::vector<double> sorted = found->second;
    std::sort(sorted.begin(), sorted.end());
    return sorted;
  }

 private:
  std::map<std::string, std::vector<double>> rounds_;
};

// `share` of the way from the least to the most.
double Quantile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

void Register(const Figure& figure, int repetitions, absl::Status& failure) {
  benchmark::RegisterBenchmark(figure.id.c_str(),
                               [&figure, &failure](benchmark::State& state) {
                                 for (auto _ : state) {
                                   const absl::StatusOr<double> seconds = figure.round();
                                   if (!seconds.ok()) {
                                     failure.Update(seconds.status());
                                     state.SkipWithError(failure.ToString().c_str());
                                     break;
                                   }
                                   state.SetIterationTime(*seconds);
                                 }
                               })
      ->UseManualTime()
      ->MinTime(kMinSeconds)
      ->Repetitions(repetitions);
}

}  // namespace

absl::StatusOr<std::map<std::string, Result>> Measure(const std::vector<Figure>& figures,
                                                      int repetitions) {
  std::string arguments[] = {"overheads", "--benchmark_enable_random_interleaving=true"};
  char* argv[] = {arguments[0].data(), arguments[1].data(), nullptr};
  int argc = 2;
  benchmark::Initialize(&argc, argv);
  absl::Status failure;
  for (const Figure& figure : figures) Register(figure, repetitions, failure);
  Collector collector;
  benchmark::RunSpecifiedBenchmarks(&collector);
  benchmark::Shutdown();
  if (!failure.ok()) return failure;

  std::map<std::string, Result> results;
  for (const Figure& figure : figures) {
    const std::vector<double> rounds = collector.Sorted(figure.id);
    const std::vector<double> harness = collector.Sorted(figure.subtract);
    if (rounds.empty() || (!figure.subtract.empty() && harness.empty()))
      return absl::InternalError(absl::StrCat("Google Benchmark did not run ", figure.id));
    const double median = Quantile(rounds, 0.5);
    const double harness_median = harness.empty() ? 0 : Quantile(harness, 0.5);
    results[figure.id] = {.ns = (median - harness_median) * 1e9 / figure.operations,
                          .spread = (Quantile(rounds, 0.75) - Quantile(rounds, 0.25)) / median};
  }
  return results;
}

}  // namespace corral::bench
