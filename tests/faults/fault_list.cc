// SPDX-License-Identifier: Apache-2.0
#include "tests/faults/fault_list.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "kernel/bpf/sched_ext_state.h"
#include "kernel/bpf/threads_by_policy.h"
#include "kernel/cpu_mask.h"
#include "kernel/fd.h"
#include "tests/class/chaos_process.h"
#include "tests/libvirt/virsh.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

int NrCpus() { return static_cast<int>(sysconf(_SC_NPROCESSORS_CONF)); }

// ---- processes of Corral's, and libvirt's ----

void KillAgent(Victim& victim) {
  const pid_t agent = victim.Agent();
  ASSERT_GT(agent, 0);
  ASSERT_EQ(kill(agent, SIGKILL), 0);
  EXPECT_TRUE(Within(seconds(10), [&] { return victim.Agent() != agent; }));
}

void StopAgent(Victim& victim) {
  const pid_t agent = victim.Agent();
  ASSERT_GT(agent, 0);
  ASSERT_EQ(kill(agent, SIGSTOP), 0);
  EXPECT_TRUE(Within(seconds(20), [&] { return !victim.Whole(); })) << "nobody misses it";
}

// systemd would start it again.
void KillCorrald(Victim& victim) {
  victim.corral().StopDaemon(SIGKILL);
  victim.corral().StartDaemon();
}

void KillAll(Victim& victim) {
  kill(victim.Agent(), SIGKILL);
  KillCorrald(victim);
}

void RestartLibvirtd(Victim& victim) {
  ASSERT_NO_FATAL_FAILURE(KillLibvirtd());
  Shell("libvirtd -d");
  EXPECT_TRUE(Within(seconds(120), [&] { return victim.virsh().Run("list").ok; }));
}

void StopLibvirtdForAWhile(Victim&) {
  pid_t pid = 0;
  std::ifstream("/run/libvirtd.pid") >> pid;
  ASSERT_GT(pid, 1);
  kill(pid, SIGSTOP);
  std::this_thread::sleep_for(seconds(3));
  kill(pid, SIGCONT);
}

// ---- the class loses its charge ----

void Eject() {
  std::ofstream("/proc/sys/kernel/sysrq") << 1 << std::flush;
  std::ofstream("/proc/sysrq-trigger") << 'S' << std::flush;
  EXPECT_TRUE(Within(seconds(30), [] { return ReadSchedExtState().state == "disabled"; }));
}

void AwaitClass(Victim& victim) {
  EXPECT_TRUE(Within(seconds(60), [] { return ReadSchedExtState().state == "enabled"; }));
  victim.corral().OpenClass();
}

void EjectClass(Victim& victim) {
  Eject();
  AwaitClass(victim);
}

void EjectClassWithoutCorrald(Victim& victim) {
  victim.corral().StopDaemon(SIGKILL);
  Eject();
  std::this_thread::sleep_for(seconds(1));
  victim.corral().StartDaemon();
  AwaitClass(victim);
}

// Who opens it is about to write the machine to disk: the kernel prepares for that as for any
// suspend, and bypasses the class. Closing it takes everything back.
void PrepareToSuspend(Victim&) {
  const Fd snapshot(open("/dev/snapshot", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(snapshot) << strerror(errno);
  std::this_thread::sleep_for(seconds(1));
}

void TakeVcpuOutOfTheClass(Victim& victim) {
  const sched_param param = {};
  ASSERT_EQ(sched_setscheduler(victim.VcpuThreads().front(), SCHED_OTHER, &param), 0);
}

// ---- CPUs ----

constexpr int kPlugs = 4;

void PlugSiblings(Victim&) {
  const auto set = [](int cpu, bool online) {
    std::ofstream file(absl::StrCat("/sys/devices/system/cpu/cpu", cpu, "/online"));
    file << online << std::flush;
    EXPECT_TRUE(file) << "CPU " << cpu;
  };
  for (int round = 0; round < kPlugs; ++round) {
    const int cpu = 1 + round % (NrCpus() - 1);
    set(cpu, false);
    std::this_thread::sleep_for(milliseconds(200));
    set(cpu, true);
  }
}

void SetAffinity(pid_t tid, const CpuSet& cpus) {
  const cpu_set_t mask = MaskOf(cpus);
  EXPECT_EQ(sched_setaffinity(tid, sizeof(mask), &mask), 0) << strerror(errno);
}

CpuSet AllCpus() {
  CpuSet all;
  for (int cpu = 0; cpu < NrCpus(); ++cpu) all.Insert(CpuId(cpu));
  return all;
}

void ShuffleAffinities(Victim& victim) {
  std::mt19937 random(std::random_device{}());
  const std::vector<pid_t> threads = victim.VcpuThreads();
  for (int i = 0; i < 300; ++i) {
    CpuSet cpus{static_cast<int>(random() % NrCpus())};
    if (random() % 2 == 0) cpus.Insert(CpuId(static_cast<int>(random() % NrCpus())));
    SetAffinity(threads[random() % threads.size()], cpus);
    std::this_thread::sleep_for(milliseconds(2));
  }
  for (const pid_t tid : threads) SetAffinity(tid, AllCpus());
}

void RepinByVirsh(Victim& victim) {
  std::mt19937 random(std::random_device{}());
  const auto pin = [&](const std::string& vm, int vcpu, const std::string& cpus) {
    const VirshShell::Answer answer =
        victim.virsh().Run(absl::StrCat("vcpupin ", vm, " ", vcpu, " ", cpus, " --live"));
    EXPECT_TRUE(answer.ok) << answer.text;
  };
  for (int i = 0; i < 8; ++i) {
    pin(victim.vms()[random() % victim.vms().size()], i % 2, absl::StrCat(random() % NrCpus()));
  }
  for (const std::string& vm : victim.vms()) {
    for (const int vcpu : {0, 1}) pin(vm, vcpu, absl::StrCat("0-", NrCpus() - 1));
  }
}

// ---- others on the host ----

// A thread of the host on one sibling.
void Hog(int policy, milliseconds time) {
  std::thread hog([&] {
    SetAffinity(0, CpuSet{NrCpus() - 1});
    const sched_param param = {.sched_priority = policy == SCHED_OTHER ? 0 : 1};
    EXPECT_EQ(sched_setscheduler(0, policy, &param), 0);
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) continue;
  });
  hog.join();
}

void HogASibling(Victim&) { Hog(SCHED_OTHER, seconds(2)); }
void HogASiblingInRealTime(Victim&) { Hog(SCHED_FIFO, milliseconds(900)); }

void ForkAndExit(Victim&) {
  for (int i = 0; i < 300; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    ASSERT_GT(child, 0);
    waitpid(child, nullptr, 0);
  }
}

// As any user may put them there, in no enclave.
void CrowdTheClass(Victim&) {
  const ChaosProcess crowd(100, std::random_device{}(),
                           {.prepare = [](const ChaosProcess& process) {
                             const sched_param param = {};
                             for (const pid_t tid : process.workers())
                               sched_setscheduler(tid, kSchedExtPolicy, &param);
                           }});
  std::this_thread::sleep_for(seconds(2));
}

void StepTheClock(Victim&) {
  const auto step = [](int by) {
    timeval now = {};
    gettimeofday(&now, nullptr);
    now.tv_sec += by;
    EXPECT_EQ(settimeofday(&now, nullptr), 0) << strerror(errno);
  };
  for (const int by : {3600, -7200, 3600}) {
    step(by);
    std::this_thread::sleep_for(milliseconds(300));
  }
}

void FillTheDisk(Victim&) {
  Shell("cat /dev/zero >/var/lib/corral/junk 2>/dev/null; test -s /var/lib/corral/junk");
  std::this_thread::sleep_for(seconds(3));
  Shell("rm /var/lib/corral/junk");
}

}  // namespace

const std::vector<Fault>& AllFaults() {
  static const std::vector<Fault> faults = {
      {"AgentKilled", KillAgent, ""},
      {"AgentHangs", StopAgent, ""},
      {"CorraldKilled", KillCorrald, ""},
      {"CorraldAndAgentKilled", KillAll, ""},
      {"LibvirtdKilled", RestartLibvirtd, ""},
      {"LibvirtdHangs", StopLibvirtdForAWhile, ""},
      {"ClassEjected", EjectClass, "CLASS LOST"},
      {"ClassEjectedWithoutCorrald", EjectClassWithoutCorrald, "CLASS LOST"},
      {"Suspend", PrepareToSuspend, "past the class"},
      {"VcpuTakenOutOfTheClass", TakeVcpuOutOfTheClass, "UNPROTECTED"},
      {"CpuHotplug", PlugSiblings, "", /*silent_switches=*/kPlugs},
      {"Affinities", ShuffleAffinities, ""},
      {"PinsByVirsh", RepinByVirsh, ""},
      {"HostThreadOnASibling", HogASibling, ""},
      {"RealTimeThreadOnASibling", HogASiblingInRealTime, ""},
      {"ForkStorm", ForkAndExit, ""},
      {"CrowdedClass", CrowdTheClass, ""},
      {"ClockSteps", StepTheClock, ""},
      {"DiskFull", FillTheDisk, ""},
  };
  return faults;
}

}  // namespace corral
