// SPDX-License-Identifier: Apache-2.0
// Everything at once, for a while, on enclaves of 1, 2 and 4 cores with 1 to 16 threads a core:
// threads compute, sleep, fork and die, change affinity, nice, class and domain at random, and the
// agent is killed every few seconds. Afterwards: no two domains met, the class is still there, and
// nobody was lost. Runs as root in the test host; CORRAL_STRESS_SECONDS is the time for each of the
// twelve cases.
#include <sys/resource.h>

#include <cstdlib>
#include <tuple>

#include "tests/class/chaos_host_fixture.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kAgentLife = seconds(3);

Duration TimePerCase() {
  const char* const text = getenv("CORRAL_STRESS_SECONDS");
  return seconds(text == nullptr ? 7 : std::max(1, atoi(text)));
}

class StressTest : public ChaosHostTest, public testing::WithParamInterface<std::tuple<int, int>> {
 protected:
  // The first cores of the machine.
  void MakeEnclaveOf(int nr_cores) {
    CpuSet cpus;
    for (int i = 0; i < nr_cores; ++i)
      topology_.core(i).siblings.ForEach([&](CpuId cpu) { cpus.Insert(cpu); });
    MakeEnclave(cpus, milliseconds(1000));
  }
  // It may be dead already, or in: both are fine.
  void Attach(pid_t pid, pid_t tid) {
    kernel_->AttachTask(tid, DomainOf(pid, random_() % 2), 0, 100).IgnoreError();
  }
  // One thing that may happen to a thread from outside.
  void Disturb(pid_t pid, pid_t tid) {
    const sched_param param = {};
    switch (random_() % 8) {
      case 0:
      case 1:
        return SetAffinity(tid, RandomCpus());
      case 2:
        return SetAffinity(tid, cpus_);
      case 3:
        setpriority(PRIO_PROCESS, static_cast<id_t>(tid), static_cast<int>(random_() % 20));
        return;
      case 4:
        sched_setscheduler(tid, SCHED_OTHER, &param);
        return;
      default:
        return Attach(pid, tid);
    }
  }
};

TEST_P(StressTest, NothingLeaksAndNobodyIsLost) {
  const auto [nr_cores, threads] = GetParam();
  ASSERT_LE(nr_cores, topology_.nr_cores());
  ASSERT_NO_FATAL_FAILURE(MakeEnclaveOf(nr_cores));
  StartAgent("{\"tenure\":\"5ms\"}");
  ChaosProcesses vms;
  const int nr_vms = std::max(2, nr_cores);
  const int workers = std::max(1, nr_cores * threads / nr_vms);
  for (int i = 0; i < nr_vms; ++i)
    vms.push_back(std::make_unique<ChaosProcess>(workers, static_cast<unsigned>(i * 1000)));
  for (const auto& vm : vms) {
    ASSERT_TRUE(auditor_->Declare({vm->pid()}).ok());
    for (const pid_t tid : vm->workers()) Attach(vm->pid(), tid);
  }
  ASSERT_TRUE(auditor_->Reset().ok());

  const Time end = kernel_->Now() + TimePerCase();
  Time kill_at = kernel_->Now() + kAgentLife;
  int disturbed = 0, killed = 0;
  while (kernel_->Now() < end) {
    for (const auto& vm : vms) {
      const std::vector<pid_t> tids = vm->workers();
      if (tids.empty()) continue;
      Disturb(vm->pid(), tids[random_() % tids.size()]);
      ++disturbed;
    }
    if (kernel_->Now() >= kill_at) {
      KillAgent(SIGKILL);
      ++killed;
      kill_at = kernel_->Now() + kAgentLife;
    }
    Poll();
    std::this_thread::sleep_for(milliseconds(5));
  }
  printf("%d cores, %d threads a core: %d disturbances, %d agents killed\n", nr_cores, threads,
         disturbed, killed);
  PrintCores();
  ExpectNobodyIsLost(vms);
  ExpectNoBreach();
}

INSTANTIATE_TEST_SUITE_P(Sizes, StressTest,
                         testing::Combine(testing::Values(1, 2, 4), testing::Values(1, 4, 8, 16)),
                         [](const auto& info) {
                           return std::to_string(std::get<0>(info.param)) + "Cores" +
                                  std::to_string(std::get<1>(info.param)) + "Threads";
                         });

}  // namespace
}  // namespace corral
