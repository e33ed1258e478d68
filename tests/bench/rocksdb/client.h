// SPDX-License-Identifier: Apache-2.0
// Who asks rocksdb_server: at moments that do not depend on how fast it answers (open loop), with
// few requests that take hundreds of times as long as the others (SOSP'21 section 4.2).
//
// How long a request takes counts from the moment at which it should have been asked for, so that a
// client that is late makes nobody look fast. Units: ns. One thread, which should have a CPU that
// the server does not use.
#ifndef CORRAL_TESTS_BENCH_ROCKSDB_CLIENT_H_
#define CORRAL_TESTS_BENCH_ROCKSDB_CLIENT_H_

#include <cstdint>
#include <random>
#include <vector>

#include "kernel/types.h"
#include "tests/bench/rocksdb/mailbox.h"

namespace corral::bench {

// How many keys a request reads.
struct Sizes {
  uint32_t get = 1;   // of a short one
  uint32_t scan = 1;  // of a long one
};

struct Arrival {
  Duration at{0};  // since the first second
  bool is_long = false;
};

// So many, at random within `time` (a Poisson process of which the number is known), so many of
// them long: each draw asks for the same work.
std::vector<Arrival> DrawArrivals(int number, int longs, Duration time, uint32_t seed);

struct Response {
  Duration at{0};      // Arrival's
  Duration late{0};    // asked for later than that
  Duration waited{0};  // since then until a worker began
  Duration took{0};    // from when it should have been asked for until it was done
  bool is_long = false;
  bool done = false;
};

class Client {
 public:
  Client(Mailboxes& mailboxes, int workers, Sizes sizes)
      : mailboxes_(mailboxes), has_(static_cast<size_t>(workers), kNothing), sizes_(sizes) {}

  void set_sizes(Sizes sizes) { sizes_ = sizes; }

  // Asks for all of it, and waits for what is under way after the last one, but at most for
  // `patience`.
  std::vector<Response> Play(const std::vector<Arrival>& arrivals, Duration patience);

  // How long the same requests take in that order if `at_once` of them are under way all the time.
  Duration Saturate(const std::vector<Arrival>& arrivals, int at_once);

  // What one such request takes if there is nothing else to do: the median of some.
  Duration Alone(Request::Kind kind, uint32_t keys);

 private:
  static constexpr int kNothing = -1;

  Mailbox& box(size_t worker) { return mailboxes_.of[worker]; }
  // Waits until there is one. What it had done before is in responses_ then.
  size_t FreeWorker();
  void Ask(size_t worker, int response, const Request& request);
  Request RequestFor(const Arrival& arrival);
  void Collect(size_t worker);
  int UnderWay();  // after it has collected what is done

  Mailboxes& mailboxes_;
  std::vector<int> has_;  // by worker: the index in responses_, or kNothing
  size_t next_ = 0;       // workers take turns
  Sizes sizes_;
  int64_t began_ns_ = 0;
  std::vector<Response> responses_;
  std::minstd_rand random_{1};
};

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_ROCKSDB_CLIENT_H_
