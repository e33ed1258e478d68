// SPDX-License-Identifier: Apache-2.0
// A process whose threads do everything that a thread can do to its scheduler: compute, sleep,
// yield, start others, fork, die.
#ifndef CORRAL_TESTS_CLASS_CHAOS_PROCESS_H_
#define CORRAL_TESTS_CLASS_CHAOS_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <vector>

namespace corral {

// Keeps `workers` threads alive at any time; which ones changes. Killed by the destructor, or with
// the test.
class ChaosProcess {
 public:
  struct Habits {
    std::chrono::microseconds longest_sleep{5000};
    // Called when all threads are there, before the workers begin.
    std::function<void(const ChaosProcess&)> prepare;
  };
  ChaosProcess(int workers, unsigned seed) : ChaosProcess(workers, seed, Habits()) {}
  ChaosProcess(int workers, unsigned seed, const Habits& habits);
  ~ChaosProcess();
  ChaosProcess(const ChaosProcess&) = delete;
  ChaosProcess& operator=(const ChaosProcess&) = delete;

  pid_t pid() const { return pid_; }
  // The workers of this moment; some may have died when you look.
  std::vector<pid_t> workers() const;

 private:
  pid_t pid_ = -1;
};

}  // namespace corral

#endif  // CORRAL_TESTS_CLASS_CHAOS_PROCESS_H_
