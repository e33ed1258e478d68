// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf/ring_queue.h"

#include <bpf/libbpf.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace corral {

Time MonotonicNow() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return Time(std::chrono::seconds(now.tv_sec) + Duration(now.tv_nsec));
}

absl::StatusOr<std::unique_ptr<RingQueue>> RingQueue::Open(int ring_fd,
                                                           const ghost_queue_state* state) {
  std::unique_ptr<RingQueue> queue(new RingQueue(state));
  queue->ring_ = ring_buffer__new(ring_fd, &RingQueue::OnSample, queue.get(), nullptr);
  if (queue->ring_ == nullptr)
    return absl::InternalError(absl::StrCat("cannot map a message queue: ", strerror(errno)));
  queue->epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  queue->wake_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  for (const int fd : {ring_fd, queue->wake_.get()}) {
    epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
    if (epoll_ctl(queue->epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      return absl::InternalError(
          absl::StrCat("cannot wait for a message queue: ", strerror(errno)));
    }
  }
  return queue;
}

RingQueue::~RingQueue() { ring_buffer__free(ring_); }

int RingQueue::OnSample(void* self, void* data, size_t size) {
  if (size >= sizeof(ghost_msg))
    (*static_cast<RingQueue*>(self)->handle_)(*static_cast<const ghost_msg*>(data));
  return 0;
}

int RingQueue::Drain(absl::FunctionRef<void(const ghost_msg&)> handle) {
  handle_ = &handle;
  const int count = ring_buffer__consume(ring_);
  handle_ = nullptr;
  return std::max(count, 0);
}

uint64_t RingQueue::overflows() const {
  return __atomic_load_n(&state_->overflows, __ATOMIC_RELAXED);
}

void RingQueue::Wait(Time deadline) {
  timespec timeout;
  timespec* timeout_or_none = nullptr;
  if (deadline != Time::max()) {
    const Duration left = std::max(deadline - MonotonicNow(), Duration::zero());
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    timeout = {.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
    timeout_or_none = &timeout;
  }
  epoll_event events[2];
  const int count = epoll_pwait2(epoll_.get(), events, 2, timeout_or_none, nullptr);
  for (int i = 0; i < count; ++i) {
    if (events[i].data.fd != wake_.get()) continue;
    uint64_t value;
    // Empty when another Wait() took it: nothing to do.
    [[maybe_unused]] const ssize_t taken = read(wake_.get(), &value, sizeof(value));
  }
}

void RingQueue::Wake() {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the reader is awake anyway.
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
}

}  // namespace corral
