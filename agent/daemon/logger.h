// SPDX-License-Identifier: Apache-2.0
// The daemon's log: whole lines on stderr, from any thread.
#ifndef CORRAL_AGENT_DAEMON_LOGGER_H_
#define CORRAL_AGENT_DAEMON_LOGGER_H_

#include <mutex>
#include <string>

#include "absl/strings/string_view.h"

namespace corral {

class Logger {
 public:
  // Each line of `text` becomes a line of the log.
  void operator()(absl::string_view text);

 private:
  std::mutex mutex_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_LOGGER_H_
