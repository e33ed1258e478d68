// SPDX-License-Identifier: Apache-2.0
// Hints on a real kernel: a process that links the library, its agent, and an agent after that.
// Runs as root in the test host, on 2 cores of 2 siblings.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <atomic>

#include "agent/hints/corral_hints.h"
#include "kernel/cpu_mask.h"
#include "tests/class/chaos_host_fixture.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr char kSocket[] = "/run/corral-hints-test/db";

// Two threads that compute all the time; a third one hints of them what it is told to.
class HintingProcess {
 public:
  static constexpr int kThreads = 2;

  HintingProcess()
      : shared_(static_cast<Shared*>(mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                                          MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    pid_ = fork();
    if (pid_ == 0) Main(*shared_);
    for (const std::atomic<pid_t>& tid : shared_->tids) {
      while (tid == 0) std::this_thread::yield();
    }
  }
  ~HintingProcess() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    munmap(shared_, sizeof(Shared));
  }
  HintingProcess(const HintingProcess&) = delete;

  pid_t pid() const { return pid_; }
  pid_t tid(int thread) const { return shared_->tids[thread]; }
  void Hint(int thread, corral_hint hint) { shared_->hints[thread] = hint; }
  bool connected() const { return shared_->connected; }

 private:
  struct Shared {
    std::array<std::atomic<pid_t>, kThreads> tids;
    std::array<std::atomic<int>, kThreads> hints;
    std::atomic<bool> connected;
  };

  [[noreturn]] static void Main(Shared& shared) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    corral_hints* const hints = corral_hints_open(kSocket);
    if (hints == nullptr) _exit(1);
    for (int i = 0; i < kThreads; ++i) {
      std::thread([&shared, i] {
        shared.tids[i] = gettid();
        for (volatile int i = 0;;) i = i + 1;
      }).detach();
    }
    for (;;) {
      for (int i = 0; i < kThreads; ++i)
        corral_hints_set_thread(hints, shared.tids[i],
                                static_cast<corral_hint>(shared.hints[i].load()));
      shared.connected = corral_hints_connected(hints, nullptr, 0) != 0;
      std::this_thread::sleep_for(milliseconds(10));
    }
  }

  Shared* const shared_;
  pid_t pid_ = 0;
};

class HintsHostTest : public ChaosHostTest {
 protected:
  void SetUp() override {
    ChaosHostTest::SetUp();
    if (!HasFatalFailure()) MakeEnclave(topology_.cpus(), seconds(5));
  }
  void Start() {
    AgentSpec spec = SpecOf("shinjuku", R"({"slice":"10ms"})");
    spec.hints = kSocket;
    supervisor_.emplace(*kernel_, spec);
    AwaitAgent();
  }
  void AwaitConnection(const HintingProcess& process, bool connected) {
    for (int i = 0; i < 1000 && process.connected() != connected; ++i)
      std::this_thread::sleep_for(milliseconds(10));
    ASSERT_EQ(process.connected(), connected);
  }
  // Of what both have on the one CPU that they may use, thread 0's share.
  double ShareOfFirst(const HintingProcess& process) {
    std::this_thread::sleep_for(milliseconds(100));
    const Duration before[] = {CpuTime(process.tid(0)), CpuTime(process.tid(1))};
    std::this_thread::sleep_for(seconds(2));
    const auto first = static_cast<double>((CpuTime(process.tid(0)) - before[0]).count());
    const auto second = static_cast<double>((CpuTime(process.tid(1)) - before[1]).count());
    printf("%.0f ms and %.0f ms\n", first / 1e6, second / 1e6);
    EXPECT_GT(first + second, 200e6);
    return first / (first + second);
  }
};

TEST_F(HintsHostTest, SayWhoGivesWay) {
  Start();
  HintingProcess process;
  const DomainId domain = DomainOf(process.pid(), 0);
  const cpu_set_t one = MaskOf({static_cast<int>(topology_.cpus().ToVector().back().value())});
  for (int i = 0; i < HintingProcess::kThreads; ++i) {
    ASSERT_EQ(sched_setaffinity(process.tid(i), sizeof(one), &one), 0);
    ASSERT_TRUE(kernel_->AttachTask(process.tid(i), domain, 0, 100).ok());
  }
  AwaitConnection(process, true);
  EXPECT_NEAR(ShareOfFirst(process), 0.5, 0.2);
  process.Hint(0, CORRAL_HINT_BATCH);
  EXPECT_LT(ShareOfFirst(process), 0.05);
  process.Hint(0, CORRAL_HINT_NONE);
  process.Hint(1, CORRAL_HINT_BATCH);
  EXPECT_GT(ShareOfFirst(process), 0.95);

  // Another agent is told the same.
  KillAgent(SIGKILL);
  AwaitConnection(process, false);
  AwaitAgent();
  AwaitConnection(process, true);
  EXPECT_GT(ShareOfFirst(process), 0.95);
  process.Hint(1, CORRAL_HINT_NONE);
  EXPECT_NEAR(ShareOfFirst(process), 0.5, 0.2);
}

}  // namespace
}  // namespace corral
