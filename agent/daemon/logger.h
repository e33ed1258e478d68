// SPDX-License-Identifier: Apache-2.0
// The daemon's log, from any thread: entries of the journal with fields if standard error goes
// there, and else whole lines on standard error.
#ifndef CORRAL_AGENT_DAEMON_LOGGER_H_
#define CORRAL_AGENT_DAEMON_LOGGER_H_

#include <unistd.h>

#include <functional>
#include <mutex>

#include "agent/events/journal.h"
#include "agent/events/news.h"

namespace corral {

class Logger {
 public:
  // Each line of its text becomes a line of the log.
  void operator()(const News& news);
  // Who hears of all that is told, in the thread that tells it; nullptr: nobody. Not while another
  // thread may tell something.
  void Tell(std::function<void(const News&)> listener) { listener_ = std::move(listener); }

 private:
  const bool journal_ = IsJournal(STDERR_FILENO);
  std::mutex mutex_;
  std::function<void(const News&)> listener_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_LOGGER_H_
