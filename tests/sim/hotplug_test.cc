// SPDX-License-Identifier: Apache-2.0
// A CPU goes while VMs want all of them, with the host's threads in the class: the kernel waits for
// its RCU thread, which may be waiting for the very core that is closed for that.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "kernel/sim/core_audit.h"
#include "tests/sim/bare_vms.h"

namespace corral {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// How long the CPU takes to go; 10 s where it does not.
Duration TakeDown(sim::Machine& machine, CpuId cpu) {
  const Time begin = machine.now();
  machine.SetOnline(cpu, false);
  while (machine.Online(cpu) && machine.now() < begin + seconds(10))
    machine.RunFor(milliseconds(1));
  return machine.now() - begin;
}

TEST(Hotplug, ACpuGoesWhateverWaitsForItsCore) {
  BareVms vms(/*cores=*/2, /*siblings=*/2, /*foreign=*/0, /*whole_host=*/true);
  sim::Machine& machine = vms.machine();
  sim::CoreAudit audit(machine);
  machine.Observe(&audit);
  for (const char* const name : {"a", "b", "c"}) vms.AddVm<Spinner>(3, name);
  for (int hog = 0; hog < 3; ++hog)
    machine.Wake(machine.NewThread("hog", std::make_unique<Spinner>()));
  machine.RunFor(milliseconds(50));
  Duration longest{0};
  for (int round = 0; round < 200; ++round) {
    machine.RunFor(microseconds(137 * round));
    const CpuId cpu(round % 4);
    const Duration took = TakeDown(machine, cpu);
    longest = std::max(longest, took);
    ASSERT_LT(took, seconds(1)) << "round " << round;
    machine.SetOnline(cpu, true);
    machine.RunFor(milliseconds(20));
  }
  printf("a CPU took %lld us at most to go\n", static_cast<long long>(longest.count() / 1000));
  EXPECT_EQ(audit.enforced().times, 0u) << audit.enforced().first;
}

}  // namespace
}  // namespace corral
