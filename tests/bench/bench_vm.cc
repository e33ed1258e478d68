// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/bench_vm.h"

#include <linux/prctl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/selftest/vm_process.h"

namespace corral::bench {
namespace {

using std::chrono::milliseconds;

constexpr int kMaxVcpus = 8;
constexpr uint32_t kMaxWaits = 16384;
constexpr int kRoundsOfRequest = 40;  // about a millisecond under emulation
constexpr Duration kStarts = std::chrono::seconds(30);

int64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

void Calculate() {
  volatile int work = 0;
  for (int i = 0; i < 10000; ++i) work = work + i;
}

}  // namespace

struct BenchVm::Shared {
  std::atomic<int> next;
  std::atomic<int> announced;
  std::array<std::atomic<pid_t>, kMaxVcpus> tids;
  std::atomic<uint64_t> rounds;
  std::atomic<uint32_t> waits;  // that were told, even where there was no room any more
  std::array<std::atomic<int64_t>, kMaxWaits> waited_ns;

  void Announce() {
    tids[next++] = static_cast<pid_t>(syscall(SYS_gettid));
    ++announced;
  }
  void Work(int times) {
    for (int i = 0; i < times; ++i) {
      Calculate();
      rounds.fetch_add(1, std::memory_order_relaxed);
    }
  }
  [[noreturn]] void Compute() {
    Announce();
    for (;;) Work(1);
  }
  [[noreturn]] void SleepAndWake(int rounds_each_time) {
    Announce();
    prctl(PR_SET_TIMERSLACK, 1);
    std::mt19937 random(static_cast<unsigned>(gettid()));
    for (;;) {
      const int64_t at = NowNs() + 1'500'000 + static_cast<int64_t>(random() % 2'000'000);
      const timespec until = {.tv_sec = at / 1'000'000'000, .tv_nsec = at % 1'000'000'000};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
      const int64_t waited = NowNs() - at;
      const uint32_t slot = waits++;
      if (slot < kMaxWaits) waited_ns[slot] = waited;
      Work(rounds_each_time);
    }
  }
};

void BenchVm::Be(Shared& shared, const VmShape& shape) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const auto start = [](int count, auto body) {
    for (int i = 0; i < count; ++i) std::thread(body).detach();
  };
  start(shape.computing, [&shared] { shared.Compute(); });
  start(shape.waking, [&shared] { shared.SleepAndWake(0); });
  start(shape.serving, [&shared] { shared.SleepAndWake(kRoundsOfRequest); });
  for (;;) pause();
}

absl::StatusOr<BenchVm> BenchVm::Start(const VmShape& shape) {
  if (shape.vcpus() > kMaxVcpus)
    return absl::InvalidArgumentError(absl::StrCat("a VM may have ", kMaxVcpus, " vCPUs here"));
  BenchVm vm;
  vm.vcpus_ = shape.vcpus();
  void* const memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return absl::ResourceExhaustedError("no memory to share with a VM");
  vm.shared_ = new (memory) Shared{};
  vm.pid_ = fork();
  if (vm.pid_ < 0)
    return absl::ResourceExhaustedError(absl::StrCat("cannot start a process: ", strerror(errno)));
  if (vm.pid_ == 0) Be(*vm.shared_, shape);
  const int64_t end = NowNs() + kStarts.count();
  while (vm.shared_->announced < vm.vcpus_) {
    if (NowNs() > end) return absl::ResourceExhaustedError("a VM's threads did not start");
    std::this_thread::sleep_for(milliseconds(1));
  }
  return vm;
}

BenchVm::BenchVm(BenchVm&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      vcpus_(other.vcpus_),
      shared_(std::exchange(other.shared_, nullptr)) {}

BenchVm::~BenchVm() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (shared_ != nullptr) munmap(shared_, sizeof(Shared));
}

std::vector<pid_t> BenchVm::tids() const {
  return {shared_->tids.begin(), shared_->tids.begin() + vcpus_};
}

Duration BenchVm::CpuTime() const {
  Duration all{0};
  for (const pid_t tid : tids()) all += corral::CpuTime(tid);
  return all;
}

absl::Status BenchVm::Separate() const {
  if (prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, pid_, PR_SCHED_CORE_SCOPE_THREAD_GROUP, 0) == 0)
    return absl::OkStatus();
  if (errno == EINVAL)
    return absl::UnimplementedError("this kernel has no core scheduling (CONFIG_SCHED_CORE)");
  return absl::InternalError(absl::StrCat("no cookie for a VM: ", strerror(errno)));
}

void BenchVm::Begin() {
  shared_->rounds = 0;
  shared_->waits = 0;
}

uint64_t BenchVm::rounds() const { return shared_->rounds; }

std::vector<Duration> BenchVm::Waits() const {
  std::vector<Duration> waits;
  const uint32_t told = std::min<uint32_t>(shared_->waits, kMaxWaits);
  for (uint32_t i = 0; i < told; ++i) waits.emplace_back(shared_->waited_ns[i].load());
  return waits;
}

}  // namespace corral::bench
