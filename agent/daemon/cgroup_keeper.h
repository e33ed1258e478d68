// SPDX-License-Identifier: Apache-2.0
// Takes the threads of an enclave that holds no VMs into the class: those of a cgroup, or of a
// process that somebody names.
//
// All of them are one trust domain, named after the enclave. Children follow by themselves, in the
// class; a scan finds what moved into the cgroup from outside. Used from one thread.
#ifndef CORRAL_AGENT_DAEMON_CGROUP_KEEPER_H_
#define CORRAL_AGENT_DAEMON_CGROUP_KEEPER_H_

#include <set>
#include <string>

#include "kernel/ghost_kernel.h"

namespace corral {

class CgroupKeeper {
 public:
  // `cgroup` is a path below the cgroup file system, "" for none. `kernel` must outlive the keeper.
  CgroupKeeper(ControlKernel& kernel, EnclaveId enclave, std::string name, std::string cgroup)
      : kernel_(kernel), enclave_(enclave), name_(std::move(name)), cgroup_(std::move(cgroup)) {}

  // Attaches the threads of the cgroup that are not in the class. Returns a line for the log about
  // those that could not be; said once.
  std::string Scan();
  // Gives all of the enclave's threads back to where they came from; returns how many they were.
  size_t Release();
  // Attaches every thread of a process. NotFound: there is none.
  absl::Status AttachProcess(pid_t pid);

 private:
  absl::StatusOr<DomainId> Domain();
  absl::Status Attach(pid_t tid);

  ControlKernel& kernel_;
  const EnclaveId enclave_;
  const std::string name_;
  const std::string cgroup_;
  std::set<pid_t> refused_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_CGROUP_KEEPER_H_
