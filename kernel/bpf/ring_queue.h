// SPDX-License-Identifier: Apache-2.0
// A message queue over a BPF ring buffer. Reading costs no system call; waiting sleeps in epoll on
// the ring and on an eventfd.
#ifndef CORRAL_KERNEL_BPF_RING_QUEUE_H_
#define CORRAL_KERNEL_BPF_RING_QUEUE_H_

#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "kernel/bpf/class_files.h"
#include "kernel/ghost_kernel.h"

struct ring_buffer;

namespace corral {

class RingQueue final : public MessageQueue {
 public:
  // `state` must outlive the queue.
  static absl::StatusOr<std::unique_ptr<RingQueue>> Open(int ring_fd,
                                                         const ghost_queue_state* state);
  ~RingQueue() override;

  int Drain(absl::FunctionRef<void(const ghost_msg&)> handle) override;
  uint64_t overflows() const override;
  void Wait(Time deadline) override;
  void Wake() override;

 private:
  explicit RingQueue(const ghost_queue_state* state) : state_(state) {}
  static int OnSample(void* self, void* data, size_t size);

  const ghost_queue_state* const state_;
  ring_buffer* ring_ = nullptr;
  absl::FunctionRef<void(const ghost_msg&)>* handle_ = nullptr;  // during Drain
  Fd epoll_;
  Fd wake_;
};

// CLOCK_MONOTONIC, as bpf_ktime_get_ns() reads it.
Time MonotonicNow();

}  // namespace corral

#endif  // CORRAL_KERNEL_BPF_RING_QUEUE_H_
