// SPDX-License-Identifier: Apache-2.0
// A simulated host as top sees it: always the same, whatever machine this is. Tests only.
#ifndef CORRAL_TESTS_TOP_SAMPLE_H_
#define CORRAL_TESTS_TOP_SAMPLE_H_

#include "agent/top/model.h"
#include "tests/sim/bare_vms.h"

namespace corral::top {

// One VM more than it has cores, each with one vCPU that computes, so two take turns on a core and
// siblings must idle. "web" is the first of them, "greedy" the last: it asks for more than there
// is, which is refused.
class SampleHost {
 public:
  explicit SampleHost(int cores);

  // Time passes, and the model looks.
  void Pass(Duration time);
  Page Show() const { return model_.Show(); }
  const ControlKernel& kernel() { return vms_.control(); }

 private:
  BareVms vms_;
  std::vector<std::string> names_;
  Model model_;
};

}  // namespace corral::top

#endif  // CORRAL_TESTS_TOP_SAMPLE_H_
