// SPDX-License-Identifier: Apache-2.0
// Everything at once, for a while, on enclaves of 1, 2 and 4 cores with 1 to 16 threads a core:
// threads compute, sleep, fork and die, change affinity, nice, class and domain at random, and the
// agent is killed every few seconds. Afterwards: no two domains met, the class is still there, and
// nobody was lost. Runs as root in the test host; CORRAL_STRESS_SECONDS is the time for each of the
// twelve cases.
#include <sys/resource.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "tests/class/agent_host_fixture.h"
#include "tests/class/chaos_process.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kAgentLife = seconds(3);

Duration TimePerCase() {
  const char* const text = getenv("CORRAL_STRESS_SECONDS");
  return seconds(text == nullptr ? 7 : std::max(1, atoi(text)));
}

class StressTest : public AgentHostTest, public testing::WithParamInterface<std::tuple<int, int>> {
 protected:
  // The first cores of the machine; the fixture's enclave of all of them goes.
  void MakeEnclave(int nr_cores) {
    ASSERT_TRUE(kernel_->DestroyEnclave(enclave_).ok());
    CpuSet cpus;
    for (int i = 0; i < nr_cores; ++i)
      topology_.core(i).siblings.ForEach([&](CpuId cpu) { cpus.Insert(cpu); });
    const auto enclave = kernel_->CreateEnclave(
        {.name = "vms", .cpus = cpus, .runnable_timeout = milliseconds(1000)});
    ASSERT_TRUE(enclave.ok()) << enclave.status();
    enclave_ = *enclave;
    cpus_ = cpus;
  }
  // The process is one VM for the auditor; for the class its threads may be several domains.
  DomainId DomainOf(pid_t pid, int number) {
    DomainKey key = {};
    memcpy(key.data(), &pid, sizeof(pid));
    key[8] = static_cast<uint8_t>(number);
    return kernel_->CreateDomain(enclave_, key, "vm" + std::to_string(pid)).value_or(DomainId(0));
  }
  // It may be dead already, or in: both are fine.
  void Attach(pid_t pid, pid_t tid) {
    kernel_->AttachTask(tid, DomainOf(pid, random_() % 2), 0, 100).IgnoreError();
  }
  CpuSet RandomCpus() {
    CpuSet cpus;
    for (uint32_t cpu = 0; cpu < kernel_->info().nr_cpus; ++cpu) {
      if (random_() % 3) cpus.Insert(CpuId(static_cast<int>(cpu)));
    }
    return cpus.empty() ? cpus_ : cpus;
  }
  void SetAffinity(pid_t tid, const CpuSet& cpus) {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    cpus.ForEach([&](CpuId cpu) { CPU_SET(cpu.value(), &mask); });
    sched_setaffinity(tid, sizeof(mask), &mask);
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

  static void PrintFile(const std::string& path) {
    std::string text;
    std::getline(std::ifstream(path), text);
    printf("%s: %s\n", path.c_str(), text.c_str());
  }
  // Every worker that is there goes on or dies, and the class knows of no thread that is not. The
  // machine is full, so it takes time; who waits longer than sched_ext's watchdog allows is lost.
  void ExpectNobodyIsLost(const std::vector<std::unique_ptr<ChaosProcess>>& vms) {
    std::map<pid_t, Duration> waiting;
    for (const auto& vm : vms) {
      for (const pid_t tid : vm->workers()) waiting[tid] = CpuTime(tid);
    }
    EXPECT_FALSE(waiting.empty());
    for (const Time end = kernel_->Now() + seconds(20); !waiting.empty() && kernel_->Now() < end;) {
      Poll();
      std::this_thread::sleep_for(milliseconds(100));
      std::erase_if(waiting, [](const auto& thread) {
        return CpuTime(thread.first) != thread.second || sched_getscheduler(thread.first) < 0;
      });
    }
    for (const auto& [tid, time] : waiting) {
      ADD_FAILURE() << "thread " << tid << " (policy " << sched_getscheduler(tid)
                    << ") does not go on";
      PrintFile("/proc/" + std::to_string(tid) + "/stat");
      PrintFile("/proc/" + std::to_string(tid) + "/wchan");
      for (const ghost_status_word& word : kernel_->status_words()) {
        if (word.gtid != 0 && word.tid == static_cast<uint32_t>(tid))
          printf("flags %u cpu %d domain %u barrier %llu\n", word.flags, word.cpu, word.domain,
                 word.barrier);
      }
    }
    // The kernel forgets a thread's id before it tells the class, so a slot may outlive it a
    // little.
    std::set<uint32_t> dead = SlotsOfTheDead();
    for (int i = 0; i < 50 && !dead.empty(); ++i) {
      std::this_thread::sleep_for(milliseconds(100));
      std::erase_if(dead, [now = SlotsOfTheDead()](uint32_t slot) { return !now.count(slot); });
    }
    for (const uint32_t slot : dead)
      ADD_FAILURE() << "slot " << slot << " of thread " << kernel_->status_words()[slot].tid
                    << ", which is dead";
  }
  std::set<uint32_t> SlotsOfTheDead() {
    std::set<uint32_t> slots;
    for (uint32_t slot = 0; slot < kernel_->info().nr_slots; ++slot) {
      const ghost_status_word& word = kernel_->status_words()[slot];
      if (word.gtid != 0 && kill(static_cast<pid_t>(word.tid), 0) != 0) slots.insert(slot);
    }
    return slots;
  }

  // Threads that left for SCHED_OTHER run beside whom they like: that is exposure, and no matter of
  // the class.
  void ExpectNoBreach() {
    const absl::StatusOr<AuditReport> report = auditor_->Read();
    ASSERT_TRUE(report.ok()) << report.status();
    const AuditSpan& enforced = report->total[AUDIT_VCPU_ENFORCED];
    printf("enforced overlap %lld ns of %lld ms core time\n",
           static_cast<long long>(enforced.time.count()),
           static_cast<long long>(report->total[AUDIT_BUSY].time.count() / 1000000));
    PrintWorst(enforced);
    AuditGaps gaps = report->gaps;
    // Hundreds of forks a second make some of their probes meet. Such a child is not known for a
    // VM's and not judged; everybody else is.
    printf("%llu processes began or ended unseen by the auditor\n",
           static_cast<unsigned long long>(gaps.missed_probes - gaps.missed_switch_probes));
    gaps.missed_probes = gaps.missed_switch_probes;
    EXPECT_FALSE(gaps.Any()) << "missed switch probes " << gaps.missed_probes
                             << ", missed switches " << gaps.missed_switches << ", unmapped "
                             << gaps.unmapped_switches << ", lost threads " << gaps.lost_threads
                             << ", lost processes " << gaps.lost_processes << ", unseen CPUs "
                             << gaps.unseen_cpus.size();
    EXPECT_EQ(enforced.time.count(), 0);
    EXPECT_TRUE(kernel_->info().enabled)
        << kernel_->info().exit_reason << ": " << kernel_->info().exit_message;
  }

  std::minstd_rand random_{20261121};
  CpuSet cpus_;
};

TEST_P(StressTest, NothingLeaksAndNobodyIsLost) {
  const auto [nr_cores, threads] = GetParam();
  ASSERT_LE(nr_cores, topology_.nr_cores());
  ASSERT_NO_FATAL_FAILURE(MakeEnclave(nr_cores));
  StartAgent("{\"tenure\":\"5ms\"}");
  std::vector<std::unique_ptr<ChaosProcess>> vms;
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
