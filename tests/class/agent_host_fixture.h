// SPDX-License-Identifier: Apache-2.0
// A real kernel with the class, the auditor, and a corral-agent that decides. For tests that run as
// root in the test host.
#ifndef CORRAL_TESTS_CLASS_AGENT_HOST_FIXTURE_H_
#define CORRAL_TESTS_CLASS_AGENT_HOST_FIXTURE_H_

#include <signal.h>

#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "agent/daemon/agent_supervisor.h"
#include "tests/class/class_host_fixture.h"

namespace corral {

class AgentHostTest : public ClassHostTest {
 protected:
  AgentSpec SpecOf(const std::string& policy, const std::string& options_json) const {
    std::vector<CoreId> cores;
    for (uint32_t id = 0; id < kernel_->info().nr_cores; ++id) {
      if (kernel_->cores()[id].enclave == enclave_.value()) cores.push_back(CoreId(id));
    }
    return {.program = CORRAL_AGENT_PROGRAM,
            .enclave = "vms",
            .enclave_id = enclave_,
            .cores = cores,
            .policy = policy,
            .options_json = options_json};
  }
  void StartAgent(const std::string& options_json) {
    supervisor_.emplace(*kernel_, SpecOf("secure_vm", options_json));
    AwaitAgent();
  }
  // One VM more than there are cores, so that two share one wherever they are placed, under an agent,
  // and from now on audited.
  void StartAgentAndVms(VmProcesses& vms) {
    StartAgent("{\"tenure\":\"20ms\"}");
    for (int i = 0; i <= topology_.nr_cores(); ++i)
      vms.push_back(std::make_unique<VmProcess>(/*spinners=*/2, /*sleepers=*/1));
    AttachAll(vms);
    std::this_thread::sleep_for(std::chrono::seconds(1));
    ASSERT_TRUE(auditor_->Reset().ok());
  }
  void AwaitAgent() {
    for (int i = 0; i < 300; ++i) {
      Poll();
      if (supervisor_->Serving()) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    FAIL() << "no agent serves the enclave";
  }
  void Poll() {
    const News news = supervisor_->Poll(kernel_->Now());
    if (!news.text.empty()) printf("%s\n", news.text.c_str());
  }
  // 0: none.
  pid_t AgentProcess() const {
    for (const ghost_core_state& core : kernel_->cores()) {
      if (core.enclave != enclave_.value() || core.agent_tid == 0) continue;
      std::ifstream status("/proc/" + std::to_string(core.agent_tid) + "/status");
      for (std::string word; status >> word;) {
        pid_t pid;
        if (word == "Tgid:" && status >> pid) return pid;
      }
    }
    return 0;
  }
  void KillAgent(int signal) {
    if (const pid_t agent = AgentProcess(); agent > 0) kill(agent, signal);
  }
  void TearDown() override {
    if (kernel_ != nullptr) KillAgent(SIGTERM);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    ClassHostTest::TearDown();
  }
  std::optional<AgentSupervisor> supervisor_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_CLASS_AGENT_HOST_FIXTURE_H_
