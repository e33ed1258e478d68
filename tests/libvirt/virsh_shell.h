// SPDX-License-Identifier: Apache-2.0
// virsh as an operator has it open: one process that reads one command after the other. In the test
// host a virsh for each would take seconds of start-up, and what a test waits for would drown in
// them.
#ifndef CORRAL_TESTS_LIBVIRT_VIRSH_SHELL_H_
#define CORRAL_TESTS_LIBVIRT_VIRSH_SHELL_H_

#include <sys/types.h>

#include <chrono>
#include <string>

#include "kernel/fd.h"

namespace corral {

// One thread. A libvirtd that was started again is connected to by the next command.
class VirshShell {
 public:
  static constexpr char kSystem[] = "qemu:///system";

  explicit VirshShell(const std::string& uri = kSystem);
  ~VirshShell();
  VirshShell(const VirshShell&) = delete;
  VirshShell& operator=(const VirshShell&) = delete;

  struct Answer {
    bool ok = false;   // virsh reported no error
    std::string text;  // what it printed
    std::chrono::steady_clock::time_point returned;
  };
  // Says a command, without its "virsh", and waits until it has returned.
  Answer Run(const std::string& command);
  // In two steps, so that something can happen in between.
  void Say(const std::string& command);
  Answer AwaitReturn();

 private:
  pid_t pid_ = 0;
  Fd in_, out_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_LIBVIRT_VIRSH_SHELL_H_
