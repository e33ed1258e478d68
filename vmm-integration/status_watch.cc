// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/status_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/strip.h"

namespace corral {

StatusWatch::StatusWatch(std::string dir)
    : dir_(std::move(dir)), inotify_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  Retry();
}

bool StatusWatch::Retry() {
  if (inotify_ && watch_ < 0) {
    watch_ = inotify_add_watch(inotify_.get(), dir_.c_str(),
                               IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE | IN_ONLYDIR);
  }
  return watch_ >= 0;
}

void StatusWatch::Drain(absl::FunctionRef<void(const std::string& vm)> handle) {
  alignas(inotify_event) char buffer[16 * 1024];
  ssize_t size;
  while ((size = read(inotify_.get(), buffer, sizeof(buffer))) > 0) {
    for (ssize_t at = 0; at < size;) {
      inotify_event event;
      memcpy(&event, buffer + at, sizeof(event));
      absl::string_view name = event.len == 0 ? "" : buffer + at + sizeof(event);
      at += static_cast<ssize_t>(sizeof(event) + event.len);
      if (event.mask & IN_IGNORED) watch_ = -1;  // the directory has gone
      if (absl::ConsumeSuffix(&name, ".xml")) handle(std::string(name));
    }
  }
}

}  // namespace corral
