// SPDX-License-Identifier: Apache-2.0
// Takes the threads of an enclave that holds no VMs into the class: those that the configuration
// selects, and those of a process that somebody names.
//
// All of them are one trust domain, named after the enclave. Children follow by themselves, in the
// class; a scan finds what came from outside. Used from one thread.
#ifndef CORRAL_AGENT_DAEMON_THREAD_KEEPER_H_
#define CORRAL_AGENT_DAEMON_THREAD_KEEPER_H_

#include <set>
#include <string>

#include "agent/daemon/thread_search.h"
#include "kernel/ghost_kernel.h"

namespace corral {

class ThreadKeeper {
 public:
  // `kernel` must outlive the keeper.
  ThreadKeeper(ControlKernel& kernel, EnclaveId enclave, std::string name, ThreadSelection wanted)
      : kernel_(kernel), enclave_(enclave), name_(std::move(name)), search_(std::move(wanted)) {}

  // Attaches those of its threads that are not in the class. Returns a line for the log about
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
  ThreadSearch search_;
  std::set<pid_t> refused_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_THREAD_KEEPER_H_
