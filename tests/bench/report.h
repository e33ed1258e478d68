// SPDX-License-Identifier: Apache-2.0
// What came out, as a table for people and as JSON for programs.
#ifndef CORRAL_TESTS_BENCH_REPORT_H_
#define CORRAL_TESTS_BENCH_REPORT_H_

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/bench/figure.h"
#include "tests/bench/measure.h"

namespace corral::bench {

struct Report {
  std::vector<Figure> figures;
  std::map<std::string, Result> results;
  int repetitions = 0;
};

// One group of 100 CPUs against 100 commits of one CPU; the target is at most a fifth.
inline constexpr double kGroupTarget = 0.2;
double GroupRatio(const Report& report);

// What a decision of the centralized agent costs against one of the trivial FIFO: committed with
// the others at once, or the agent's own part alone. Rather to be believed than its time.
double CentralRatio(const Report& report);
double CentralAgentRatio(const Report& report);

// Of the trivial FIFO on one core; the target is at least three million.
inline constexpr double kDecisionsTarget = 3e6;
double DecisionsPerSecond(const Report& report, const std::string& id);

std::string Text(const Report& report);
nlohmann::ordered_json Json(const Report& report);

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_REPORT_H_
