// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/rocksdb/latency.h"

#include <algorithm>
#include <cstddef>

namespace corral::bench {
namespace {

std::vector<double> Collect(const std::vector<Response>& responses, bool longs,
                            Duration Response::*what) {
  std::vector<double> values;
  for (const Response& response : responses) {
    if (response.is_long == longs) values.push_back(Us(response.*what));
  }
  return values;
}

}  // namespace

double Percentile(std::vector<double> values, int per_1000) {
  if (values.empty()) return 0;
  const size_t rank = (values.size() * static_cast<size_t>(per_1000) + 999) / 1000;
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(std::max<size_t>(rank, 1) - 1);
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

double ShortP99(const std::vector<Response>& responses) {
  return Percentile(Collect(responses, false, &Response::took), 990);
}

nlohmann::ordered_json Summarize(const std::vector<Response>& responses) {
  const std::vector<double> shorts = Collect(responses, false, &Response::took);
  const std::vector<double> waited = Collect(responses, false, &Response::waited);
  const std::vector<double> late = Collect(responses, false, &Response::late);
  const std::vector<double> longs = Collect(responses, true, &Response::took);
  return {{"short",
           {{"number", shorts.size()},
            {"p50_us", Percentile(shorts, 500)},
            {"p90_us", Percentile(shorts, 900)},
            {"p99_us", Percentile(shorts, 990)},
            {"p999_us", Percentile(shorts, 999)},
            {"waited_for_worker_p99_us", Percentile(waited, 990)},
            {"client_late_p99_us", Percentile(late, 990)}}},
          {"long",
           {{"number", longs.size()},
            {"p50_us", Percentile(longs, 500)},
            {"p99_us", Percentile(longs, 990)}}}};
}

}  // namespace corral::bench
