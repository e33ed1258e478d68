// SPDX-License-Identifier: Apache-2.0
// A process whose threads sleep and wake for ever in the middle of a BPF program, where the kernel
// lets no task migrate. So does a vCPU's thread when a security module or a tracer of the host has
// a program that reads its memory. Each thread reads a page that is missing (userfaultfd) until the
// process's first thread, which is in no class, brings it. Needs root.
#ifndef CORRAL_TESTS_FAULTS_BPF_SLEEPERS_H_
#define CORRAL_TESTS_FAULTS_BPF_SLEEPERS_H_

#include <sys/types.h>

#include <vector>

namespace corral {

class BpfSleepers {
 public:
  // The threads exist when the constructor returns; none if the kernel refused something.
  explicit BpfSleepers(int threads);
  BpfSleepers(const BpfSleepers&) = delete;
  ~BpfSleepers();

  pid_t pid() const { return pid_; }
  const std::vector<pid_t>& tids() const { return tids_; }

 private:
  pid_t pid_ = -1;
  std::vector<pid_t> tids_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_FAULTS_BPF_SLEEPERS_H_
