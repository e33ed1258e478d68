// SPDX-License-Identifier: Apache-2.0
// corral-agent with the secure VM policy on a real kernel, with plain threads. Runs as root in the
// test host.
#include <atomic>
#include <functional>
#include <thread>

#include "tests/class/agent_host_fixture.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_F(AgentHostTest, AgentsDecideAndIsolate) {
  VmProcesses vms;
  ASSERT_NO_FATAL_FAILURE(StartAgentAndVms(vms));
  const uint64_t agent_before = Sum(&ghost_core_state::switches_agent);
  const uint64_t class_before = Sum(&ghost_core_state::switches_class);
  const std::vector<Duration> before = CpuTimes(vms);
  std::this_thread::sleep_for(seconds(10));
  const uint64_t by_agent = Sum(&ghost_core_state::switches_agent) - agent_before;
  const uint64_t by_class = Sum(&ghost_core_state::switches_class) - class_before;
  PrintCores();
  printf("core switches: %llu by agents, %llu by the class\n",
         static_cast<unsigned long long>(by_agent), static_cast<unsigned long long>(by_class));
  ExpectProgress(vms, before, milliseconds(20));
  ExpectIsolated();
  EXPECT_GT(by_agent, 100u);
  EXPECT_GE(by_agent, 19 * by_class) << "less than 95 % of the core switches came from commits";
}

TEST_F(AgentHostTest, AKilledAgentIsReplacedAndNothingLeaks) {
  VmProcesses vms;
  ASSERT_NO_FATAL_FAILURE(StartAgentAndVms(vms));
  for (int round = 0; round < 3; ++round) {
    const std::vector<Duration> before = CpuTimes(vms);
    ASSERT_GT(AgentProcess(), 0);
    kill(AgentProcess(), SIGKILL);
    std::this_thread::sleep_for(seconds(1));
    EXPECT_EQ(AgentProcess(), 0) << "the class still believes in the dead agent";
    const uint64_t agent_before = Sum(&ghost_core_state::switches_agent);
    AwaitAgent();
    std::this_thread::sleep_for(seconds(2));
    EXPECT_GT(Sum(&ghost_core_state::switches_agent), agent_before)
        << "the new agent decides nothing";
    ExpectProgress(vms, before, milliseconds(1));
  }
  PrintCores();
  ExpectIsolated();
}

TEST_F(AgentHostTest, WhileTheAgentHangsTheClassSchedules) {
  VmProcesses vms;
  ASSERT_NO_FATAL_FAILURE(StartAgentAndVms(vms));
  const pid_t agent = AgentProcess();
  kill(agent, SIGSTOP);
  std::this_thread::sleep_for(seconds(4));  // the enclave's runnable_timeout is 2 s
  const std::vector<Duration> before = CpuTimes(vms);
  std::this_thread::sleep_for(seconds(4));
  ExpectProgress(vms, before, milliseconds(10));
  EXPECT_GT(Sum(&ghost_core_state::rescues), 0u);
  const uint64_t agent_before = Sum(&ghost_core_state::switches_agent);
  kill(agent, SIGCONT);
  std::this_thread::sleep_for(seconds(2));
  EXPECT_GT(Sum(&ghost_core_state::switches_agent), agent_before)
      << "the agent was not let back in";
  PrintCores();
  ExpectIsolated();
}

// An agent's thread is bound to its core: without it the thread runs elsewhere, its core's tasks go
// to the others. Afterwards it decides again, for whoever is placed there.
TEST_F(AgentHostTest, ItsCpusGoAndComeBack) {
  VmProcesses vms;
  ASSERT_NO_FATAL_FAILURE(StartAgentAndVms(vms));
  const CoreId last(topology_.nr_cores() - 1);
  const std::vector<CpuId> cpus = topology_.core(last.value()).siblings.ToVector();
  for (int round = 0; round < 2; ++round) {
    for (const CpuId cpu : cpus) SetOnline(cpu, false);
    const std::vector<Duration> before = CpuTimes(vms);
    std::this_thread::sleep_for(seconds(4));
    ExpectProgress(vms, before, milliseconds(1));
    for (const CpuId cpu : cpus) SetOnline(cpu, true);
    const uint64_t commits = kernel_->cores()[last.value()].commits;
    VmProcesses more;
    more.push_back(std::make_unique<VmProcess>(/*spinners=*/2, /*sleepers=*/1));
    AttachAll(more);
    std::this_thread::sleep_for(seconds(4));
    EXPECT_GT(kernel_->cores()[last.value()].commits, commits)
        << "nobody decides for the core that came back";
  }
  PrintCores();
  const absl::StatusOr<AuditReport> report = auditor_->Read();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->total[AUDIT_VCPU_ENFORCED].time.count(), 0);
  EXPECT_TRUE(kernel_->info().enabled)
      << kernel_->info().exit_reason << ": " << kernel_->info().exit_message;
}

// How long nobody decides, and how long nobody runs, while one agent process takes over from
// another. Sampled, so a lower bound of what is reported; emulated, so only the ratio to the load's
// own gaps says something.
struct Gaps {
  Duration without_agent{0};
  Duration without_task{0};
};

Gaps WatchGaps(const ControlKernel& kernel, const std::atomic<bool>& stop) {
  Gaps worst;
  Time agent_seen = kernel.Now(), task_seen = agent_seen;
  while (!stop) {
    const Time now = kernel.Now();
    bool agent = true, task = false;
    for (const ghost_core_state& core : kernel.cores()) agent &= core.agent_tid != 0;
    for (const ghost_cpu_state& cpu : kernel.cpu_states())
      task |= cpu.running_domain >= GHOST_DOMAIN_FIRST;
    if (agent) agent_seen = now;
    if (task) task_seen = now;
    worst.without_agent = std::max(worst.without_agent, now - agent_seen);
    worst.without_task = std::max(worst.without_task, now - task_seen);
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return worst;
}

TEST_F(AgentHostTest, AnAgentHandsOverInPlace) {
  VmProcesses vms;
  ASSERT_NO_FATAL_FAILURE(StartAgentAndVms(vms));
  const auto watch = [&](const std::function<void()>& act) {
    std::atomic<bool> stop = false;
    Gaps gaps;
    std::thread watcher([&] { gaps = WatchGaps(*kernel_, stop); });
    act();
    stop = true;
    watcher.join();
    return gaps;
  };
  const Gaps control = watch([] { std::this_thread::sleep_for(seconds(5)); });
  const std::vector<Duration> before = CpuTimes(vms);
  const Gaps gaps = watch([&] {
    for (int round = 0; round < 3; ++round) {
      const pid_t old = AgentProcess();
      const absl::Status switched =
          supervisor_->SwitchTo(SpecOf("secure_vm", "{\"tenure\":\"10ms\"}"));
      ASSERT_TRUE(switched.ok()) << switched;
      EXPECT_NE(AgentProcess(), old);
    }
  });
  printf(
      "hand-over: longest without an agent on every core %.1f ms, without any task running %.1f ms "
      "(without a hand-over: %.1f ms)\n",
      gaps.without_agent.count() / 1e6, gaps.without_task.count() / 1e6,
      control.without_task.count() / 1e6);
  ExpectProgress(vms, before, milliseconds(10));
  ExpectIsolated();
}

}  // namespace
}  // namespace corral
