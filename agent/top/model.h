// SPDX-License-Identifier: Apache-2.0
// What `corralctl top` shows, as plain values: who is on which sibling now, and what each trust
// domain did with the last seconds. Nothing but reads of the class's memory.
//
// Used from one thread. Rates are over what lies between the oldest and the newest look that are
// kept, about kWindow; waits are told by agents once a second, so theirs lag by as much.
#ifndef CORRAL_AGENT_TOP_MODEL_H_
#define CORRAL_AGENT_TOP_MODEL_H_

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/views/class_view.h"
#include "agent/views/wait_view.h"
#include "kernel/ghost_kernel.h"

namespace corral::top {

struct DomainRow {
  uint32_t id = 0;
  std::string name;
  std::string enclave;
  uint32_t vcpus = 0, running = 0, waiting = 0;
  // In CPUs: 1 is a whole one.
  double used = 0;
  double guaranteed = 0;
  Waits waited{};    // of the window, all vCPUs
  double waits = 0;  // all of them
  double forced_idle = 0;
  uint32_t refused = 0;  // vCPUs whose budget is not promised
  CpuSet cores;          // where its vCPUs live: the class's core ids
};

struct Page {
  ClassView view;
  std::vector<DomainRow> domains;  // by id
  Duration window{0};
  std::set<int> forced_idle_cpus;  // at this moment
  uint64_t breaches = 0;
  double busy = 0, forced_idle = 0, cpus = 0;  // in CPUs
};

class Model {
 public:
  static constexpr Duration kWindow = std::chrono::seconds(2);

  // `kernel` must outlive the model.
  explicit Model(const ControlKernel& kernel) : kernel_(kernel) {}

  void Look();
  // As of the last look; of a model that never looked, empty.
  Page Show() const;

 private:
  struct Sample {
    Time at{};
    ClassView view;
    std::map<uint32_t, Waits> waits;  // by domain, since their vCPUs were attached
    std::set<int> forced_idle;        // siblings that idle at this moment
  };

  void Describe(const Sample& first, const Sample& last, Page& page) const;
  void AddTasks(std::vector<DomainRow>& rows) const;

  const ControlKernel& kernel_;
  std::deque<Sample> samples_;
};

}  // namespace corral::top

#endif  // CORRAL_AGENT_TOP_MODEL_H_
