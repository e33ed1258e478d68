// SPDX-License-Identifier: Apache-2.0
// The real class, real threads, a real clock. Needs root, a kernel with sched_ext and four cores of
// two siblings: the test host.
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <mutex>
#include <optional>
#include <thread>

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "agent/class/load_class.h"
#include "agent/runtime/topology.h"
#include "kernel/bpf/bpf_agent_kernel.h"
#include "kernel/bpf/bpf_control_kernel.h"
#include "kernel/bpf/threads_by_policy.h"
#include "kernel/cpu_mask.h"
#include "tests/conformance/world.h"

namespace corral::conformance {
namespace {

absl::Status Errno(absl::string_view what) {
  return absl::InternalError(absl::StrCat(what, ": ", strerror(errno)));
}

pid_t MyTid() { return static_cast<pid_t>(syscall(SYS_gettid)); }

Duration CpuTimeOf(pid_t tid) {
  int64_t ns = 0;
  std::ifstream(absl::StrCat("/proc/self/task/", tid, "/schedstat")) >> ns;
  return Duration(ns);
}

// How often the thread has gone to sleep; nothing while it is awake.
std::optional<int64_t> TimesAsleep(pid_t tid) {
  std::ifstream status(absl::StrCat("/proc/self/task/", tid, "/status"));
  bool asleep = false;
  int64_t times = 0;
  for (std::string name; status >> name; status.ignore(1 << 16, '\n')) {
    std::string state;
    if (name == "State:" && status >> state) asleep = state == "S";
    if (name == "voluntary_ctxt_switches:") status >> times;
  }
  return asleep ? std::optional(times) : std::nullopt;
}

int64_t MyTimesAsleep() {
  rusage usage = {};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

// Orders come through a futex, so that a thread sleeps in the kernel and nowhere else. A new one
// sleeps.
class RealThread final : public Thread {
 public:
  RealThread() : thread_([this] { Obey(); }) {
    while (tid_.load() == 0) std::this_thread::yield();
    while (TimesAsleep(tid_).value_or(0) <= asleep_before_) std::this_thread::yield();
  }
  ~RealThread() override {
    // It may be waiting for a CPU that nobody will give it.
    const sched_param param = {};
    sched_setscheduler(tid_, SCHED_OTHER, &param);
    stop_children_ = true;
    Order(kExit);
    thread_.join();
    for (std::thread& child : children_) child.join();
  }

  pid_t tid() const override { return tid_; }
  void Spin() override { Order(kSpin); }
  void Sleep() override { Order(kSleep); }
  void Yield() override { Order(kYield); }
  void YieldTo(Thread&) override {}
  std::optional<int> yielded() const override { return std::nullopt; }
  void Fork() override { Order(kFork); }
  void Exit() override { Order(kExit); }
  std::vector<pid_t> children() const override {
    const pid_t child = child_;
    return child == 0 ? std::vector<pid_t>() : std::vector<pid_t>{child};
  }
  absl::Status SetAffinity(const CpuSet& cpus) override {
    const cpu_set_t mask = MaskOf(cpus);
    if (sched_setaffinity(tid_, sizeof(mask), &mask) != 0) return Errno("sched_setaffinity");
    return absl::OkStatus();
  }
  absl::Status SetNice(int nice) override {
    if (setpriority(PRIO_PROCESS, static_cast<id_t>(tid_.load()), nice) != 0)
      return Errno("setpriority");
    return absl::OkStatus();
  }
  absl::Status SetExt(bool ext) override {
    const sched_param param = {};
    if (sched_setscheduler(tid_, ext ? kSchedExtPolicy : SCHED_OTHER, &param) != 0)
      return Errno("sched_setscheduler");
    return absl::OkStatus();
  }
  Duration cpu_time() const override { return CpuTimeOf(tid_); }

 private:
  enum : uint32_t { kSleep, kSpin, kYield, kFork, kExit };

  void Order(uint32_t order) {
    order_.store(order);
    syscall(SYS_futex, &order_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }
  void Obey() {
    asleep_before_ = MyTimesAsleep();
    tid_ = MyTid();
    for (;;) {
      uint32_t order = order_.load();
      switch (order) {
        case kSleep:
          syscall(SYS_futex, &order_, FUTEX_WAIT_PRIVATE, kSleep, nullptr, nullptr, 0);
          break;
        case kYield:
          sched_yield();
          order_.compare_exchange_strong(order, kSpin);
          break;
        case kFork:
          children_.emplace_back([this] {
            child_ = MyTid();
            while (!stop_children_) continue;
          });
          order_.compare_exchange_strong(order, kSpin);
          break;
        case kExit:
          return;
        default:
          break;
      }
    }
  }

  std::atomic<uint32_t> order_{kSleep};
  int64_t asleep_before_ = 0;  // published by tid_
  std::atomic<pid_t> tid_{0}, child_{0};
  std::atomic<bool> stop_children_{false};
  std::vector<std::thread> children_;
  std::thread thread_;
};

class RealCompanion final : public Companion {
 public:
  RealCompanion(AgentKernel& kernel, CoreId core)
      : kernel_(kernel), core_(core), thread_([this] { Serve(); }) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return entered_.has_value(); });
  }
  ~RealCompanion() override { End(/*leave=*/true); }
  absl::Status entered() const override { return *entered_; }
  void Die() override { End(/*leave=*/false); }

 private:
  void Serve() {
    std::unique_lock<std::mutex> lock(mutex_);
    entered_ = kernel_.EnterAgent(core_);
    changed_.notify_all();
    changed_.wait(lock, [&] { return over_; });
    if (leave_ && entered_->ok()) kernel_.LeaveAgent(core_).IgnoreError();
  }
  void End(bool leave) {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      leave_ = leave;
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  AgentKernel& kernel_;
  const CoreId core_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<absl::Status> entered_;
  bool leave_ = true, over_ = false;
  std::thread thread_;
};

class BpfWorld final : public World {
 public:
  explicit BpfWorld(std::unique_ptr<BpfControlKernel> control) : control_(std::move(control)) {}
  ~BpfWorld() override {
    for (std::thread& hog : hogs_) hog.join();
    for (const CpuId cpu : offline_) SetOnline(cpu, true).IgnoreError();
  }

  ControlKernel& control() override { return *control_; }

  absl::StatusOr<std::unique_ptr<AgentKernel>> BecomeAgent(EnclaveId enclave,
                                                           const std::string& name) override {
    std::vector<CoreId> cores;
    for (uint32_t id = 0; id < control_->info().nr_cores; ++id) {
      if (control_->cores()[id].enclave == enclave.value()) cores.push_back(CoreId(id));
    }
    absl::StatusOr<std::vector<NamedFd>> named = DescriptorsForAgent(cores);
    if (!named.ok()) return named.status();
    std::map<std::string, Fd> fds;
    for (NamedFd& fd : *named) fds[fd.name] = std::move(fd.fd);
    if (const absl::Status status = control_->BlessAgent(getpid(), enclave); !status.ok())
      return status;
    absl::StatusOr<std::unique_ptr<BpfAgentKernel>> kernel =
        BpfAgentKernel::FromDescriptors(std::move(fds), name);
    if (!kernel.ok()) return kernel.status();
    return std::unique_ptr<AgentKernel>(*std::move(kernel));
  }

  std::unique_ptr<Companion> RunAsAgent(AgentKernel& kernel, CoreId core) override {
    return std::make_unique<RealCompanion>(kernel, core);
  }
  std::unique_ptr<Thread> NewThread() override {
    auto thread = std::make_unique<RealThread>();
    // Born on the test's CPUs; from now on anywhere.
    CpuSet all;
    for (uint32_t cpu = 0; cpu < control_->info().nr_cpus; ++cpu)
      all.Insert(CpuId(static_cast<int>(cpu)));
    thread->SetAffinity(all).IgnoreError();
    return thread;
  }
  bool CanYieldTo() const override { return false; }
  void Pass(Duration time) override { std::this_thread::sleep_for(time); }

  void Hog(CpuId cpu, Duration time) override {
    hogs_.emplace_back([this, cpu, time] {
      CpuSet there;
      there.Insert(cpu);
      const cpu_set_t mask = MaskOf(there);
      sched_setaffinity(0, sizeof(mask), &mask);
      const sched_param param = {.sched_priority = 1};
      sched_setscheduler(0, SCHED_FIFO, &param);
      const Time end = control_->Now() + time;
      while (control_->Now() < end) continue;
    });
  }

  absl::Status SetOnline(CpuId cpu, bool online) override {
    const std::string path = absl::StrCat("/sys/devices/system/cpu/cpu", cpu.value(), "/online");
    std::ofstream file(path);
    file << (online ? 1 : 0) << std::flush;
    if (!file) return Errno(path);
    if (!online) offline_.push_back(cpu);
    return absl::OkStatus();
  }

 private:
  std::unique_ptr<BpfControlKernel> control_;
  std::vector<std::thread> hogs_;
  std::vector<CpuId> offline_;
};

// The class is loaded once for all cases: each finds it as the one before left it.
class ClassForAll : public testing::Environment {
 public:
  void SetUp() override {
    const absl::StatusOr<Topology> topology = Topology::FromHost();
    ASSERT_TRUE(topology.ok()) << topology.status();
    const absl::Status loaded = LoadClassHere();
    ASSERT_TRUE(loaded.ok()) << loaded;
    // The test's own threads stay out of the way.
    const cpu_set_t mask = MaskOf(topology->core(0).siblings);
    ASSERT_EQ(sched_setaffinity(0, sizeof(mask), &mask), 0);
  }
  void TearDown() override {
    const absl::Status unloaded = UnloadClass();
    EXPECT_TRUE(unloaded.ok()) << unloaded;
  }
};

const testing::Environment* const kClassForAll = testing::AddGlobalTestEnvironment(new ClassForAll);

}  // namespace

absl::StatusOr<std::unique_ptr<World>> World::Make() {
  absl::StatusOr<std::unique_ptr<BpfControlKernel>> control = BpfControlKernel::Open();
  if (!control.ok()) return control.status();
  if (control.value()->info().nr_cores < 4)
    return absl::FailedPreconditionError("the suite needs four cores");
  return std::make_unique<BpfWorld>(*std::move(control));
}

}  // namespace corral::conformance
