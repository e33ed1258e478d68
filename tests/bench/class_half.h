// SPDX-License-Identifier: Apache-2.0
// The class's half of the figures: its own BPF functions, many times within one system call, so
// that the call does not count.
#ifndef CORRAL_TESTS_BENCH_CLASS_HALF_H_
#define CORRAL_TESTS_BENCH_CLASS_HALF_H_

#include <vector>

#include "tests/bench/figure.h"
#include "tests/bench/loaded_class.h"

namespace corral::bench {

// `loaded` must outlive the figures.
std::vector<Figure> ClassFigures(LoadedClass& loaded);

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_CLASS_HALF_H_
