// SPDX-License-Identifier: Apache-2.0
// The daemon's log, from any thread: entries of the journal with fields if standard error goes
// there, and else whole lines on standard error.
#ifndef CORRAL_AGENT_DAEMON_LOGGER_H_
#define CORRAL_AGENT_DAEMON_LOGGER_H_

#include <unistd.h>

#include <mutex>

#include "agent/events/journal.h"
#include "agent/events/news.h"

namespace corral {

class Logger {
 public:
  // Each line of its text becomes a line of the log.
  void operator()(const News& news);

 private:
  const bool journal_ = IsJournal(STDERR_FILENO);
  std::mutex mutex_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_LOGGER_H_
