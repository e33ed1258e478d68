// SPDX-License-Identifier: Apache-2.0
// The ways in which a task gets onto a CPU without passing the gate, each closed and each opened
// again by a seeded fault: what the way is used by, the auditor must see when it is open, and must
// not see when it is closed. So no fix can be taken out unnoticed. Runs as root in the test host.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "kernel/cpu_mask.h"
#include "tests/class/agent_host_fixture.h"
#include "tests/faults/bpf_sleepers.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kLongestSearch = seconds(30);
constexpr Duration kClosedFor = seconds(5);  // OneStarves() needs more than 4

class LeakTest;

struct Leak {
  const char* fault;
  bool with_agent;
  int spinners, sleepers;  // of each VM
  // Who uses the way; from now on again and again.
  void (LeakTest::*provoke)(int turn);
  bool (LeakTest::*seen)();
};

class LeakTest : public AgentHostTest, public testing::WithParamInterface<std::tuple<Leak, bool>> {
 public:
  void Nothing(int) {}
  // Each change takes a running thread off its queue and puts it back in place. Between the two its
  // core is free, and a sibling has to ask just then: so many changes, and host threads after each
  // of whose turns a CPU asks.
  void ChangeNice(int turn) {
    constexpr int kRounds = 50;
    if (turn == 0) MakeCpusAsk();
    for (int round = turn * kRounds; round < (turn + 1) * kRounds; ++round) {
      for (const auto& vm : vms_) {
        for (const pid_t tid : vm->tids())
          setpriority(PRIO_PROCESS, static_cast<id_t>(tid), round % 20);
      }
    }
  }
  void MakeCpusAsk() {
    topology_.cpus().ForEach([this](CpuId cpu) {
      interrupters_.emplace_back([cpu](const std::stop_token& stop) {
        const cpu_set_t mask = MaskOf({cpu.value()});
        sched_setaffinity(0, sizeof(mask), &mask);
        while (!stop.stop_requested()) std::this_thread::sleep_for(milliseconds(1));
      });
    });
  }
  // Threads of a process that was never attached.
  void EnterAsStranger(int turn) {
    if (turn > 0) return;
    vms_.push_back(std::make_unique<VmProcess>(/*spinners=*/4, /*sleepers=*/0));
    ASSERT_NO_FATAL_FAILURE(EnterUnattached(*vms_.back()));
  }
  // Much memory makes the end long enough to be preempted in.
  void DieSlowly(int turn) {
    if (turn > 0) return;
    const pid_t pid = fork();
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (;;) DieOnceMore();
    }
    slow_ = pid;
    ASSERT_NO_FATAL_FAILURE(AttachThreads(pid, {pid}));
  }
  // In their own memory, where they may not migrate.
  void SleepInBpf(int turn) {
    if (turn > 0) return;
    sleepers_.emplace(/*threads=*/4);
    ASSERT_FALSE(sleepers_->tids().empty());
    ASSERT_NO_FATAL_FAILURE(AttachThreads(sleepers_->pid(), sleepers_->tids()));
  }
  bool Overlapped() {
    const absl::StatusOr<AuditReport> report = auditor_->Read();
    if (!report.ok()) return false;
    overlap_ = report->total[AUDIT_VCPU_ENFORCED].time;
    return overlap_ != Duration(0);
  }
  // On one core, where two VMs want both siblings.
  void ShareOneCore(int turn) {
    if (turn > 0) return;
    const cpu_set_t mask = MaskOf(topology_.core(0).siblings);
    for (const auto& vm : vms_) {
      for (const pid_t tid : vm->tids()) sched_setaffinity(tid, sizeof(mask), &mask);
    }
    times_ = CpuTimes(vms_);
    had_nothing_.assign(times_.size(), 0);
    since_ = kernel_->Now();
  }
  // Twice in a row within 2 s, of which each has its share, somebody got nothing. Once may be the
  // emulator's doing, or the move's to that core.
  bool OneStarves() {
    if (kernel_->Now() < since_ + seconds(2)) return false;
    const std::vector<Duration> now = CpuTimes(vms_);
    bool starves = false;
    for (size_t i = 0; i < now.size(); ++i) {
      had_nothing_[i] = now[i] - times_[i] < milliseconds(1) ? had_nothing_[i] + 1 : 0;
      starves |= had_nothing_[i] >= 2;
    }
    times_ = now;
    since_ = kernel_->Now();
    return starves;
  }

 protected:
  void SetUp() override {
    std::tie(leak_, open_) = GetParam();
    ASSERT_NO_FATAL_FAILURE(AgentHostTest::SetUp());
  }
  absl::Status Load() override {
    const std::string fault =
        open_ ? "CORRAL_SEEDED_FAULT=" + std::string(leak_.fault) + " " : std::string();
    const int status = system((fault + CORRAL_CLASS_WITH_FAULTS + " start").c_str());
    return status == 0 ? absl::OkStatus()
                       : absl::InternalError("the class with faults cannot be loaded");
  }
  void TearDown() override {
    if (slow_ > 0) kill(slow_, SIGKILL);
    interrupters_.clear();
    vms_.clear();
    sleepers_.reset();
    AgentHostTest::TearDown();
  }
  void AttachThreads(pid_t pid, const std::vector<pid_t>& tids) {
    ASSERT_TRUE(auditor_->Declare({pid}).ok());
    DomainKey key = {};
    memcpy(key.data(), &pid, sizeof(pid));
    const absl::StatusOr<DomainId> domain = kernel_->CreateDomain(enclave_, key, "other");
    ASSERT_TRUE(domain.ok()) << domain.status();
    for (size_t i = 0; i < tids.size(); ++i)
      ASSERT_TRUE(kernel_->AttachTask(tids[i], *domain, static_cast<int>(i), 100).ok());
  }
  static void DieOnceMore() {
    constexpr size_t kMemory = size_t{48} << 20;
    const pid_t child = fork();
    if (child == 0) {
      void* const memory =
          mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (memory != MAP_FAILED) memset(memory, 1, kMemory);
      _exit(0);
    }
    waitpid(child, nullptr, 0);
  }

  Leak leak_;
  bool open_ = false;
  VmProcesses vms_;
  std::vector<std::jthread> interrupters_;
  pid_t slow_ = -1;
  std::optional<BpfSleepers> sleepers_;
  Duration overlap_{};
  std::vector<Duration> times_;
  std::vector<int> had_nothing_;  // so many times in a row
  Time since_;
};

TEST_P(LeakTest, IsSeenWhenItIsOpenAndOnlyThen) {
  if (leak_.with_agent) StartAgent("{\"tenure\":\"20ms\"}");
  for (int i = 0; i < 3; ++i)
    vms_.push_back(std::make_unique<VmProcess>(leak_.spinners, leak_.sleepers));
  AttachAll(vms_);
  ASSERT_TRUE(auditor_->Reset().ok());
  const Time begin = kernel_->Now();
  const Time end = begin + (open_ ? kLongestSearch : kClosedFor);
  bool seen = false;
  for (int turn = 0; !seen && kernel_->Now() < end; ++turn) {
    ASSERT_NO_FATAL_FAILURE((this->*leak_.provoke)(turn));
    std::this_thread::sleep_for(milliseconds(20));
    seen = (this->*leak_.seen)();
  }
  printf("%s %s: %s after %lld ms, overlap %lld ns\n", leak_.fault, open_ ? "open" : "closed",
         seen ? "seen" : "not seen",
         static_cast<long long>((kernel_->Now() - begin).count() / 1000000),
         static_cast<long long>(overlap_.count()));
  EXPECT_EQ(seen, open_);
}

INSTANTIATE_TEST_SUITE_P(
    Ways, LeakTest,
    testing::Combine(
        testing::Values(
            Leak{"gate_off", false, 2, 2, &LeakTest::Nothing, &LeakTest::Overlapped},
            Leak{"release_in_stopping", false, 0, 6, &LeakTest::Nothing, &LeakTest::Overlapped},
            Leak{"local_on_insert", true, 2, 2, &LeakTest::Nothing, &LeakTest::Overlapped},
            Leak{"running_ungated", false, 2, 2, &LeakTest::ChangeNice, &LeakTest::Overlapped},
            Leak{"strangers_ungated", false, 2, 2, &LeakTest::EnterAsStranger,
                 &LeakTest::Overlapped},
            Leak{"default_select_cpu", false, 2, 2, &LeakTest::Nothing, &LeakTest::Overlapped},
            Leak{"no_enq_exiting", false, 2, 2, &LeakTest::DieSlowly, &LeakTest::Overlapped},
            Leak{"no_enq_migration_disabled", false, 2, 0, &LeakTest::SleepInBpf,
                 &LeakTest::Overlapped},
            Leak{"no_enq_last", false, 2, 2, &LeakTest::ShareOneCore, &LeakTest::OneStarves}),
        testing::Bool()),
    [](const auto& info) {
      return std::string(std::get<0>(info.param).fault) +
             (std::get<1>(info.param) ? "_open" : "_closed");
    });

}  // namespace
}  // namespace corral
