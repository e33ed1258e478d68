// SPDX-License-Identifier: Apache-2.0
// Runs figures' rounds with Google Benchmark and makes numbers of them.
#ifndef CORRAL_TESTS_BENCH_MEASURE_H_
#define CORRAL_TESTS_BENCH_MEASURE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/figure.h"

namespace corral::bench {

// ns per operation.
struct Result {
  double ns = 0;      // the median of the repetitions, without the harness
  double spread = 0;  // how far apart their middle half is, as a share of the median; raw
};

// Every figure, by id. The repetitions of all figures are mixed, so that a noisy moment of the
// machine meets them all. Whatever a round fails with is returned. Once per process.
absl::StatusOr<std::map<std::string, Result>> Measure(const std::vector<Figure>& figures,
                                                      int repetitions);

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_MEASURE_H_
