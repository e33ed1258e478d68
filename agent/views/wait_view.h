// SPDX-License-Identifier: Apache-2.0
// What vCPUs did with a stretch of time: ran, slept, or waited, and for what. What `corralctl
// explain` and `corralctl cost` display.
//
// Agents tell about every second what each vCPU waited for, so one look in between would mix
// stretches of different lengths. A WaitWatch is looked at often, and takes of each vCPU the
// stretch between two such tellings. Needs nobody but the class's memory. Units: ns.
#ifndef CORRAL_AGENT_VIEWS_WAIT_VIEW_H_
#define CORRAL_AGENT_VIEWS_WAIT_VIEW_H_

#include <array>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "kernel/ghost_kernel.h"

namespace corral {

using Waits = std::array<Duration, GHOST_NR_WAITS>;  // by ghost_wait

// "turn", "forced_idle" and so on: the names in JSON.
const char* NameOf(ghost_wait why);

// Of the vCPUs that each domain has now, since they were attached.
std::map<uint32_t, Waits> WaitsByDomain(const ControlKernel& kernel);

// Likewise: how often they waited for how long, and moved.
std::map<uint32_t, ghost_tally> TalliesByDomain(const ControlKernel& kernel);

// What the vCPUs of a domain are promised now, and missed of it since they were attached.
struct Promises {
  double guaranteed = 0;  // in CPUs
  Duration missed{0};
  uint64_t missed_periods = 0;
};
std::map<uint32_t, Promises> PromisesByDomain(const ControlKernel& kernel);

struct VcpuWaits {
  uint32_t slot = 0;
  pid_t tid = 0;
  pid_t tgid = 0;
  int vcpu = 0;
  uint32_t domain = 0;
  std::string trust;  // the domain's name
  uint32_t core = 0;  // that it lives on; GHOST_QUEUE_DEFAULT: none yet
  Duration time{0};   // the stretch
  Duration ran{0};
  Waits waited{};

  Duration all_waited() const;
  Duration slept() const;  // the rest
  // Of the whole stretch, in percent.
  double Percent(Duration part) const;
};

class WaitWatch {
 public:
  explicit WaitWatch(const ControlKernel& kernel) : kernel_(kernel) {}

  // To be called every few ms, for two seconds at least.
  void Look();
  // vCPUs that were there all the time, by slot.
  std::vector<VcpuWaits> Result() const;

 private:
  struct Reading {
    Time at{};
    Duration runtime{0};
    ghost_waits waits{};
  };
  // Of one incarnation of a slot.
  struct Record {
    uint64_t gtid = 0;
    Reading first, last;  // looks
    int tellings = 0;
    Reading first_told, last_told;  // those that found something new
  };

  Reading Read(uint32_t slot, Time now) const;

  const ControlKernel& kernel_;
  std::map<uint32_t, Record> records_;
};

nlohmann::json ToJson(const VcpuWaits& waits);

}  // namespace corral

#endif  // CORRAL_AGENT_VIEWS_WAIT_VIEW_H_
