// SPDX-License-Identifier: Apache-2.0
// The gang-constrained fluid ideal: how much of a NUMA node each domain has under ideal core
// scheduling by weight, if all its vCPUs compute all the time and core time were a fluid.
//
// What is shared is core time. A core serves one domain at a time, and while it does nobody else
// may be there, so it counts once, whether one vCPU runs there or one on each sibling. No vCPU runs
// on two siblings at once, and a core that serves a domain is filled with its vCPUs, so n of them
// use ceil(n / siblings) cores at most. They may use some of the cores, all vCPUs of a domain the
// same ones.
//
// The ideal is the weighted max-min fair division x of it: x(d) / weight(d) of nobody can be raised
// without lowering that of another who has no more by weight. What is feasible: x(d) <= limit(d) =
// min(ceil(n / siblings), cores it may use), and for each set of cores, those who may use no others
// have no more than these: sum of x <= cores in the set. That is necessary, and enough: then there
// is a flow from domains to cores (max-flow min-cut), and a preemptive schedule for it in which no
// core serves two domains at once, nor a domain more cores than its limit (open shop: Gonzalez and
// Sahni 1976; on equal cores McNaughton 1959).
//
// Found by raising all x in proportion to weights until something is full, keeping who is in it,
// and going on with the others. Source: generalised processor sharing (Parekh and Gallager 1993);
// max-min fairness (Bertsekas and Gallager 1992). Shares nothing with the policy. Pure function.
#ifndef CORRAL_TESTS_SIM_FLUID_SHARES_H_
#define CORRAL_TESTS_SIM_FLUID_SHARES_H_

#include <cstdint>
#include <limits>
#include <vector>

#include "absl/types/span.h"

namespace corral {

struct FluidDomain {
  double weight = 100;
  int vcpus = 1;
  uint32_t cores = ~uint32_t{0};                          // that it may use, a bit each
  double most = std::numeric_limits<double>::infinity();  // of how many cores it wants the time
};

// Of how many cores each has the time, in the order of `domains`. Up to 16 cores.
std::vector<double> FluidShares(int cores, int siblings, absl::Span<const FluidDomain> domains);

}  // namespace corral

#endif  // CORRAL_TESTS_SIM_FLUID_SHARES_H_
