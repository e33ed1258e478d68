// SPDX-License-Identifier: Apache-2.0
// Keeps the last day for `corralctl report`: what the class's memory says, every few seconds, and
// what corrald told meanwhile.
//
// Costs a read of the class's memory a second, and one write of some kilobytes per sample. What
// goes wrong with the file is told and leaves corrald as it is. One thread, but for Note().
#ifndef CORRAL_AGENT_DAEMON_RECORDER_H_
#define CORRAL_AGENT_DAEMON_RECORDER_H_

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/events/news.h"
#include "agent/report/audit_watch.h"
#include "agent/report/ring.h"
#include "agent/report/sampler.h"
#include "kernel/ghost_kernel.h"

namespace corral {

class Recorder {
 public:
  using Log = std::function<void(const News&)>;

  // `state_dir` is made if it is not there. `interval`: Config::samples. `kernel` must outlive it.
  Recorder(const ControlKernel& kernel, std::string state_dir, Duration interval, Log log);

  // Another one, from now on; 0 ends it.
  void SetInterval(Duration interval);
  // Something that is told: it goes into the next sample if it is an event. Any thread.
  void Note(const News& news);
  // To be called a few times a second.
  void Poll(Time now);
  // The last sample, because this process ends.
  void Finish();

 private:
  absl::Status OpenRing();
  void Start();
  void TakeSample();

  const ControlKernel& kernel_;
  const std::string state_dir_;
  const Log log_;
  Duration interval_;
  std::optional<report::RingWriter> ring_;
  std::optional<report::Sampler> sampler_;
  report::AuditWatch audit_;
  Time look_at_{};
  Time sample_at_{};
  bool told_failure_ = false;
  std::mutex mutex_;
  std::vector<report::Told> told_;  // by mutex_
};

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_RECORDER_H_
