// SPDX-License-Identifier: Apache-2.0
// corrald: the control plane. Makes the enclaves of corral.yaml, keeps an agent on each, takes
// libvirt's vCPUs in.
//
//   corrald [--config FILE] [--agent PROGRAM] [--runtime-dir DIR] [--state-dir DIR]
//
// Stays in the foreground and logs to stderr. Stopping it leaves class, agents and VMs as they are;
// starting it again finds them. SIGHUP reloads the configuration. Exit codes: 0 stopped by a
// signal; 1 refused or failed, having changed nothing, with a line that says why and what to do; 2
// wrong usage; 3 the class was lost and could not be loaded again (corral.yaml's class_loss).
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdlib>

#include <CLI/CLI.hpp>

#include "agent/daemon/daemon.h"
#include "agent/views/running_agent.h"

namespace {

// Hands the processes that wait over to the daemon that begins anew.
constexpr char kPaused[] = "CORRALD_PAUSED";
constexpr char kScopeRefused[] = "CORRALD_SCOPE_REFUSED";

// The signals are taken by the daemon's loop, in no other thread.
int SignalFd() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&set, number);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signalfd(-1, &set, SFD_CLOEXEC);
}

}  // namespace

int main(int argc, char** argv) {
  corral::DaemonOptions options;
  // systemd.exec(5): the unit's StateDirectory=.
  if (const char* const state = getenv("STATE_DIRECTORY")) options.state_dir = state;
  CLI::App app("Corral's control plane: enclaves, agents, and libvirt's VMs");
  app.add_option("--config", options.config, "the configuration")->capture_default_str();
  app.add_option("--agent", options.agent, "the agent's program; default: beside corrald");
  app.add_option("--runtime-dir", options.runtime_dir, "for the lock file and the control socket")
      ->capture_default_str();
  app.add_option("--state-dir", options.state_dir, "for the samples of corralctl report")
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const int signal_fd = SignalFd();
  corral::Logger log;
  corral::Daemon daemon(options, log);
  if (const char* const paused = getenv(kPaused)) {
    daemon.TakeOver(corral::PausedVms::Parse(paused));
    unsetenv(kPaused);
  }
  if (getenv(kScopeRefused) != nullptr) {
    daemon.LeaveScope();
    unsetenv(kScopeRefused);
  }
  if (const absl::Status status = daemon.Start(); !status.ok()) {
    log(std::string(status.message()));
    return 1;
  }
  switch (daemon.Run(signal_fd)) {
    case corral::Daemon::End::kSignal:
      return 0;
    case corral::Daemon::End::kClassLost:
      return 3;
    case corral::Daemon::End::kBeginAnew:
      break;
  }
  // The same process, so that its supervisor sees no restart, with nothing of what it knew.
  setenv(kPaused, daemon.paused().Text().c_str(), 1);
  if (daemon.scope_refused()) setenv(kScopeRefused, "1", 1);
  if (const std::string updated = corral::ReplacedProgram(getpid()); !updated.empty())
    execv(updated.c_str(), argv);
  execv("/proc/self/exe", argv);
  log("cannot begin anew; start corrald again, and SIGCONT what it stopped");
  return 1;
}
