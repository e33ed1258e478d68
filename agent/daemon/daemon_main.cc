// SPDX-License-Identifier: Apache-2.0
// corrald: the control plane. Makes the enclaves of corral.yaml, keeps an agent on each, takes
// libvirt's vCPUs in.
//
//   corrald [--config FILE] [--agent PROGRAM] [--runtime-dir DIR]
//
// Stays in the foreground and logs to stderr. Stopping it leaves class, agents and VMs as they are;
// starting it again finds them. SIGHUP reloads the configuration. Exit codes: 0 stopped by a
// signal; 1 refused or failed, having changed nothing, with a line that says why and what to do; 2
// wrong usage.
#include <signal.h>
#include <sys/signalfd.h>

#include <CLI/CLI.hpp>

#include "agent/daemon/daemon.h"

namespace {

// The signals are taken by the daemon's loop, in no other thread.
int SignalFd() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signalfd(-1, &set, SFD_CLOEXEC);
}

}  // namespace

int main(int argc, char** argv) {
  corral::DaemonOptions options;
  CLI::App app("Corral's control plane: enclaves, agents, and libvirt's VMs");
  app.add_option("--config", options.config, "the configuration")->capture_default_str();
  app.add_option("--agent", options.agent, "the agent's program; default: beside corrald");
  app.add_option("--runtime-dir", options.runtime_dir, "for the lock file and the control socket")
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const int signal_fd = SignalFd();
  corral::Logger log;
  corral::Daemon daemon(options, log);
  if (const absl::Status status = daemon.Start(); !status.ok()) {
    log(std::string(status.message()));
    return 1;
  }
  daemon.Run(signal_fd);
  return 0;
}
