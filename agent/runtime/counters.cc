// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/counters.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace corral {
namespace {

struct Field {
  const char* name;
  uint64_t LoopCounters::*value;
};

constexpr Field kFields[] = {
    {"steps", &LoopCounters::steps},
    {"messages", &LoopCounters::messages},
    {"stale_messages", &LoopCounters::stale_messages},
    {"forwarded_messages", &LoopCounters::forwarded_messages},
    {"malformed_messages", &LoopCounters::malformed_messages},
    {"adopted", &LoopCounters::adopted},
    {"released", &LoopCounters::released},
    {"given", &LoopCounters::given},
    {"association_failures", &LoopCounters::association_failures},
    {"commits", &LoopCounters::commits},
    {"failed_commits", &LoopCounters::failed_commits},
    {"failed_calls", &LoopCounters::failed_calls},
    {"latch_failures", &LoopCounters::latch_failures},
    {"parked", &LoopCounters::parked},
    {"overflows", &LoopCounters::overflows},
    {"rescans", &LoopCounters::rescans},
    {"reentered", &LoopCounters::reentered},
};

}  // namespace

LoopCounters& LoopCounters::operator+=(const LoopCounters& other) {
  for (const Field& field : kFields) this->*field.value += other.*field.value;
  for (size_t i = 0; i < commit_states.size(); ++i) commit_states[i] += other.commit_states[i];
  repairs += other.repairs;
  return *this;
}

std::string LoopCounters::Format() const {
  std::string out;
  for (const Field& field : kFields) {
    if (this->*field.value != 0) absl::StrAppend(&out, field.name, "=", this->*field.value, " ");
  }
  for (size_t i = 0; i < commit_states.size(); ++i) {
    if (i == GHOST_TXN_COMPLETE || commit_states[i] == 0) continue;
    const char* name = TxnStateName(static_cast<uint32_t>(i));
    absl::StrAppend(&out, "txn_", absl::AsciiStrToLower(name), "=", commit_states[i], " ");
  }
  absl::StrAppend(&out, "repairs=", repairs);
  return out;
}

const char* TxnStateName(uint32_t state) {
  switch (state) {
    case GHOST_TXN_READY:
      return "READY";
    case GHOST_TXN_COMPLETE:
      return "COMPLETE";
    case GHOST_TXN_ABORTED:
      return "ABORTED";
    case GHOST_TXN_TARGET_ONCPU:
      return "TARGET_ONCPU";
    case GHOST_TXN_TARGET_STALE:
      return "TARGET_STALE";
    case GHOST_TXN_TARGET_NOT_FOUND:
      return "TARGET_NOT_FOUND";
    case GHOST_TXN_TARGET_NOT_RUNNABLE:
      return "TARGET_NOT_RUNNABLE";
    case GHOST_TXN_AGENT_STALE:
      return "AGENT_STALE";
    case GHOST_TXN_CPU_OFFLINE:
      return "CPU_OFFLINE";
    case GHOST_TXN_CPU_UNAVAIL:
      return "CPU_UNAVAIL";
    case GHOST_TXN_INVALID_FLAGS:
      return "INVALID_FLAGS";
    case GHOST_TXN_INVALID_CPU:
      return "INVALID_CPU";
    case GHOST_TXN_INVALID_TARGET:
      return "INVALID_TARGET";
    case GHOST_TXN_NOT_PERMITTED:
      return "NOT_PERMITTED";
    case GHOST_TXN_NO_AGENT:
      return "NO_AGENT";
    case GHOST_TXN_UNSUPPORTED_VERSION:
      return "UNSUPPORTED_VERSION";
    case GHOST_TXN_POISONED:
      return "POISONED";
    default:
      return "?";
  }
}

}  // namespace corral
