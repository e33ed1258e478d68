// SPDX-License-Identifier: Apache-2.0
// For host tests in which threads of ChaosProcess live under an agent: what is done to them from
// outside, and what must be true of them afterwards, whatever the policy.
#ifndef CORRAL_TESTS_CLASS_CHAOS_HOST_FIXTURE_H_
#define CORRAL_TESTS_CLASS_CHAOS_HOST_FIXTURE_H_

#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "kernel/cpu_mask.h"
#include "tests/class/agent_host_fixture.h"
#include "tests/class/chaos_process.h"

namespace corral {

using ChaosProcesses = std::vector<std::unique_ptr<ChaosProcess>>;

class ChaosHostTest : public AgentHostTest {
 protected:
  // Instead of the fixture's enclave of all CPUs.
  void MakeEnclave(const CpuSet& cpus, Duration runnable_timeout) {
    ASSERT_TRUE(kernel_->DestroyEnclave(enclave_).ok());
    const auto enclave =
        kernel_->CreateEnclave({.name = "vms", .cpus = cpus, .runnable_timeout = runnable_timeout});
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

  CpuSet RandomCpus() {
    CpuSet cpus;
    for (uint32_t cpu = 0; cpu < kernel_->info().nr_cpus; ++cpu) {
      if (random_() % 3) cpus.Insert(CpuId(static_cast<int>(cpu)));
    }
    return cpus.empty() ? cpus_ : cpus;
  }
  static void SetAffinity(pid_t tid, const CpuSet& cpus) {
    const cpu_set_t mask = MaskOf(cpus);
    sched_setaffinity(tid, sizeof(mask), &mask);
  }

  // Every worker that is there goes on or dies, and the class knows of no thread that is not. The
  // machine is full, so it takes time. With `may_block`, one that the kernel says wants no CPU
  // after that time is not lost either: it waits for a lock that goes round among many. And one
  // that wants a CPU by then, perhaps only just, has as long again.
  void ExpectNobodyIsLost(const ChaosProcesses& processes,
                          Duration within = std::chrono::seconds(20), bool may_block = false) {
    std::map<pid_t, Duration> waiting;
    for (const auto& process : processes) {
      for (const pid_t tid : process->workers()) waiting[tid] = CpuTime(tid);
    }
    EXPECT_FALSE(waiting.empty());
    const Time begin = kernel_->Now();
    size_t blocked = 0;
    for (const Time end = begin + within * (may_block ? 2 : 1);
         !waiting.empty() && kernel_->Now() < end;) {
      Poll();
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      std::erase_if(waiting, [](const auto& thread) {
        return CpuTime(thread.first) != thread.second || sched_getscheduler(thread.first) < 0;
      });
      if (may_block && kernel_->Now() >= begin + within) {
        blocked +=
            std::erase_if(waiting, [](const auto& thread) { return !WantsCpu(thread.first); });
      }
    }
    if (may_block) printf("%zu threads did not go on, and wait for no CPU\n", blocked);
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
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
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

 private:
  // By the kernel's own state of the thread, which a wake-up changes before the class hears of it.
  static bool WantsCpu(pid_t tid) {
    std::ifstream status("/proc/" + std::to_string(tid) + "/status");
    for (std::string word; status >> word;) {
      if (word == "State:" && status >> word) return word == "R";
    }
    return false;
  }
  static void PrintFile(const std::string& path) {
    std::string text;
    std::getline(std::ifstream(path), text);
    printf("%s: %s\n", path.c_str(), text.c_str());
  }
};

}  // namespace corral

#endif  // CORRAL_TESTS_CLASS_CHAOS_HOST_FIXTURE_H_
