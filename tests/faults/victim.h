// SPDX-License-Identifier: Apache-2.0
// The host that a fault campaign is for: libvirtd, the class, corrald with its agent, and more VMs
// that compute than there are cores, so that some must take turns. In the test host.
#ifndef CORRAL_TESTS_FAULTS_VICTIM_H_
#define CORRAL_TESTS_FAULTS_VICTIM_H_

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/libvirt/live_corral.h"
#include "tests/libvirt/virsh_shell.h"

namespace corral {

// As root can at any time, by SysRq. Returns when it is no longer in charge.
void EjectTheClass();

class Victim {
 public:
  static constexpr Duration kSome = std::chrono::milliseconds(5);

  // With everything at work; `cpus` are the VMs'. A failure fails the test.
  explicit Victim(const std::string& cpus = "auto");
  // Nothing is left of it, or the test fails.
  ~Victim();

  LiveCorral& corral() { return *corral_; }
  VirshShell& virsh() { return *virsh_; }
  const std::vector<std::string>& vms() const { return vms_; }

  // The agent's process, by the class's word; 0: none.
  pid_t Agent() const;
  std::vector<pid_t> VcpuThreads() const;
  // Every core of the enclave has an agent that decides, and every vCPU is in the class.
  bool Whole() const;
  // What every vCPU had so far.
  std::map<pid_t, uint64_t> RunTimes() const;
  // Each vCPU has had so much since then.
  bool EveryVcpuRan(const std::map<pid_t, uint64_t>& since, Duration least = kSome) const;
  // Why not, for whoever reads it.
  std::string Describe() const;

 private:
  const std::vector<std::string> vms_ = {"alpha", "bravo", "charlie"};
  std::unique_ptr<LiveCorral> corral_;
  std::unique_ptr<VirshShell> virsh_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_FAULTS_VICTIM_H_
