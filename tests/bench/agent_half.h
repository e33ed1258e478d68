// SPDX-License-Identifier: Apache-2.0
// The agent's half of the figures: commits through the agent's own view of the class, system call
// included, and the decisions of a trivial FIFO, and of the real centralized agent, over the real
// queue and status words.
#ifndef CORRAL_TESTS_BENCH_AGENT_HALF_H_
#define CORRAL_TESTS_BENCH_AGENT_HALF_H_

#include <vector>

#include "tests/bench/central_fifo.h"
#include "tests/bench/figure.h"
#include "tests/bench/loaded_class.h"

namespace corral::bench {

// Both must outlive the figures. `central` is the agent of another class: each of the two agents
// has to know all of what happens in its own.
std::vector<Figure> AgentFigures(LoadedClass& loaded, CentralFifo& central);

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_AGENT_HALF_H_
