// SPDX-License-Identifier: Apache-2.0
// Schedulers beside one another, under the same loads in the same run. The default scheduler is
// measured at the beginning and at the end of each round: how far it is from itself (A/A) is the
// noise, which no ratio is better than. Judge of isolation is the auditor, under each of them.
//
// Times in ns; work in rounds of a calculation per second. Root; one thread.
#ifndef CORRAL_TESTS_BENCH_SIDE_BY_SIDE_COMPARISON_H_
#define CORRAL_TESTS_BENCH_SIDE_BY_SIDE_COMPARISON_H_

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernel/types.h"
#include "tests/bench/side_by_side/contenders.h"

namespace corral::bench {

struct ComparisonOptions {
  int rounds = 3;
  Duration time = std::chrono::seconds(1);  // of each measurement
  std::vector<std::string> schedulers;      // besides the default one; empty: all
  std::vector<std::string> loads;           // empty: all
  std::function<void(const std::string&)> progress;
};

// {"rounds", "cpus", "cores", "loads": [{"name", "what", "noise", ..., "results": [{"scheduler",
// "cross_vm_ns", "work", ...}]}], "missing": {SCHEDULER: WHY}}. An error: a scheduler that could be
// had failed.
absl::StatusOr<nlohmann::ordered_json> Compare(const std::vector<ContenderKind>& kinds,
                                               const ComparisonOptions& options);

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_SIDE_BY_SIDE_COMPARISON_H_
