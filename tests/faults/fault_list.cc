// SPDX-License-Identifier: Apache-2.0
#include "tests/faults/fault_list.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "agent/selftest/vm_process.h"
#include "kernel/bpf/bpf_control_kernel.h"
#include "kernel/bpf/class_files.h"
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

// As a kernel has them that nobody touched: what real-time threads may have of a second, in us, and
// the class of it, in ns.
constexpr int kRealTimeLimit = 950'000;
constexpr int kServed = 50'000'000;

int NrCpus() { return static_cast<int>(sysconf(_SC_NPROCESSORS_CONF)); }

void SetAffinity(pid_t tid, const CpuSet& cpus) {
  const cpu_set_t mask = MaskOf(cpus);
  EXPECT_EQ(sched_setaffinity(tid, sizeof(mask), &mask), 0) << strerror(errno);
}

CpuSet AllCpus() {
  CpuSet all;
  for (int cpu = 0; cpu < NrCpus(); ++cpu) all.Insert(CpuId(cpu));
  return all;
}

// A thread of the host on one sibling.
void HogWhile(int policy, const std::function<bool()>& more, milliseconds most) {
  std::thread hog([&] {
    SetAffinity(0, CpuSet{NrCpus() - 1});
    const sched_param param = {.sched_priority = policy == SCHED_OTHER ? 0 : 1};
    EXPECT_EQ(sched_setscheduler(0, policy, &param), 0);
    const auto end = std::chrono::steady_clock::now() + most;
    while (std::chrono::steady_clock::now() < end && more()) continue;
  });
  hog.join();
}

void Hog(int policy, milliseconds time) {
  HogWhile(
      policy, [] { return true; }, time);
}

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

// An agent in a control group that is then given less than the agent holds.
void StarveAgentOfMemory(Victim& victim) {
  const std::string group = "/sys/fs/cgroup/starved";
  const auto set = [&](const std::string& dir, const char* name, auto value) {
    std::ofstream file(absl::StrCat(dir, "/", name));
    file << value << std::flush;
    EXPECT_TRUE(file) << dir << "/" << name;
  };
  Shell("mkdir -p " + group);
  // What a process holds stays with the group in which it got it, so it has to begin there.
  set(group, "cgroup.procs", victim.corral().daemon());
  KillAgent(victim);
  EXPECT_TRUE(Within(seconds(20), [&] { return victim.Whole(); })) << victim.Describe();
  set("/sys/fs/cgroup", "cgroup.procs", victim.corral().daemon());
  const pid_t agent = victim.Agent();
  ASSERT_GT(agent, 0);
  set(group, "memory.max", 4096);
  EXPECT_TRUE(Within(seconds(20), [&] { return victim.Agent() != agent; })) << "it lives on";
  EXPECT_TRUE(Within(seconds(5), [&] { return rmdir(group.c_str()) == 0; })) << strerror(errno);
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

void AwaitClass(Victim& victim) {
  EXPECT_TRUE(Within(seconds(60), [] { return ReadSchedExtState().state == "enabled"; }));
  victim.corral().OpenClass();
}

void EjectClass(Victim& victim) {
  EjectTheClass();
  AwaitClass(victim);
}

void EjectClassWithoutCorrald(Victim& victim) {
  victim.corral().StopDaemon(SIGKILL);
  EjectTheClass();
  std::this_thread::sleep_for(seconds(1));
  victim.corral().StartDaemon();
  AwaitClass(victim);
}

// vCPUs may use one CPU only, and that is taken by a thread which the kernel cannot take it from:
// real time without a limit, and no time set aside for the class. So its watchdog ejects it.
void StallClass(Victim& victim) {
  const std::vector<pid_t> vcpus = victim.VcpuThreads();
  const auto set = [](const std::string& path, int value) {
    std::ofstream file(path);
    file << value << std::flush;
    return static_cast<bool>(file);
  };
  const std::string limit = "/proc/sys/kernel/sched_rt_runtime_us";
  // Which older kernels have not.
  const std::string server =
      absl::StrCat("/sys/kernel/debug/sched/ext_server/cpu", NrCpus() - 1, "/runtime");
  const auto ejected = [] { return ReadSchedExtState().state == "disabled"; };
  Shell("mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug");
  EXPECT_TRUE(set(limit, -1));
  const bool served = set(server, 0);
  for (const pid_t tid : vcpus) SetAffinity(tid, CpuSet{NrCpus() - 1});
  HogWhile(SCHED_FIFO, std::not_fn(ejected), seconds(40));
  EXPECT_TRUE(ejected()) << "nobody watches";
  EXPECT_EQ(set(server, kServed), served);
  EXPECT_TRUE(set(limit, kRealTimeLimit));
  for (const pid_t tid : vcpus) SetAffinity(tid, AllCpus());
  AwaitClass(victim);
}

// While corrald is there it cannot be unmounted, but it can be torn away.
void TearBpffsAway(Victim& victim) {
  EXPECT_NE(umount(kBpffs), 0);
  EXPECT_EQ(errno, EBUSY);
  const auto lost = [&] { return !victim.corral().kernel().info().enabled; };
  EXPECT_FALSE(lost());
  ASSERT_EQ(umount2(kBpffs, MNT_DETACH), 0) << strerror(errno);
  EXPECT_TRUE(Within(seconds(10), lost)) << "nobody misses it";
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

// As an operator, or a manager of CPUs, moves the sets of a VM's control group.
void ShuffleCpuSets(Victim& victim) {
  std::mt19937 random(std::random_device{}());
  std::vector<std::string> sets;
  for (const std::string& vm : victim.vms()) {
    for (const int vcpu : {0, 1}) {
      sets.push_back(Shell(absl::StrCat("find /sys/fs/cgroup -path '*", vm, "*/vcpu", vcpu,
                                        "/cpuset.cpus' -print -quit | tr -d '\\n'")));
      ASSERT_FALSE(sets.back().empty()) << vm;
    }
  }
  const auto set = [](const std::string& path, const std::string& cpus) {
    std::ofstream file(path);
    file << cpus << std::flush;
    EXPECT_TRUE(file) << path << " " << cpus;
  };
  for (int i = 0; i < 200; ++i) {
    const int first = static_cast<int>(random() % NrCpus());
    const int last = first + static_cast<int>(random() % (NrCpus() - first));
    set(sets[random() % sets.size()], absl::StrCat(first, "-", last));
    std::this_thread::sleep_for(milliseconds(2));
  }
  for (const std::string& path : sets) set(path, absl::StrCat("0-", NrCpus() - 1));
  for (const pid_t tid : victim.VcpuThreads()) SetAffinity(tid, AllCpus());
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

// One of a process's threads executes a program, which ends the others and makes it the first.
void ExecInTheClass(Victim& victim) {
  const std::unique_ptr<std::atomic<bool>, void (*)(std::atomic<bool>*)> now(
      new (mmap(nullptr, sizeof(bool), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
          std::atomic<bool>(false),
      [](std::atomic<bool>* flag) { munmap(flag, sizeof(bool)); });
  VmProcess process(/*spinners=*/3, /*sleepers=*/0, [&] {
    while (!now->load()) continue;
    execl("/bin/sh", "sh", "-c", "while :; do :; done", nullptr);
  });
  ASSERT_TRUE(process.status().ok()) << process.status();
  const absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = BpfControlKernel::Open();
  ASSERT_TRUE(kernel.ok()) << kernel.status();
  const absl::StatusOr<DomainId> domain =
      (*kernel)->CreateDomain(EnclaveId(1), DomainKey{'e', 'x', 'e', 'c'}, "exec");
  ASSERT_TRUE(domain.ok()) << domain.status();
  std::vector<pid_t> threads = process.tids();
  threads.push_back(process.pid());
  for (const pid_t tid : threads) {
    const absl::StatusOr<Gtid> gtid = (*kernel)->AttachTask(tid, *domain, 0, 100);
    ASSERT_TRUE(gtid.ok()) << gtid.status();
  }
  // From now on; before, it was in no class.
  ASSERT_TRUE(victim.corral().auditor().Declare({process.pid()}).ok());
  now->store(true);
  const auto is_the_program = [&] {
    std::string name;
    std::ifstream(absl::StrCat("/proc/", process.pid(), "/comm")) >> name;
    return name == "sh";
  };
  EXPECT_TRUE(Within(seconds(30), is_the_program));
  const Duration before = CpuTime(process.pid());
  EXPECT_TRUE(
      Within(seconds(30), [&] { return CpuTime(process.pid()) >= before + Victim::kSome; }));
  EXPECT_EQ(sched_getscheduler(process.pid()), kSchedExtPolicy);
  process.Kill();
  EXPECT_TRUE(Within(seconds(10), [&] { return (*kernel)->DestroyDomain(*domain).ok(); }));
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
      {"AgentWithoutMemory", StarveAgentOfMemory, ""},
      {"CorraldKilled", KillCorrald, ""},
      {"CorraldAndAgentKilled", KillAll, ""},
      {"LibvirtdKilled", RestartLibvirtd, ""},
      {"LibvirtdHangs", StopLibvirtdForAWhile, ""},
      {"ClassEjected", EjectClass, "CLASS LOST"},
      {"ClassEjectedWithoutCorrald", EjectClassWithoutCorrald, "CLASS LOST"},
      {"ClassStalled", StallClass, "CLASS LOST"},
      {"BpffsTornAway", TearBpffsAway, "CLASS LOST"},
      {"Suspend", PrepareToSuspend, "past the class"},
      {"VcpuTakenOutOfTheClass", TakeVcpuOutOfTheClass, "UNPROTECTED"},
      {"CpuHotplug", PlugSiblings, "", /*silent_switches=*/kPlugs},
      {"Affinities", ShuffleAffinities, ""},
      {"CpuSets", ShuffleCpuSets, ""},
      {"PinsByVirsh", RepinByVirsh, ""},
      {"HostThreadOnASibling", HogASibling, ""},
      {"RealTimeThreadOnASibling", HogASiblingInRealTime, ""},
      {"Exec", ExecInTheClass, ""},
      {"ForkStorm", ForkAndExit, ""},
      {"CrowdedClass", CrowdTheClass, ""},
      {"ClockSteps", StepTheClock, ""},
      {"DiskFull", FillTheDisk, ""},
  };
  return faults;
}

}  // namespace corral
