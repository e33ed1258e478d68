// SPDX-License-Identifier: Apache-2.0
// corral-agent with the secure VM policy on a real kernel, with plain threads. Runs as root in the
// test host.
#include <signal.h>

#include <fstream>

#include "agent/daemon/agent_supervisor.h"
#include "tests/class/class_host_fixture.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class AgentHostTest : public ClassHostTest {
 protected:
  void StartAgent(const std::string& options_json) {
    std::vector<CoreId> cores;
    for (uint32_t id = 0; id < kernel_->info().nr_cores; ++id) cores.push_back(CoreId(id));
    supervisor_.emplace(*kernel_, AgentSpec{.program = CORRAL_AGENT_PROGRAM,
                                            .enclave = "vms",
                                            .enclave_id = enclave_,
                                            .cores = cores,
                                            .policy = "secure_vm",
                                            .options_json = options_json});
    AwaitAgent();
  }
  void AwaitAgent() {
    for (int i = 0; i < 300; ++i) {
      const std::string event = supervisor_->Poll(kernel_->Now());
      if (!event.empty()) printf("%s\n", event.c_str());
      if (supervisor_->Serving()) return;
      std::this_thread::sleep_for(milliseconds(50));
    }
    FAIL() << "no agent serves the enclave";
  }
  pid_t AgentProcess() const {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%u/status", kernel_->cores()[0].agent_tid);
    std::ifstream status(path);
    for (std::string word; status >> word;) {
      pid_t pid;
      if (word == "Tgid:" && status >> pid) return pid;
    }
    return 0;
  }
  void TearDown() override {
    if (kernel_ != nullptr && AgentProcess() > 0) kill(AgentProcess(), SIGTERM);
    std::this_thread::sleep_for(milliseconds(500));
    ClassHostTest::TearDown();
  }
  std::optional<AgentSupervisor> supervisor_;
};

TEST_F(AgentHostTest, AgentsDecideAndIsolate) {
  StartAgent("{\"tenure\":\"20ms\"}");
  VmProcesses vms;
  for (int i = 0; i < 4; ++i)
    vms.push_back(std::make_unique<VmProcess>(/*spinners=*/2, /*sleepers=*/1));
  AttachAll(vms);
  std::this_thread::sleep_for(seconds(1));
  ASSERT_TRUE(auditor_->Reset().ok());
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
  StartAgent("{\"tenure\":\"20ms\"}");
  VmProcesses vms;
  for (int i = 0; i < 4; ++i) vms.push_back(std::make_unique<VmProcess>(2, 1));
  AttachAll(vms);
  std::this_thread::sleep_for(seconds(1));
  ASSERT_TRUE(auditor_->Reset().ok());
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
  StartAgent("{\"tenure\":\"20ms\"}");
  VmProcesses vms;
  for (int i = 0; i < 4; ++i) vms.push_back(std::make_unique<VmProcess>(2, 1));
  AttachAll(vms);
  std::this_thread::sleep_for(seconds(1));
  ASSERT_TRUE(auditor_->Reset().ok());
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

}  // namespace
}  // namespace corral
