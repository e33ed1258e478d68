// SPDX-License-Identifier: Apache-2.0
// An operator with virsh, a libvirtd, and Corral at work: what the class is to hold of a VM, and
// whether it does so soon after virsh has returned. In the test host; one libvirtd, class and
// corrald for all tests of a program.
#ifndef CORRAL_TESTS_LIBVIRT_OPERATOR_FIXTURE_H_
#define CORRAL_TESTS_LIBVIRT_OPERATOR_FIXTURE_H_

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>

#include "tests/libvirt/live_corral.h"
#include "tests/libvirt/virsh_shell.h"
#include "vmm-integration/vm_settings.h"

namespace corral {

// Within which the class holds what virsh said, after virsh has returned.
inline constexpr std::chrono::seconds kPromised{1};

// What the class is to hold of each thread of a VM.
struct Wanted {
  std::string domain;
  uint32_t weight = 100;
  uint32_t node = GHOST_NO_NODE;
  TimeShare cap, emulator_cap, iothread_cap;
  TimeShare reservation;            // of each vCPU
  std::map<int, std::string> pins;  // CPUs by vCPU; the others have all
};

// "" or how what the class has of `process` differs: which threads it has, whose domain they are
// in, what they are promised. All threads of the process are meant to be in the class.
std::string Difference(const LiveCorral& corral, pid_t process, const Wanted& wanted);

class OperatorTest : public testing::Test {
 protected:
  static LiveCorral& corral();
  static VirshShell& virsh();

  // Says it to virsh, which must do it; then the class must hold what is wanted_ of alpha.
  static void Say(const std::string& command);
  // virsh must refuse; then nothing must have changed.
  static void SayInVain(const std::string& command);
  // That alpha runs, has these vCPUs, and is held as wanted_.
  static void ExpectHeld(const std::string& what, std::chrono::steady_clock::time_point since,
                         std::chrono::milliseconds patience = kPromised);
  // That alpha's process has ended, and the class has nothing of it.
  static void ExpectGone(const std::string& what, pid_t process);
  // The end of what alpha's QEMU says.
  static std::string QemuLog();

  static Wanted wanted_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_LIBVIRT_OPERATOR_FIXTURE_H_
