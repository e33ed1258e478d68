// SPDX-License-Identifier: Apache-2.0
// What is measured, for a monitoring system: families as prometheus-cpp has them. Names and labels
// are part of the interface; docs: corralctl(1). Times in seconds.
#ifndef CORRAL_AGENT_METRICS_FAMILIES_H_
#define CORRAL_AGENT_METRICS_FAMILIES_H_

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>

#include <chrono>
#include <string>
#include <vector>

#include "kernel/types.h"

namespace corral::metrics {

using Families = std::vector<prometheus::MetricFamily>;
using Labels = std::vector<prometheus::ClientMetric::Label>;

inline double Seconds(Duration time) { return std::chrono::duration<double>(time).count(); }

// Adds samples to a new family at the end of `families`.
class Family {
 public:
  Family(Families& families, prometheus::MetricType type, std::string name, std::string help)
      : families_(families), at_(families.size()) {
    families.push_back({std::move(name), std::move(help), type, {}});
  }
  static Family Gauge(Families& families, std::string name, std::string help) {
    return {families, prometheus::MetricType::Gauge, std::move(name), std::move(help)};
  }
  static Family Histogram(Families& families, std::string name, std::string help) {
    return {families, prometheus::MetricType::Histogram, std::move(name), std::move(help)};
  }
  // The name ends in _total.
  static Family Counter(Families& families, std::string name, std::string help) {
    return {families, prometheus::MetricType::Counter, std::move(name), std::move(help)};
  }

  void Add(Labels labels, double value) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    metric.gauge.value = metric.counter.value = value;
    families_[at_].metric.push_back(std::move(metric));
  }
  // A histogram's: the rising bounds of its buckets, the last of them infinite, how many fell into
  // each, and the sum of all.
  void Add(Labels labels, const std::vector<double>& bounds, const std::vector<uint64_t>& counts,
           double sum) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    for (size_t i = 0; i < bounds.size(); ++i) {
      metric.histogram.sample_count += counts[i];
      metric.histogram.bucket.push_back(
          {.cumulative_count = metric.histogram.sample_count, .upper_bound = bounds[i]});
    }
    metric.histogram.sample_sum = sum;
    families_[at_].metric.push_back(std::move(metric));
  }

 private:
  Families& families_;
  const size_t at_;
};

// The text format that Prometheus and node_exporter read.
std::string Text(const Families& families);

}  // namespace corral::metrics

#endif  // CORRAL_AGENT_METRICS_FAMILIES_H_
