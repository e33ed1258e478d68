// SPDX-License-Identifier: Apache-2.0
// One line of the table: what is measured, how, and what the number stands for.
#ifndef CORRAL_TESTS_BENCH_FIGURE_H_
#define CORRAL_TESTS_BENCH_FIGURE_H_

#include <time.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace corral::bench {

// A figure of the ghOSt paper (SOSP'21, Table 3) to compare with, and what it stands for there.
struct PaperFigure {
  std::string what;
  double ns = 0;
  std::string includes;
};

struct Figure {
  // One round, after its own preparation: the CPU time in seconds that this thread spent in the
  // part that counts.
  using Round = std::function<absl::StatusOr<double>()>;

  std::string id;    // for programs: stays the same
  std::string name;  // for people: what one operation is
  Round round;
  int operations = 1;    // in a round
  std::string subtract;  // the id of the figure whose round holds nothing but the harness; or empty
  std::vector<PaperFigure> paper;
  std::string includes;
  std::string excludes;
};

// CPU time of the calling thread: a machine that is shared takes CPUs away, but charges only what
// was used.
inline double ThreadSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Runs `work`, which returns a status, and says how long it took.
template <typename Work>
absl::StatusOr<double> Timed(Work&& work) {
  const double begin = ThreadSeconds();
  const absl::Status status = work();
  const double end = ThreadSeconds();
  if (!status.ok()) return status;
  return end - begin;
}

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_FIGURE_H_
