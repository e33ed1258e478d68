// SPDX-License-Identifier: Apache-2.0
// How what a trace speaks of is called.
#ifndef CORRAL_AGENT_TRACE_TRACE_NAMES_H_
#define CORRAL_AGENT_TRACE_TRACE_NAMES_H_

#include <functional>
#include <map>
#include <string>

#include "kernel/ghost_kernel.h"

namespace corral {

// "TASK_PREEMPT" for GHOST_MSG_TASK_PREEMPT; "?" for what the ABI does not know.
const char* MessageName(uint32_t type);

// Of a machine's threads, from /proc below `root`; "" for one that has ended.
std::string CommOf(pid_t tid, const std::string& root = "");

// Threads and domains by their names as of now: those that have ended keep their numbers. Remembers
// what it was asked. One thread.
class TraceNames {
 public:
  using Comm = std::function<std::string(pid_t)>;
  TraceNames(const ControlKernel& kernel, Comm comm) : kernel_(kernel), comm_(std::move(comm)) {}

  // "web", or "#7".
  std::string Domain(uint32_t domain) const;
  // "CPU 0/KVM (4711)", or "4711".
  std::string Thread(pid_t tid);

 private:
  const ControlKernel& kernel_;
  const Comm comm_;
  std::map<pid_t, std::string> threads_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_TRACE_TRACE_NAMES_H_
