// SPDX-License-Identifier: Apache-2.0
// The centralized agent on a real kernel, with each of its policies: a thousand threads that fork,
// end and are moved about, and what becomes of whoever wants the CPU on which the agent spins.
// Runs as root in the test host, on 2 cores of 2 siblings.
//
// An emulated CPU stands still for milliseconds now and then, so that no time says anything by
// itself: waits for the agent's CPU are judged by waits for others, measured in turns with them.
#include <sys/mman.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "agent/runtime/loop_timing.h"
#include "tests/class/chaos_host_fixture.h"
#include "tests/class/host_probe.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

double Ms(Duration time) { return static_cast<double>(time.count()) / 1e6; }

struct Waits {
  std::vector<Duration> all;

  Duration Rank(size_t percent) {
    std::sort(all.begin(), all.end());
    return all[(all.size() - 1) * percent / 100];
  }
  void Print(const char* what) {
    printf("%s: p50 %.3f ms, p90 %.3f ms, max %.3f ms of %zu\n", what, Ms(Rank(50)), Ms(Rank(90)),
           Ms(Rank(100)), all.size());
  }
};

class CentralHostTest : public ChaosHostTest, public testing::WithParamInterface<const char*> {
 protected:
  static constexpr Duration kRunnableTimeout = seconds(5);  // the longest that the class allows for

  void SetUp() override {
    ChaosHostTest::SetUp();
    if (!HasFatalFailure()) MakeEnclave(topology_.cpus(), kRunnableTimeout);
  }
  void TearDown() override {
    if (log_fd_ >= 0) close(log_fd_);
    ChaosHostTest::TearDown();
  }

  // What it says on standard error is kept.
  void StartCentral(const std::string& options_json = "{}") {
    log_fd_ = memfd_create("agent", MFD_CLOEXEC);
    const int here = dup(STDERR_FILENO);
    dup2(log_fd_, STDERR_FILENO);
    supervisor_.emplace(*kernel_, SpecOf(GetParam(), options_json));
    AwaitAgent();
    dup2(here, STDERR_FILENO);
    close(here);
    agent_ = AgentProcess();
  }
  // It was the same agent all the time, that decided and lost nobody.
  void StopCentral(uint64_t rescues_per_1000_commits = 0) {
    ASSERT_GT(agent_, 0);
    EXPECT_EQ(AgentProcess(), agent_);
    const uint64_t commits = Sum(&ghost_core_state::commits);
    const uint64_t rescues = Sum(&ghost_core_state::rescues);
    printf("%llu decisions, %llu rescues\n", static_cast<unsigned long long>(commits),
           static_cast<unsigned long long>(rescues));
    EXPECT_LE(rescues * 1000, commits * rescues_per_1000_commits)
        << "the class had to run tasks that waited longer than " << Ms(kRunnableTimeout) << " ms";
    EXPECT_GT(commits, 100u);
    EXPECT_TRUE(kernel_->info().enabled)
        << kernel_->info().exit_reason << ": " << kernel_->info().exit_message;
    ExpectNoDecisionIsStuck();
    kill(agent_, SIGTERM);
    int status = -1;
    waitpid(agent_, &status, 0);
    EXPECT_EQ(status, 0);
    std::string log(static_cast<size_t>(std::max<off_t>(lseek(log_fd_, 0, SEEK_END), 0)), ' ');
    ASSERT_EQ(pread(log_fd_, log.data(), log.size(), 0), static_cast<ssize_t>(log.size()));
    printf("%s", log.c_str());
    EXPECT_NE(log.find("repairs=0"), std::string::npos)
        << "the agent's own check found tasks that it would have lost";
  }
  // Each decision is carried out, or comes to nothing and is taken back: it does not stay.
  void ExpectNoDecisionIsStuck() {
    std::map<CpuId, uint64_t> stuck;
    cpus_.ForEach([&](CpuId cpu) { stuck[cpu] = Latch(cpu); });
    for (int i = 0; i < 200; ++i) {
      std::erase_if(stuck, [&](const auto& latch) {
        return latch.second == 0 || Latch(latch.first) != latch.second;
      });
      if (stuck.empty()) return;
      std::this_thread::sleep_for(milliseconds(10));
    }
    for (const auto& [cpu, latch] : stuck)
      ADD_FAILURE() << "a decision for CPU " << cpu.value() << " is not carried out";
  }
  uint64_t Latch(CpuId cpu) const {
    return __atomic_load_n(&kernel_->cpu_states()[cpu.value()].latch, __ATOMIC_RELAXED);
  }

  bool SpinsOn(CpuId cpu) const {
    const ghost_cpu_state& state = kernel_->cpu_states()[cpu.value()];
    return __atomic_load_n(&state.taken, __ATOMIC_RELAXED) == GHOST_CPU_BY_AGENT;
  }
  CpuId SpinningOn() const {
    for (const Time end = kernel_->Now() + seconds(10); kernel_->Now() < end;) {
      for (const CpuId cpu : cpus_.ToVector()) {
        if (SpinsOn(cpu)) return cpu;
      }
    }
    return CpuId(-1);
  }
  // A CPU of which it is not true.
  CpuId Other(std::initializer_list<CpuId> than) const {
    for (const CpuId cpu : cpus_.ToVector()) {
      if (std::find(than.begin(), than.end(), cpu) == than.end()) return cpu;
    }
    return CpuId(-1);
  }
  // The bound. The agent looks around each 100 us, and leaves at once, or 1 ms after it came; but
  // emulated, one of its turns takes 100 us and more, a move milliseconds, and the CPUs stand still
  // now and then. One that did not look would be there for 400 ms more in the mean (kLongestStay).
  static void ExpectSoonEnough(Waits& elsewhere, Waits& at_agents) {
    EXPECT_LE(at_agents.Rank(50), elsewhere.Rank(50) + milliseconds(10));
    EXPECT_LE(at_agents.Rank(90), elsewhere.Rank(90) + milliseconds(40));
    EXPECT_LE(at_agents.Rank(100), elsewhere.Rank(100) + milliseconds(100));
  }

  // The agent has looked around, and this is no moment at which it would leave anyway.
  void LetItSettle() { std::this_thread::sleep_for(milliseconds(20 + random_() % 10)); }

  const ghost_status_word* WordOf(pid_t tid) const {
    for (const ghost_status_word& word : kernel_->status_words()) {
      if (word.gtid != 0 && word.tid == static_cast<uint32_t>(tid)) return &word;
    }
    return nullptr;
  }

  // How often each thread has left a CPU.
  static std::vector<uint64_t> Turns(const VmProcesses& tasks) {
    std::vector<uint64_t> turns;
    for (const auto& process : tasks) {
      for (const pid_t tid : process->tids()) {
        uint64_t& sum = turns.emplace_back(0);
        std::ifstream status("/proc/" + std::to_string(tid) + "/status");
        for (std::string line; std::getline(status, line);) {
          const size_t at = line.find("voluntary_ctxt_switches:");  // and nonvoluntary ones
          if (at != std::string::npos) sum += std::stoull(line.substr(line.find(':') + 1));
        }
      }
    }
    return turns;
  }
  // A sleeper has next to no CPU time: its turns tell whether it starves. It sleeps for 5 ms in
  // between; then each other task may have its slice first.
  static void ExpectTurns(const VmProcesses& tasks, const std::vector<uint64_t>& before,
                          Duration elapsed) {
    const std::vector<uint64_t> after = Turns(tasks);
    size_t i = 0;
    for (const auto& process : tasks) {
      for (size_t k = 0; k < process->tids().size(); ++k, ++i) {
        if (k < static_cast<size_t>(process->spinners())) continue;
        printf("sleeper %d: %llu turns\n", process->tids()[k],
               static_cast<unsigned long long>(after[i] - before[i]));
        EXPECT_GE(after[i] - before[i], static_cast<uint64_t>(elapsed / milliseconds(50)));
      }
    }
  }
  void ComparePinnedThread(VmProcesses& tasks);

  pid_t agent_ = 0;
  int log_fd_ = -1;
};

// ---- F.1: a thousand threads ----

// They sleep most of the time, so that an emulated machine has about as much to do as it can. Were
// it much more, the locks of their processes' memory maps would go round as slowly as the CPUs, and
// threads that wait for a lock are nothing to judge a scheduler by. Who waits for a CPU for
// kRunnableTimeout is run by the class itself, and counted. First in, first out allows for longer
// waits, should all the others want their slices at once (1,000 x 10 ms, on 3 CPUs, of which two
// have to agree on a domain), so that one such case in a thousand decisions is no fault.
TEST_P(CentralHostTest, AThousandThreadsAndNobodyIsLost) {
  constexpr int kProcesses = 4;
  constexpr int kWorkers = 1000 / kProcesses;
  // An emulated decision takes longer than a slice of Shinjuku's own.
  StartCentral(R"({"slice":"10ms"})");
  ChaosProcesses processes;
  std::set<pid_t> first;
  const auto attach = [&](const ChaosProcess& process) {
    ASSERT_TRUE(auditor_->Declare({process.pid()}).ok());
    const DomainId domain = DomainOf(process.pid(), 0);
    for (const pid_t tid : process.workers()) {
      ASSERT_TRUE(kernel_->AttachTask(tid, domain, 0, 100).ok());
      first.insert(tid);
    }
  };
  for (int i = 0; i < kProcesses; ++i) {
    processes.push_back(std::make_unique<ChaosProcess>(
        kWorkers, static_cast<unsigned>(i * 1000),
        ChaosProcess::Habits{.longest_sleep = seconds(30), .prepare = attach}));
  }
  ASSERT_TRUE(auditor_->Reset().ok());
  int disturbed = 0;
  size_t threads = 0, least = SIZE_MAX, others = 0;
  for (const Time end = kernel_->Now() + seconds(20); kernel_->Now() < end;) {
    threads = others = 0;
    for (const auto& process : processes) {
      const std::vector<pid_t> tids = process->workers();
      threads += tids.size();
      for (const pid_t tid : tids) others += first.count(tid) == 0;
      for (int i = 0; i < 2 && !tids.empty(); ++i, ++disturbed)
        SetAffinity(tids[random_() % tids.size()], random_() % 3 ? RandomCpus() : cpus_);
    }
    least = std::min(least, threads);
    std::this_thread::sleep_for(milliseconds(20));
  }
  printf("%zu threads, %d changes of affinity, %zu threads are not of the first thousand\n",
         threads, disturbed, others);
  PrintCores();
  EXPECT_GE(least, size_t{950}) << "a worker that ends starts another one first";
  EXPECT_GT(others, 0u);
  ExpectNobodyIsLost(processes, seconds(45), /*may_block=*/true);
  ExpectNoBreach();
  StopCentral(/*rescues_per_1000_commits=*/1);
}

// ---- F.6: whoever wants the agent's CPU ----

// The same thread, bound to the agent's CPU and to another one, in turns.
void CentralHostTest::ComparePinnedThread(VmProcesses& tasks) {
  HostProbe probe;
  Waits elsewhere, at_agents;
  const std::vector<Duration> before = CpuTimes(tasks);
  const std::vector<uint64_t> turns = Turns(tasks);
  const Time began = kernel_->Now();
  for (int i = 0; i < 50; ++i) {
    for (const bool agents : {false, true}) {
      LetItSettle();
      const CpuId place = SpinningOn();
      ASSERT_GE(place.value(), 0) << "the agent does not spin";
      const CpuId target = agents ? place : Other({place});
      BindThread(0, Other({place, target}));
      const bool was_there = SpinsOn(place);
      const Duration wait = probe.WakeOn(target);
      // It may have left by itself meanwhile.
      if (was_there) (agents ? at_agents : elsewhere).all.push_back(wait);
    }
  }
  elsewhere.Print("a thread of the host, bound to another CPU, waited");
  at_agents.Print("a thread of the host, bound to the agent's CPU, waited");
  EXPECT_GE(at_agents.all.size(), 40u);
  ExpectSoonEnough(elsewhere, at_agents);
  ExpectProgress(tasks, before, milliseconds(1));
  ExpectTurns(tasks, turns, kernel_->Now() - began);
  StopCentral();
}

TEST_P(CentralHostTest, AThreadBoundToItsCpuRunsAtOnceOnAnIdleMachine) {
  StartCentral();
  VmProcesses tasks;
  tasks.push_back(std::make_unique<VmProcess>(/*spinners=*/0, /*sleepers=*/3));
  AttachAll(tasks);
  ComparePinnedThread(tasks);
}

TEST_P(CentralHostTest, AThreadBoundToItsCpuRunsAtOnceOnABusyMachine) {
  StartCentral(R"({"slice":"2ms"})");
  VmProcesses tasks;
  for (int i = 0; i < 2; ++i) tasks.push_back(std::make_unique<VmProcess>(3, 2));
  AttachAll(tasks);
  ComparePinnedThread(tasks);
}

// A task of the class that can run nowhere else. There is room: the agent, the task, and the test
// have a CPU each.
TEST_P(CentralHostTest, ATaskBoundToItsCpuGetsThat) {
  StartCentral();
  VmProcesses tasks;
  tasks.push_back(std::make_unique<VmProcess>(/*spinners=*/1, /*sleepers=*/0));
  AttachAll(tasks);
  const std::vector<Duration> before = CpuTimes(tasks);
  const pid_t tid = tasks[0]->tids()[0];
  const ghost_status_word* const word = WordOf(tid);
  ASSERT_NE(word, nullptr);
  Waits elsewhere, at_agents;
  for (int i = 0; i < 50; ++i) {
    for (const bool agents : {false, true}) {
      SetAffinity(tid, cpus_);
      LetItSettle();
      const CpuId place = SpinningOn();
      ASSERT_GE(place.value(), 0) << "the agent does not spin";
      const CpuId free = Other({place, CpuId(word->cpu)});
      const CpuId target = agents ? place : free;
      BindThread(0, Other({place, CpuId(word->cpu), free}));
      const Time asked = kernel_->Now();
      BindThread(tid, target);
      const auto runs_there = [&] {
        return (__atomic_load_n(&word->flags, __ATOMIC_RELAXED) & GHOST_SW_ONCPU) &&
               __atomic_load_n(&word->cpu, __ATOMIC_RELAXED) == target.value();
      };
      while (!runs_there() && kernel_->Now() < asked + seconds(5)) std::this_thread::yield();
      (agents ? at_agents : elsewhere).all.push_back(kernel_->Now() - asked);
    }
  }
  elsewhere.Print("a task, bound to another CPU, waited");
  at_agents.Print("a task, bound to the agent's CPU, waited");
  ExpectSoonEnough(elsewhere, at_agents);
  ExpectProgress(tasks, before, milliseconds(20));
  StopCentral();
}

INSTANTIATE_TEST_SUITE_P(Policies, CentralHostTest, testing::Values("fifo_centralized", "shinjuku"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace corral
