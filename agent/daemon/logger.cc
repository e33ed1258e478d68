// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/logger.h"

#include <cstdio>

#include "absl/strings/str_split.h"

namespace corral {

void Logger::operator()(const News& news) {
  if (listener_) listener_(news);
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const absl::string_view line : absl::StrSplit(news.text, '\n', absl::SkipEmpty())) {
    if (journal_ && SendToJournal("corrald", line, news)) continue;
    fprintf(stderr, "corrald: %.*s\n", static_cast<int>(line.size()), line.data());
  }
}

}  // namespace corral
