// SPDX-License-Identifier: Apache-2.0
// How a request gets to a thread of the server, and its answer back: in memory that both processes
// have mapped, a mailbox for each worker. As between a virtio or SPDK client and its server, but
// the worker sleeps until it is asked.
//
// The client writes what it asks for and posts `asked`; the worker serves that, writes when, and
// sets `free`, after which the client may ask again. Times are CLOCK_MONOTONIC, in ns.
#ifndef CORRAL_TESTS_BENCH_ROCKSDB_MAILBOX_H_
#define CORRAL_TESTS_BENCH_ROCKSDB_MAILBOX_H_

#include <semaphore.h>
#include <time.h>

#include <array>
#include <atomic>
#include <cstdint>

namespace corral::bench {

inline constexpr int kMaxWorkers = 256;

inline int64_t MonotonicNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

struct Request {
  enum class Kind : uint32_t { kGet, kScan };
  Kind kind = Kind::kGet;
  uint32_t keys = 0;  // how many of them are read
  uint64_t seed = 0;  // which ones
};

struct alignas(64) Mailbox {
  sem_t asked;  // shared between processes
  Request request;
  int64_t began_ns = 0;
  int64_t done_ns = 0;
  std::atomic<bool> free = true;
};

struct Mailboxes {
  std::atomic<bool> open = false;  // the server is up
  std::array<Mailbox, kMaxWorkers> of;
};

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_ROCKSDB_MAILBOX_H_
