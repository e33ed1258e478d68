// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/agent_threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/runtime/loop_timing.h"
#include "kernel/cpu_mask.h"

namespace corral {

absl::StatusOr<std::unique_ptr<AgentThreads>> AgentThreads::Create(EnclaveState& state,
                                                                   Agents& agents,
                                                                   const Options& options) {
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no event descriptor: ", strerror(errno), "; raise LimitNOFILE"));
  }
  return std::unique_ptr<AgentThreads>(new AgentThreads(state, agents, options, fd));
}

AgentThreads::AgentThreads(EnclaveState& state, Agents& agents, const Options& options, int done_fd)
    : state_(state), agents_(agents), options_(options), done_fd_(done_fd) {}

AgentThreads::~AgentThreads() {
  Stop().IgnoreError();
  close(done_fd_);
}

void AgentThreads::Start() {
  // Signals are for the main thread; threads inherit the mask.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  results_.assign(agents_.nr_cores(), absl::OkStatus());
  for (int core = 0; core < agents_.nr_cores(); ++core) {
    threads_.emplace_back([this, core] { Main(core); });
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

absl::Status AgentThreads::Stop() {
  stop_.store(true, std::memory_order_release);
  for (size_t i = 0; i < threads_.size(); ++i) agents_.Wake(static_cast<int>(i));
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  for (const absl::Status& result : results_) {
    if (!result.ok()) return result;
  }
  return absl::OkStatus();
}

std::vector<std::string> AgentThreads::warnings() const {
  std::vector<std::string> lines;
  if (not_fifo_.load()) {
    lines.push_back(
        "agents run without SCHED_FIFO, so busy hosts delay their decisions; grant CAP_SYS_NICE or "
        "LimitRTPRIO=1");
  }
  if (not_pinned_.load()) {
    lines.push_back(absl::StrCat("agents could not be pinned to ",
                                 options_.housekeeping.empty()
                                     ? std::string("their cores")
                                     : absl::StrCat("CPUs ", options_.housekeeping.Format()),
                                 "; do the CPUs exist, and does the cgroup's cpuset allow them?"));
  }
  return lines;
}

void AgentThreads::Main(int core) {
  Prepare(core);
  absl::Status status = EnterWithPatience(core);
  if (status.ok() && !stop_.load(std::memory_order_acquire)) {
    status = agents_.Run(core, stop_);
    // Leaving a class that is gone, or a core that was taken from us, fails and does not matter.
    agents_.Leave(core).IgnoreError();
  }
  results_[core] = std::move(status);
  if (stop_.load(std::memory_order_acquire)) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(done_fd_, &one, sizeof(one));
}

// Neither is needed for the agent to be right, only for it to be fast: so failures are told, not
// fatal.
void AgentThreads::Prepare(int core) {
  pthread_setname_np(pthread_self(), absl::StrCat("agent/", core).c_str());
  const Core& place = state_.topology().core(core);
  const cpu_set_t cpus =
      MaskOf(options_.housekeeping.empty() ? place.siblings : options_.housekeeping);
  if (pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus) != 0) not_pinned_.store(true);
  sched_param param{};
  param.sched_priority = options_.fifo_priority;
  if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &param) != 0) not_fifo_.store(true);
}

// Without an agent the class goes on with the core; with one that knows of no task yet, it waits.
void AgentThreads::AwaitLead(int core, absl::FunctionRef<bool()> has_agent) const {
  Time free_since = state_.kernel().Now();
  while (core != state_.lead() && !agents_.HasBegun() && !stop_.load(std::memory_order_acquire)) {
    const Time now = state_.kernel().Now();
    if (has_agent()) free_since = now;
    if (now - free_since >= loop_timing::kAwaitLead) return;
    std::this_thread::sleep_for(loop_timing::kEnterRetry);
  }
}

// In an upgrade in place the former agent of the core leaves when it is told to; until then the
// core is occupied.
absl::Status AgentThreads::EnterWithPatience(int core) {
  const ghost_core_state& state = state_.kernel().cores()[state_.topology().core(core).id.value()];
  const auto has_agent = [&] { return __atomic_load_n(&state.agent_tid, __ATOMIC_RELAXED) != 0; };
  AwaitLead(core, has_agent);
  for (;;) {
    // Asked before as well: it may leave just after it was in our way.
    const bool had_agent = has_agent();
    const absl::Status status = agents_.Enter(core);
    const bool occupied = !status.ok() && (had_agent || has_agent());
    if (!occupied || stop_.load(std::memory_order_acquire)) {
      return occupied ? absl::OkStatus() : status;
    }
    std::this_thread::sleep_for(loop_timing::kEnterRetry);
  }
}

}  // namespace corral
