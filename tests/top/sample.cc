// SPDX-License-Identifier: Apache-2.0
#include "tests/top/sample.h"

#include "absl/strings/str_cat.h"

namespace corral::top {

using std::chrono::milliseconds;

SampleHost::SampleHost(int cores) : vms_(cores, 2), model_(vms_.control()) {
  for (int i = 0; i <= cores; ++i)
    names_.push_back(i == 0 ? "web" : i == cores ? "greedy" : absl::StrCat("vm", i));
  for (int i = 0; i <= cores; ++i) {
    const BareVms::Vcpu vcpu = vms_.AddVm<Spinner>(1, names_[i].c_str()).front();
    if (i < cores) continue;
    (void)vms_.control().UpdateTask(vcpu.task,
                                    {.budget = milliseconds(10), .period = milliseconds(10)});
  }
}

void SampleHost::Pass(Duration time) {
  vms_.machine().RunFor(time);
  model_.Look();
}

}  // namespace corral::top
