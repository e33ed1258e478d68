// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/held_vms.h"

#include <bpf/bpf.h>
#include <signal.h>
#include <unistd.h>

#include <optional>

#include "vmm-integration/cgroup_watch.h"
#include "vmm-integration/qemu_process.h"

namespace corral {
namespace {

// Only the process that was stopped, not one that got its id later.
void Send(pid_t process, const held_vm& held, int signal) {
  const uint64_t tick_ns = 1'000'000'000 / static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  const std::optional<uint64_t> start_time = StartTime(process, process);
  if (start_time && *start_time == held.start_ns / tick_ns) kill(process, signal);
}

std::optional<held_vm> Find(const Fd& map, pid_t process) {
  const auto key = static_cast<uint32_t>(process);
  held_vm held;
  if (bpf_map_lookup_elem(map.get(), &key, &held) != 0) return std::nullopt;
  return held;
}

void Forget(const Fd& map, pid_t process) {
  const auto key = static_cast<uint32_t>(process);
  bpf_map_delete_elem(map.get(), &key);
}

}  // namespace

void HeldVms::Release(pid_t process, uint64_t hold) {
  const std::optional<held_vm> held = Find(map_, process);
  if (!held) {  // forgotten below, just when it was stopped once more
    kill(process, SIGCONT);
    return;
  }
  if (held->last != hold) return;  // the later stop's report is still to come
  Send(process, *held, SIGCONT);
  // A stop that came between the two was undone by that.
  const std::optional<held_vm> now = Find(map_, process);
  if (now && now->last != hold)
    Send(process, *now, SIGSTOP);
  else
    Forget(map_, process);
}

std::vector<pid_t> HeldVms::All() const {
  std::vector<pid_t> processes;
  uint32_t key = 0;
  for (const uint32_t* previous = nullptr; bpf_map_get_next_key(map_.get(), previous, &key) == 0;
       previous = &key) {
    processes.push_back(static_cast<pid_t>(key));
  }
  return processes;
}

void HeldVms::ReleaseAll(const std::vector<pid_t>& processes) {
  for (const pid_t process : processes) {
    if (const std::optional<held_vm> held = Find(map_, process)) Send(process, *held, SIGCONT);
    Forget(map_, process);
  }
}

std::vector<pid_t> HeldVms::ReleaseLeftovers(const std::string& pin) {
  Fd map(bpf_obj_get(pin.c_str()));
  if (!map) return {};
  HeldVms held(std::move(map));
  std::vector<pid_t> processes = held.All();
  held.ReleaseAll(processes);
  unlink(pin.c_str());
  return processes;
}

}  // namespace corral
