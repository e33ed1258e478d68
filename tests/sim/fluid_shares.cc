// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/fluid_shares.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace corral {
namespace {

// Domains that together have no more than `most`.
struct Bound {
  double most = 0;
  std::vector<size_t> domains;
};

std::vector<Bound> BoundsOf(int cores, int siblings, absl::Span<const FluidDomain> domains) {
  const uint32_t all = (uint32_t{1} << cores) - 1;
  std::vector<Bound> bounds;
  for (size_t d = 0; d < domains.size(); ++d) {
    const int gangs = (domains[d].vcpus + siblings - 1) / siblings;
    bounds.push_back({std::min<double>(gangs, domains[d].most), {d}});
  }
  for (uint32_t set = 1; set <= all; ++set) {
    Bound bound = {.most = static_cast<double>(std::popcount(set))};
    for (size_t d = 0; d < domains.size(); ++d) {
      if ((domains[d].cores & all & ~set) == 0) bound.domains.push_back(d);
    }
    if (!bound.domains.empty()) bounds.push_back(std::move(bound));
  }
  return bounds;
}

}  // namespace

std::vector<double> FluidShares(int cores, int siblings, absl::Span<const FluidDomain> domains) {
  const std::vector<Bound> bounds = BoundsOf(cores, siblings, domains);
  std::vector<double> shares(domains.size(), -1);
  // At what level of x / weight the bound is reached.
  const auto level = [&](const Bound& bound) {
    double left = bound.most, weights = 0;
    for (const size_t d : bound.domains) {
      if (shares[d] >= 0) {
        left -= shares[d];
      } else {
        weights += domains[d].weight;
      }
    }
    return weights == 0 ? std::numeric_limits<double>::infinity() : std::max(left, 0.0) / weights;
  };
  while (std::any_of(shares.begin(), shares.end(), [](double x) { return x < 0; })) {
    const Bound* first = nullptr;
    for (const Bound& bound : bounds) {
      if (first == nullptr || level(bound) < level(*first)) first = &bound;
    }
    const double reached = level(*first);
    for (const size_t d : first->domains) {
      if (shares[d] < 0) shares[d] = reached * domains[d].weight;
    }
  }
  return shares;
}

}  // namespace corral
