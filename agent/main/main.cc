// SPDX-License-Identifier: Apache-2.0
// corral-agent: serves one enclave with one policy, until SIGTERM or until the class goes away.
//
//   corral-agent --enclave NAME --policy NAME [--housekeeping CPULIST]
//
// Descriptors come by the protocol of sd_listen_fds_with_names(3): those of the class, and
// "options", a sealed memory file with the policy's options as JSON (without one the defaults
// hold), "hints", a socket on which processes of the enclave ask for a place to hint, and "ready",
// the end of a pipe that is written into when the agent waits for its cores. Exit codes:
// exit_codes.h.
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "agent/hints/hint_server.h"
#include "agent/main/exit_codes.h"
#include "agent/main/inherited_fd.h"
#include "agent/main/privileges.h"
#include "agent/main/sealed_options.h"
#include "agent/runtime/agent_threads.h"
#include "agent/runtime/central_agents.h"
#include "agent/runtime/enclave_state.h"
#include "agent/runtime/per_core_agents.h"
#include "kernel/bpf/bpf_agent_kernel.h"
#include "policies/registry.h"

namespace corral {
namespace {

struct CommandLine {
  std::string enclave;
  std::string policy = "secure_vm";
  std::string housekeeping;
};

void Log(const CommandLine& line, absl::string_view level, absl::string_view text) {
  fprintf(stderr, "corral-agent[%s]: %s%.*s\n", line.enclave.c_str(), std::string(level).c_str(),
          static_cast<int>(text.size()), text.data());
}

int Fail(const CommandLine& line, const absl::Status& status, int code) {
  Log(line, "error: ", status.message());
  return code;
}

// Everything that the agent consists of, in the order in which it is made.
struct Agent {
  std::unique_ptr<HintTables> hints;
  std::unique_ptr<AgentKernel> kernel;
  std::unique_ptr<HintServer> hint_server;  // if anybody may hint
  std::unique_ptr<EnclaveState> state;
  std::unique_ptr<PerCorePolicy> per_core;  // or
  std::unique_ptr<CentralPolicy> central;
  std::unique_ptr<Agents> agents;
  std::unique_ptr<AgentThreads> threads;
};

template <typename Policy>
absl::Status Keep(absl::StatusOr<std::unique_ptr<Policy>> made, std::unique_ptr<Policy>& kept) {
  if (made.ok()) kept = *std::move(made);
  return made.status();
}

bool HasThreads(const AgentKernel& kernel, pid_t process) {
  for (const ghost_status_word& word : kernel.status_words()) {
    if ((word.flags & GHOST_SW_INUSE) && word.enclave == kernel.enclave_id().value() &&
        word.tgid == static_cast<uint32_t>(process))
      return true;
  }
  return false;
}

absl::Status MakeHintServer(Fd listener, Agent& agent) {
  if (!listener) return absl::OkStatus();
  const AgentKernel& kernel = *agent.kernel;
  return Keep(HintServer::Create(std::move(listener), *agent.hints,
                                 [&kernel](pid_t process) { return HasThreads(kernel, process); }),
              agent.hint_server);
}

absl::Status MakePolicy(const CommandLine& line, Agent& agent) {
  const absl::StatusOr<const PolicyInfo*> info = FindPolicy(line.policy);
  if (!info.ok()) return absl::InvalidArgumentError(info.status().message());
  const absl::StatusOr<std::string> json = InheritedOptions();
  if (!json.ok()) return json.status();
  const absl::StatusOr<OptionValues> options = OptionValues::FromJson((*info)->options, *json);
  if (!options.ok()) return absl::InvalidArgumentError(options.status().message());
  if (const absl::Status made = Keep(HintTables::Create(), agent.hints); !made.ok()) return made;
  Fd hint_listener = InheritedFd("hints");
  // The descriptors of the class are taken last: this empties the environment of them.
  absl::StatusOr<std::unique_ptr<BpfAgentKernel>> kernel =
      BpfAgentKernel::FromInheritedFds(line.enclave);
  if (!kernel.ok()) return kernel.status();
  agent.kernel = *std::move(kernel);
  if (const absl::Status made = MakeHintServer(std::move(hint_listener), agent); !made.ok())
    return made;
  const absl::StatusOr<Topology> host = Topology::FromHost();
  if (!host.ok()) return host.status();
  absl::StatusOr<std::unique_ptr<EnclaveState>> state = EnclaveState::Create(*agent.kernel, *host);
  if (!state.ok()) return state.status();
  agent.state = *std::move(state);
  const PolicyContext context = {.topology = agent.state->topology(),
                                 .nr_slots = agent.kernel->info().nr_slots,
                                 .options = *options,
                                 .hints = agent.hints.get()};
  if ((*info)->make_central != nullptr) return Keep((*info)->make_central(context), agent.central);
  return Keep((*info)->make_per_core(context), agent.per_core);
}

absl::Status MakeThreads(const CommandLine& line, Agent& agent) {
  const absl::StatusOr<CpuSet> housekeeping = CpuSet::Parse(line.housekeeping);
  if (!housekeeping.ok()) return housekeeping.status();
  if (agent.central != nullptr) {
    agent.agents = std::make_unique<CentralAgents>(*agent.state, *agent.central, *housekeeping);
  } else {
    agent.agents = std::make_unique<PerCoreAgents>(*agent.state, *agent.per_core);
  }
  absl::StatusOr<std::unique_ptr<AgentThreads>> threads =
      AgentThreads::Create(*agent.state, *agent.agents, {.housekeeping = *housekeeping});
  if (!threads.ok()) return threads.status();
  agent.threads = *std::move(threads);
  return absl::OkStatus();
}

// Blocks the signals that end us, for this thread and those to come, and gives a descriptor for
// them.
int SignalFd() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  return signalfd(-1, &set, SFD_CLOEXEC);
}

// Until a signal asks us to leave or a loop has ended by itself.
void AwaitEnd(int signal_fd, Agent& agent) {
  const int hints_fd = agent.hint_server == nullptr ? -1 : agent.hint_server->fd();
  pollfd fds[] = {{.fd = signal_fd, .events = POLLIN},
                  {.fd = agent.threads->done_fd(), .events = POLLIN},
                  {.fd = hints_fd, .events = POLLIN}};
  for (;;) {
    if (poll(fds, 3, -1) < 0) continue;
    if (fds[0].revents != 0 || fds[1].revents != 0) return;
    agent.hint_server->Serve();
  }
}

// While it is still allowed to. Where it is not, the unit's LimitMEMLOCK holds, and LockMemory()
// tells.
void AllowLockedMemory() {
  const rlimit unlimited = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

// Of the threads to come: all of it will be locked memory, on a large host for hundreds of them.
void UseSmallStacks() {
  constexpr size_t kBytes = 256 * 1024;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kBytes);
  pthread_setattr_default_np(&attributes);
  pthread_attr_destroy(&attributes);
}

// What is mapped now and later.
void LockMemory(const CommandLine& line) {
  if (mlockall(MCL_CURRENT | MCL_FUTURE) == 0) return;
  Log(line, "warning: ",
      "memory could not be locked, so page faults may delay decisions; raise LimitMEMLOCK");
}

// To whoever waits for it.
void SayReady(const Fd& ready) {
  if (ready && write(ready.get(), "r", 1) != 1) return;
  sd_notify(0, "READY=1");
}

int Serve(const CommandLine& line) {
  AllowLockedMemory();
  absl::Status status = DropPrivileges();
  if (!status.ok()) return Fail(line, status, ExitCodeOf(status));
  const int signal_fd = SignalFd();
  const Fd ready = InheritedFd("ready");
  Agent agent;
  status = MakePolicy(line, agent);
  if (status.ok()) status = MakeThreads(line, agent);
  if (!status.ok()) return Fail(line, status, ExitCodeOf(status));
  UseSmallStacks();
  LockMemory(line);
  agent.threads->Start();
  SayReady(ready);
  Log(line, "",
      std::string("policy ") + line.policy + " on CPUs " + agent.state->topology().cpus().Format());
  AwaitEnd(signal_fd, agent);
  sd_notify(0, "STOPPING=1");
  for (const std::string& warning : agent.threads->warnings()) Log(line, "warning: ", warning);
  status = agent.threads->Stop();
  Log(line, "counters: ", agent.agents->Totals().Format());
  return status.ok() ? kExitOk : Fail(line, status, kExitLost);
}

}  // namespace
}  // namespace corral

int main(int argc, char** argv) {
  corral::CommandLine line;
  CLI::App app("Serves one enclave of the scheduling class with one policy. Started by corrald.");
  app.add_option("--enclave", line.enclave, "name of the enclave")->required();
  app.add_option("--policy", line.policy, "policy that decides")->capture_default_str();
  app.add_option("--housekeeping", line.housekeeping,
                 "CPUs for the agent's threads, as a cpulist; default: each on its own core");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? corral::kExitOk : corral::kExitUsage;
  }
  return corral::Serve(line);
}
