// SPDX-License-Identifier: Apache-2.0
// The schedulers that are compared, each behind one interface: it is in charge while it lives, and
// the default scheduler is again when it has gone.
//
// Root. One at a time; one thread. Unimplemented, with the reason: this kernel or machine has not
// what the scheduler needs.
#ifndef CORRAL_TESTS_BENCH_SIDE_BY_SIDE_CONTENDERS_H_
#define CORRAL_TESTS_BENCH_SIDE_BY_SIDE_CONTENDERS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernel/types.h"
#include "tests/bench/bench_vm.h"

namespace corral::bench {

class Contender {
 public:
  virtual ~Contender() = default;

  // They run already, under the default scheduler or this one. Once for each load.
  virtual absl::Status Adopt(absl::Span<const BenchVm> vms) = 0;
  // CPU time that it takes in processes of its own, since it was started.
  virtual Duration OwnTime() const { return {}; }
};

struct ContenderKind {
  std::string name;
  std::function<absl::StatusOr<std::unique_ptr<Contender>>()> start;
};

struct ContenderPrograms {
  std::string agent;  // corral-agent
  std::string peers;  // the folder of scx_simple and scx_pair (build-peers); "": there is none
};

inline constexpr char kDefaultScheduler[] = "default";

// The default scheduler is not among them: nothing has to be done for it.
std::vector<ContenderKind> Contenders(const ContenderPrograms& programs);

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_SIDE_BY_SIDE_CONTENDERS_H_
