// SPDX-License-Identifier: Apache-2.0
// From policy to policy every two seconds while VMs compute: no thread leaves the class, none is
// lost, no core runs two VMs, and nobody stalls for much longer than under the default scheduler in
// the same run.
//
// A stall is the longest time between two steps of a thread that computes, seen by itself.
// CORRAL_SWITCH_SECONDS: how long; 40 unless said otherwise. Runs as root in the test host.
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string>

#include "agent/views/running_agent.h"
#include "tests/class/agent_host_fixture.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kBetween = seconds(2);
constexpr int kLongerStalls = 3;
constexpr const char* kPolicies[] = {"fifo", "shinjuku", "search", "snap", "secure_vm"};

// Shared with the VMs' processes.
class Stalls {
 public:
  Stalls()
      : longest_(static_cast<std::atomic<int64_t>*>(mmap(nullptr, sizeof(*longest_),
                                                         PROT_READ | PROT_WRITE,
                                                         MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
  ~Stalls() { munmap(longest_, sizeof(*longest_)); }
  Stalls(const Stalls&) = delete;

  // What a thread does for ever. Where the clock is a device that is emulated, to read it all the
  // time would slow the whole machine down.
  void Compute() const {
    static thread_local int64_t before = 0;
    volatile int work = 0;
    for (int i = 0; i < 200000; ++i) work = work + i;
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    const int64_t now = int64_t{time.tv_sec} * 1000000000 + time.tv_nsec;
    if (before != 0) {
      for (int64_t longest = longest_->load();
           now - before > longest && !longest_->compare_exchange_weak(longest, now - before);) {
      }
    }
    before = now;
  }
  // Since the last time.
  Duration Take() { return Duration(longest_->exchange(0)); }

 private:
  std::atomic<int64_t>* longest_;
};

class EveryPolicy : public AgentHostTest {
 protected:
  static Duration Length() {
    const char* const text = getenv("CORRAL_SWITCH_SECONDS");
    return seconds(text == nullptr ? 40 : std::stoi(text));
  }
  // One more than there are cores.
  void StartVms() {
    for (int i = 0; i <= topology_.nr_cores(); ++i)
      vms_.push_back(std::make_unique<VmProcess>(2, 0, [this] { stalls_.Compute(); }));
    std::this_thread::sleep_for(seconds(2));
    stalls_.Take();
  }
  // Of the threads of the VMs.
  int InTheClass() const {
    int in_the_class = 0;
    for (const auto& vm : vms_) {
      for (const pid_t tid : vm->tids()) in_the_class += sched_getscheduler(tid) == kSchedExtPolicy;
    }
    return in_the_class;
  }
  int KnownToTheClass() const {
    const absl::Span<const ghost_status_word> words = kernel_->status_words();
    return static_cast<int>(std::count_if(words.begin(), words.end(), [](const auto& word) {
      return (word.flags & GHOST_SW_INUSE) != 0;
    }));
  }
  int Threads() const { return 2 * static_cast<int>(vms_.size()); }
  void SwitchTo(const char* policy) {
    const Time begin = kernel_->Now();
    const absl::Status switched = supervisor_->SwitchTo(SpecOf(policy, "{}"));
    ASSERT_TRUE(switched.ok()) << policy << ": " << switched;
    const Duration took = kernel_->Now() - begin;
    const Duration at_once = stalls_.Take();
    for (const Time end = begin + kBetween; kernel_->Now() < end;) {
      ASSERT_EQ(supervisor_->Poll(kernel_->Now()).text, "");
      std::this_thread::sleep_for(milliseconds(100));
    }
    const Duration stall = std::max(at_once, stalls_.Take());
    worst_ = std::max(worst_, stall);
    printf("%s after %lld ms, longest stall %lld ms, until then %lld ms\n", policy,
           static_cast<long long>(took / milliseconds(1)),
           static_cast<long long>(stall / milliseconds(1)),
           static_cast<long long>(at_once / milliseconds(1)));
    EXPECT_EQ(InTheClass(), Threads());
    EXPECT_EQ(KnownToTheClass(), Threads());
    const absl::StatusOr<RunningAgent> agent = IdentifyAgent(AgentProcess());
    ASSERT_TRUE(agent.ok()) << agent.status();
    EXPECT_EQ(agent->policy, policy);
  }
  void TearDown() override {
    vms_.clear();
    AgentHostTest::TearDown();
  }

  Stalls stalls_;
  VmProcesses vms_;
  Duration worst_{0};
};

TEST_F(EveryPolicy, TakesOverInPlaceWithoutLongStalls) {
  StartVms();
  std::this_thread::sleep_for(Length());
  const Duration by_default = stalls_.Take();
  StartAgent("{}");
  AttachAll(vms_);
  std::this_thread::sleep_for(seconds(1));
  ASSERT_TRUE(auditor_->Reset().ok());
  stalls_.Take();
  supervisor_->set_trial(seconds(10));
  // Once for the emulator, which translates what it has not run before.
  for (const char* const policy : kPolicies) ASSERT_NO_FATAL_FAILURE(SwitchTo(policy));
  worst_ = Duration(0);
  int switches = 0;
  for (const Time end = kernel_->Now() + Length(); kernel_->Now() < end;) {
    for (const char* const policy : kPolicies) {
      ASSERT_NO_FATAL_FAILURE(SwitchTo(policy));
      ++switches;
    }
  }
  printf("%d switches; longest stall %lld ms, under the default scheduler %lld ms\n", switches,
         static_cast<long long>(worst_ / milliseconds(1)),
         static_cast<long long>(by_default / milliseconds(1)));
  EXPECT_LE(worst_, kLongerStalls * by_default);
  const absl::StatusOr<AuditReport> report = auditor_->Read();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->total[AUDIT_VCPU_ENFORCED].time.count(), 0);
  EXPECT_GT(report->total[AUDIT_SAME_VM].time, seconds(1)) << "siblings were shared by one VM";
}

}  // namespace
}  // namespace corral
