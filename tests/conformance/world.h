// SPDX-License-Identifier: Apache-2.0
// The machine that the conformance suite runs on: a class that is loaded, and threads that do as
// they are told.
//
// The suite is written against kernel/ghost_kernel.h and this interface; it names no
// implementation. Whoever implements both is judged by the same cases: the real class
// (bpf_world.cc), and a simulated one. Four cores of two SMT siblings at least: core 0 is for the
// test itself, cores 1 and 2 for the enclave under test, core 3 for another one.
//
// One thread, the test's, uses it. It is the agent: RunAsAgent() gives it company.
#ifndef CORRAL_TESTS_CONFORMANCE_WORLD_H_
#define CORRAL_TESTS_CONFORMANCE_WORLD_H_

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "kernel/ghost_kernel.h"

namespace corral::conformance {

// A thread of no enclave at first, asleep. Each call returns when the thread has taken the order,
// not when it is carried out: an order to a thread that waits for a CPU waits as well.
class Thread {
 public:
  virtual ~Thread() = default;
  virtual pid_t tid() const = 0;
  virtual void Spin() = 0;   // computes until told otherwise
  virtual void Sleep() = 0;  // sleeps until told otherwise
  virtual void Yield() = 0;  // calls sched_yield() once, then computes
  // Has the kernel's yield_to() called once for it, as KVM does for a vCPU that spins, then
  // computes. The answer stands in yielded(), nothing before it came. Only where
  // World::CanYieldTo().
  virtual void YieldTo(Thread& other) = 0;
  virtual std::optional<int> yielded() const = 0;
  virtual void
  Fork() = 0;  // starts a thread that computes for ever, then computes; children() knows it
  virtual void Exit() = 0;
  virtual std::vector<pid_t> children() const = 0;
  virtual absl::Status SetAffinity(const CpuSet& cpus) = 0;
  virtual absl::Status SetNice(int nice) = 0;
  // SCHED_EXT without an attachment, as any user can, or back to SCHED_OTHER.
  virtual absl::Status SetExt(bool ext) = 0;
  virtual Duration cpu_time() const = 0;
};

// A second agent thread of the same process, until it is destroyed.
class Companion {
 public:
  virtual ~Companion() = default;
  virtual absl::Status entered() const = 0;
  virtual void Die() = 0;  // ends without a word to the class
};

class World {
 public:
  virtual ~World() = default;
  // The one of the running test; empties it of what the last test left.
  static absl::StatusOr<std::unique_ptr<World>> Make();

  virtual ControlKernel& control() = 0;
  // Makes this process an agent of the enclave. The calls of the AgentKernel are those of the
  // test's thread.
  virtual absl::StatusOr<std::unique_ptr<AgentKernel>> BecomeAgent(EnclaveId enclave,
                                                                   const std::string& name) = 0;
  virtual std::unique_ptr<Companion> RunAsAgent(AgentKernel& kernel, CoreId core) = 0;
  virtual std::unique_ptr<Thread> NewThread() = 0;
  // In a kernel nobody but KVM calls yield_to(): without a VM of KVM there is no way to it.
  virtual bool CanYieldTo() const = 0;
  virtual void Pass(Duration time) = 0;
  // The CPU is taken by a thread of a higher scheduling class for that long; returns at once.
  virtual void Hog(CpuId cpu, Duration time) = 0;
  virtual absl::Status SetOnline(CpuId cpu, bool online) = 0;
};

}  // namespace corral::conformance

#endif  // CORRAL_TESTS_CONFORMANCE_WORLD_H_
