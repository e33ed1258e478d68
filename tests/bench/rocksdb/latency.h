// SPDX-License-Identifier: Apache-2.0
// What responses come to: percentiles of short requests, of long ones, and of what the client
// itself was late by.
#ifndef CORRAL_TESTS_BENCH_ROCKSDB_LATENCY_H_
#define CORRAL_TESTS_BENCH_ROCKSDB_LATENCY_H_

#include <nlohmann/json.hpp>
#include <vector>

#include "kernel/types.h"
#include "tests/bench/rocksdb/client.h"

namespace corral::bench {

inline double Us(Duration time) { return static_cast<double>(time.count()) / 1e3; }

// The nearest rank; 0 of no values.
double Percentile(std::vector<double> values, int per_1000);

// 99 % of the short requests took at most so long, in us.
double ShortP99(const std::vector<Response>& responses);

nlohmann::ordered_json Summarize(const std::vector<Response>& responses);

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_ROCKSDB_LATENCY_H_
