// SPDX-License-Identifier: Apache-2.0
// Who ran where on a simulated machine: recorded switch by switch, to be opened in Perfetto or
// looked at as a picture.
//
// All times in ns of the machine's clock. The same run gives the same bytes on any machine: no
// position is computed in floating point. Same thread rules as the Machine, which must outlive it.
#ifndef CORRAL_AGENT_SIMULATE_TIMELINE_H_
#define CORRAL_AGENT_SIMULATE_TIMELINE_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "kernel/sim/machine.h"

namespace corral {

class Timeline final : public sim::SwitchObserver {
 public:
  // By SimThread::vm. Others are called "VM n".
  using VmNames = std::map<uint32_t, std::string>;

  // Begins with what runs now: Machine::Observe() has to follow at once. A stint takes some 40
  // bytes; the one after `most_stints` ends the recording.
  explicit Timeline(const sim::Machine& machine, size_t most_stints = 1 << 20);

  void Switched(Time now, int cpu, const sim::SimThread* from, const sim::SimThread* to) override;

  // A thread's time on a CPU, from one switch to the next. `vm` as it was at the beginning.
  struct Stint {
    int cpu = -1;
    uint32_t vm = 0;
    pid_t tid = 0;
    Time from{}, to{};
  };
  // What was recorded, up to now; the stints of each CPU in their order. None is empty.
  std::vector<Stint> Stints() const;
  const std::string& NameOf(pid_t tid) const { return names_.at(tid); }  // of a thread in a stint
  Time begin() const { return begin_; }
  Time end() const { return cut_off_.value_or(machine_.now()); }  // of the recording, so far
  // When there were too many stints. Nothing is known about what came then.
  std::optional<Time> cut_off() const { return cut_off_; }
  size_t most_stints() const { return most_stints_; }
  const std::vector<sim::SimCore>& cores() const { return machine_.spec().cores; }

  // Trace Event JSON: a process per core, a track per CPU, an event per stint. ts and dur in us,
  // from which the ns follow by rounding. Names begin with a VM's letter (A for 1), since Perfetto
  // colours by a name without its digits.
  std::string Perfetto(const VmNames& vm_names = {}) const;

  struct Picture {
    std::string title;
    // The window. What was not recorded is left out of it.
    Time from{};
    Time to = Time::max();
    VmNames vm_names;
  };
  // A self-contained SVG of 1200 px width: a row per CPU by core and node. VMs 1 to 21 look
  // different, the first seven by colour alone, also to the colour-blind. A picture that has
  // nothing to show says so.
  std::string Svg(const Picture& picture) const;

 private:
  void Begin(Time now, int cpu, const sim::SimThread& thread);
  void End(Time now, Stint& open);

  const sim::Machine& machine_;
  const size_t most_stints_;
  const Time begin_;
  std::optional<Time> cut_off_;
  std::vector<Stint> stints_;  // that are over, as they ended
  std::vector<Stint> open_;    // by CPU; cpu is -1 while it idles
  size_t nr_open_ = 0;
  absl::flat_hash_map<pid_t, std::string> names_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_SIMULATE_TIMELINE_H_
