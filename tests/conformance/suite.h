// SPDX-License-Identifier: Apache-2.0
// What the cases of the conformance suite share: an enclave of cores 1 and 2 whose agent is the
// test itself, and short words for what an agent does.
#ifndef CORRAL_TESTS_CONFORMANCE_SUITE_H_
#define CORRAL_TESTS_CONFORMANCE_SUITE_H_

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "tests/conformance/world.h"

namespace corral::conformance {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What one sibling shall do.
struct Target {
  uint64_t target = GHOST_TARGET_KEEP;
  uint64_t barrier = 0;
  Duration slice{0};
  uint32_t run_flags = 0;
};

inline Target Keep() { return {}; }
inline Target Idle(uint32_t run_flags = 0) {
  return {.target = GHOST_TARGET_IDLE, .run_flags = run_flags};
}

struct Options {
  uint32_t flags = 0;
  uint64_t agent_barrier = 0;
};

class ConformanceTest : public testing::Test {
 protected:
  static constexpr CoreId kCore{1};
  static constexpr CoreId kSecondCore{2};
  static constexpr CoreId kForeignCore{3};

  void SetUp() override;
  void TearDown() override;
  // What the enclave under test is like; a fixture of a subject may override it.
  virtual EnclaveSpec Spec() const { return {}; }

  ControlKernel& control() { return world_->control(); }
  const ghost_core_state& core(CoreId id) { return control().cores()[id.value()]; }
  CpuId Cpu(CoreId id, int sibling) { return CpuId(core(id).cpus[sibling]); }
  CpuSet CpusOf(std::initializer_list<CoreId> cores);
  const ghost_status_word& Word(Gtid task) {
    return control().status_words()[GHOST_GTID_SLOT(task.value())];
  }
  bool Is(Gtid task, uint32_t flag) { return (Word(task).flags & flag) != 0; }

  // A new domain, and a sleeping thread in it.
  DomainId NewDomain();
  Thread& NewThread();
  Gtid Attach(Thread& thread, DomainId domain);
  struct Member {
    Thread* thread;
    Gtid gtid;
  };
  // A thread that is attached asleep, and whose TASK_NEW was read.
  Member NewTask(DomainId domain);
  // The same, and then it computes; TASK_WAKEUP was read, so it waits for a decision.
  Member NewRunnableTask(DomainId domain);

  // The next message of `type` about the task (about the core's CPUs: Gtid(0)), from any queue of
  // the enclave; others before it are kept. Fails the test when it does not come.
  ghost_msg Await(Gtid task, uint32_t type);
  // Whether one comes within `time`.
  bool Comes(Gtid task, uint32_t type, Duration time);
  // All that was read and not yet awaited, of this task, in order.
  std::vector<uint32_t> Pending(Gtid task);
  template <typename F>
  bool Eventually(F&& holds) {
    for (int i = 0; i < 1500; ++i) {
      if (holds()) return true;
      world_->Pass(milliseconds(10));
    }
    return false;
  }

  // At the barrier that its last message, or its status word, told.
  Target Run(const Member& task, Duration slice = Duration(0), uint32_t run_flags = 0) {
    return {.target = task.gtid.value(),
            .barrier = Word(task.gtid).barrier,
            .slice = slice,
            .run_flags = run_flags};
  }
  ghost_core_txn Commit(CoreId core, std::vector<Target> targets, Options options = {});
  // Commits, must be COMPLETE, and waits until the tasks run.
  void RunNow(CoreId core, std::vector<Target> targets, Options options = {});

  std::unique_ptr<World> world_;
  std::unique_ptr<AgentKernel> agent_;
  EnclaveId enclave_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::unique_ptr<Companion> second_core_agent_;

 private:
  void Read();

  std::map<uint32_t, std::unique_ptr<MessageQueue>> queues_;
  std::vector<ghost_msg> messages_;
  std::map<uint64_t, uint64_t> barriers_;  // by gtid: the last one
  uint32_t domains_made_ = 0;
};

}  // namespace corral::conformance

#endif  // CORRAL_TESTS_CONFORMANCE_SUITE_H_
