// SPDX-License-Identifier: Apache-2.0
#include "agent/trace/trace_names.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "kernel/text_field.h"

namespace corral {

const char* MessageName(uint32_t type) {
  switch (type) {
    case GHOST_MSG_TASK_NEW:
      return "TASK_NEW";
    case GHOST_MSG_TASK_BLOCKED:
      return "TASK_BLOCKED";
    case GHOST_MSG_TASK_WAKEUP:
      return "TASK_WAKEUP";
    case GHOST_MSG_TASK_PREEMPT:
      return "TASK_PREEMPT";
    case GHOST_MSG_TASK_YIELD:
      return "TASK_YIELD";
    case GHOST_MSG_TASK_DEPARTED:
      return "TASK_DEPARTED";
    case GHOST_MSG_TASK_DEAD:
      return "TASK_DEAD";
    case GHOST_MSG_TASK_AFFINITY_CHANGED:
      return "TASK_AFFINITY_CHANGED";
    case GHOST_MSG_TASK_PRIORITY_CHANGED:
      return "TASK_PRIORITY_CHANGED";
    case GHOST_MSG_TASK_ATTRIBUTES_CHANGED:
      return "TASK_ATTRIBUTES_CHANGED";
    case GHOST_MSG_TASK_LATCH_FAILURE:
      return "TASK_LATCH_FAILURE";
    case GHOST_MSG_CPU_TIMER_EXPIRED:
      return "CPU_TIMER_EXPIRED";
    case GHOST_MSG_CORE_RESCUED:
      return "CORE_RESCUED";
    case GHOST_MSG_TASK_ON_CPU:
      return "TASK_ON_CPU";
    case GHOST_MSG_CPU_TICK:
      return "CPU_TICK";
    case GHOST_MSG_CPU_NOT_IDLE:
      return "CPU_NOT_IDLE";
    case GHOST_MSG_CPU_AVAILABLE:
      return "CPU_AVAILABLE";
    case GHOST_MSG_CPU_BUSY:
      return "CPU_BUSY";
    case GHOST_MSG_CORE_YIELDED_TO:
      return "CORE_YIELDED_TO";
    default:
      return "?";
  }
}

std::string CommOf(pid_t tid, const std::string& root) {
  std::ifstream file(absl::StrCat(root, "/proc/", tid, "/comm"));
  std::string comm;
  std::getline(file, comm);
  return comm;
}

std::string TraceNames::Domain(uint32_t domain) const {
  if (domain == GHOST_DOMAIN_UNATTACHED) return "(none)";
  if (domain == GHOST_DOMAIN_WHOLE_HOST) return "the host";
  if (domain < kernel_.domains().size() && kernel_.domains()[domain].in_use)
    return std::string(TextOf(kernel_.domains()[domain].name));
  return absl::StrCat("#", domain);
}

std::string TraceNames::Thread(pid_t tid) {
  const auto [it, fresh] = threads_.try_emplace(tid);
  if (fresh) {
    const std::string comm = comm_(tid);
    it->second = comm.empty() ? absl::StrCat(tid) : absl::StrCat(comm, " (", tid, ")");
  }
  return it->second;
}

}  // namespace corral
