// SPDX-License-Identifier: Apache-2.0
// A QEMU that is started by hand, without libvirt, and its monitor.
#ifndef CORRAL_TESTS_LIBVIRT_PLAIN_VM_H_
#define CORRAL_TESTS_LIBVIRT_PLAIN_VM_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace corral {

class PlainVm {
 public:
  struct Options {
    int vcpus = 2;  // of at most one more
    std::string accelerator = "tcg";
    std::string debug_threads = "on";
    std::vector<std::string> as;  // a command that runs it, such as one that changes the user
  };

  // Starts it paused; returns when its monitor answers.
  explicit PlainVm(std::string name) : PlainVm(std::move(name), Options{}) {}
  PlainVm(std::string name, const Options& options);
  ~PlainVm() { Kill(); }
  PlainVm(const PlainVm&) = delete;
  PlainVm& operator=(const PlainVm&) = delete;

  pid_t pid() const { return pid_; }
  // What the monitor says to a command.
  std::string Ask(const std::string& command) const;
  void Kill();

 private:
  const std::string socket_;
  pid_t pid_ = -1;
};

}  // namespace corral

#endif  // CORRAL_TESTS_LIBVIRT_PLAIN_VM_H_
