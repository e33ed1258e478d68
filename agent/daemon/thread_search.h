// SPDX-License-Identifier: Apache-2.0
// Which threads of this host an enclave without VMs shall have: those of a cgroup, of systemd
// units, and of processes that are named.
//
// Reads /proc and the cgroup file system, whatever they say at the moment. One thread.
#ifndef CORRAL_AGENT_DAEMON_THREAD_SEARCH_H_
#define CORRAL_AGENT_DAEMON_THREAD_SEARCH_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "kernel/types.h"

namespace corral {

struct ThreadSelection {
  std::string cgroup;                  // a path below the cgroup file system; "": none
  std::vector<std::string> units;      // of the system's systemd: web.service, batch.slice
  std::vector<std::string> processes;  // a process id, or a name with * and ?, as in /proc/PID/comm

  bool empty() const { return cgroup.empty() && units.empty() && processes.empty(); }
};

class ThreadSearch {
 public:
  // Names of processes and units are looked for anew only so often: that goes through all of them.
  static constexpr Duration kThorough = std::chrono::seconds(1);

  // `root`: below it lie /proc and /sys/fs/cgroup; tests have others.
  explicit ThreadSearch(ThreadSelection wanted, std::string root = "")
      : wanted_(std::move(wanted)), root_(std::move(root)) {}

  // May hold a thread twice. Kernel threads and Corral's own are never among them.
  std::vector<pid_t> Find(Time now);

 private:
  void FindUnits();
  void FindProcesses(std::vector<pid_t>& tids) const;
  bool IsWanted(pid_t process) const;

  const ThreadSelection wanted_;
  const std::string root_;
  Time thorough_{};                           // when it looks through everything again
  std::map<std::string, std::string> units_;  // the cgroup of each that was found
};

// Of a process, the first being its own; none if it is gone.
std::vector<pid_t> ThreadsOfProcess(pid_t process, const std::string& root = "");

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_THREAD_SEARCH_H_
