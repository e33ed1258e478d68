// SPDX-License-Identifier: Apache-2.0
// Processes whose threads burn CPU at agreed times and say themselves when they were running: the
// truth that the auditor is held against, made without any tracing.
//
// A thread reads CLOCK_MONOTONIC in a tight loop. A jump between two readings was an absence if the
// kernel counted a context switch of the thread meanwhile (getrusage), and otherwise only slowness,
// of an emulator for instance. A jump may be both; its share of absence is then what the thread's
// CPU time lacks. So there are two answers, which enclose the truth. Times are ns of
// CLOCK_MONOTONIC. Failures to set something up end the test program: there is nothing to measure
// then.
#ifndef CORRAL_TESTS_AUDIT_SPINNER_H_
#define CORRAL_TESTS_AUDIT_SPINNER_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/types.h"

namespace corral {

struct Interval {
  int64_t begin;
  int64_t end;
};
using Intervals = std::vector<Interval>;  // ascending, disjoint

Intervals Intersect(const Intervals& a, const Intervals& b);
Duration Length(const Intervals& intervals);

// When a thread was running.
struct Presence {
  Intervals certain;
  Intervals possible;  // encloses `certain`
};
Presence Intersect(const Presence& a, const Presence& b);
Presence Intersect(const Presence& a, Interval b);

int64_t MonotonicNow();
void SleepUntil(int64_t time);

// What one thread shall do.
struct SpinPlan {
  char name[16] = "spin";
  int cpu = -1;               // -1: any
  int policy = 1;             // SCHED_FIFO; 0 = SCHED_OTHER, 7 = SCHED_EXT
  bool exit_process = false;  // end the process at once when done, instead of the thread
  int64_t begin = 0;
  int64_t end = 0;
};

// One process with up to 8 spinning threads. Until Start it sleeps; its threads are made, named and
// placed at Start.
class Spinner {
 public:
  enum class How {
    kFork,         // a fork of the test program
    kExec,         // executes a copy of the test program that is called qemu-system-test
    kExecAtBegin,  // the same, but only at the first plan's begin, on its CPU, whose work the main
                   // thread then does itself
    kDaemonize,    // as kExec, but a forked child does the work
  };
  explicit Spinner(How how);
  Spinner(const Spinner&) = delete;
  ~Spinner();  // kills it if it still runs

  // The process whose threads spin.
  pid_t pid() const { return pid_; }
  // Returns when all threads sleep until their begin.
  void Start(const std::vector<SpinPlan>& plans);
  // Ends the process, before the plans' end if need be, and returns when each thread was running.
  std::vector<Presence> Finish();

  // To be called first by main: does the spinner's work and exits if this process was executed as
  // one.
  static void MaybeRun(int argc, char** argv);

 private:
  pid_t child_ = -1;  // ours to wait for
  pid_t pid_ = -1;
  int socket_ = -1;
  std::string program_;  // what it executes, in a folder of its own; empty if nothing
  struct Results* results_ = nullptr;
  size_t threads_ = 0;
};

}  // namespace corral

#endif  // CORRAL_TESTS_AUDIT_SPINNER_H_
