// SPDX-License-Identifier: Apache-2.0
#include "tests/audit/spinner.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <thread>
#include <utility>

namespace corral {

constexpr size_t kMaxThreads = 8;
constexpr size_t kMaxIntervals = 8192;
// A jump of the clock that is worth asking about. Shorter absences go unnoticed; a test has few of
// them.
constexpr int64_t kJump = 20'000;
constexpr char kProgram[] = "qemu-system-test";

struct RecordedIntervals {
  uint32_t count;
  Interval intervals[kMaxIntervals];

  void Add(Interval interval) {
    if (count < kMaxIntervals && interval.begin < interval.end) intervals[count++] = interval;
  }
  Intervals Get() const { return Intervals(intervals, intervals + count); }
};

struct RecordedRun {
  SpinPlan plan;  // so that it survives an exec
  RecordedIntervals certain;
  RecordedIntervals possible;
};

// In memory shared by the test and the spinner, zero at first.
struct Results {
  std::atomic<uint32_t> stop;  // a futex
  RecordedRun thread[kMaxThreads];
};

namespace {

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  _exit(99);
}

// What the kernel knows about this thread, at one time.
struct Usage {
  int64_t time = MonotonicNow();
  int64_t cpu_time = CpuTime();
  int64_t switches = Switches();

  static int64_t CpuTime() {
    timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * INT64_C(1'000'000'000) + used.tv_nsec;
  }
  static int64_t Switches() {
    rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw + usage.ru_nvcsw;
  }
};

void Spin(const SpinPlan& plan, std::atomic<uint32_t>& stop, RecordedRun& out) {
  Usage usage;
  int64_t begin = usage.time;
  int64_t possibly = plan.begin;  // whatever lies between waking up and the first reading
  int64_t last = usage.time;
  while (last < plan.end && !stop.load(std::memory_order_relaxed)) {
    const int64_t now = MonotonicNow();
    if (now - last <= kJump) {
      last = now;
      continue;
    }
    const Usage before = std::exchange(usage, Usage());
    if (usage.switches != before.switches) {
      const int64_t lacking = (usage.time - before.time) - (usage.cpu_time - before.cpu_time);
      out.certain.Add({begin, last});
      out.possible.Add({possibly, now - std::clamp<int64_t>(lacking, 0, now - last)});
      begin = possibly = now;
    }
    last = usage.time;
  }
  out.certain.Add({begin, last});
  if (plan.exit_process) {
    out.possible.Add({possibly, last});
    _exit(0);
  }
  // How long it took to get off the CPU shows in the CPU time, once the thread is back.
  const int64_t cpu_time = Usage::CpuTime();
  while (stop == 0) syscall(SYS_futex, &stop, FUTEX_WAIT, 0, nullptr);
  out.possible.Add({possibly, last + (Usage::CpuTime() - cpu_time)});
}

void Place(const SpinPlan& plan) {
  prctl(PR_SET_NAME, plan.name);
  if (plan.cpu >= 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(plan.cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set)) Die("sched_setaffinity");
  }
  const sched_param param = {.sched_priority = plan.policy == SCHED_FIFO ? 50 : 0};
  if (plan.policy != SCHED_OTHER && sched_setscheduler(0, plan.policy, &param))
    Die("sched_setscheduler");
}

void RunThread(const SpinPlan& plan, std::atomic<uint32_t>& stop, RecordedRun& out) {
  Place(plan);
  SleepUntil(plan.begin);
  Spin(plan, stop, out);
}

std::vector<SpinPlan> ReceivePlans(int socket) {
  std::vector<SpinPlan> plans(kMaxThreads);
  const ssize_t got = recv(socket, plans.data(), plans.size() * sizeof(SpinPlan), 0);
  if (got <= 0) _exit(0);
  plans.resize(got / sizeof(SpinPlan));
  return plans;
}

Results* Map(int memory) {
  void* mapped = mmap(nullptr, sizeof(Results), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  if (mapped == MAP_FAILED) Die("mmap");
  return static_cast<Results*>(mapped);
}

[[noreturn]] void RunProcess(int socket, int memory) {
  Results* results = Map(memory);
  const pid_t pid = getpid();
  send(socket, &pid, sizeof(pid), 0);
  const std::vector<SpinPlan> plans = ReceivePlans(socket);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < plans.size(); ++i) {
    threads.emplace_back(RunThread, plans[i], std::ref(results->stop),
                         std::ref(results->thread[i]));
  }
  char done;
  recv(socket, &done, 1, 0);  // the test has read the auditor's figures; now a wake-up does no harm
  for (std::thread& thread : threads) thread.join();
  _exit(0);
}

// The test program under a name that makes it a machine; the copy is small enough to be made each
// time.
std::string CopyOfThisProgram() {
  char dir[] = "/tmp/corral-spinner.XXXXXX";
  if (!mkdtemp(dir)) Die("mkdtemp");
  const std::string path = std::string(dir) + "/" + kProgram;
  std::filesystem::copy_file("/proc/self/exe", path);
  return path;
}

[[noreturn]] void Execute(const std::string& path, const char* role, int socket, int memory) {
  const std::string socket_text = std::to_string(socket), memory_text = std::to_string(memory);
  execl(path.c_str(), kProgram, role, socket_text.c_str(), memory_text.c_str(), nullptr);
  Die("execl");
}

[[noreturn]] void ExecuteAtBegin(const std::string& path, int socket, int memory) {
  const pid_t pid = getpid();
  send(socket, &pid, sizeof(pid), 0);
  const SpinPlan plan = ReceivePlans(socket)[0];
  Place(plan);
  Map(memory)->thread[0].plan = plan;
  SleepUntil(plan.begin);
  Execute(path, "now", socket, memory);
}

}  // namespace

int64_t MonotonicNow() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1'000'000'000) + now.tv_nsec;
}

void SleepUntil(int64_t time) {
  const timespec until = {.tv_sec = time / 1'000'000'000, .tv_nsec = time % 1'000'000'000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
  }
}

Intervals Intersect(const Intervals& a, const Intervals& b) {
  Intervals out;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const Interval both = {std::max(a[i].begin, b[j].begin), std::min(a[i].end, b[j].end)};
    if (both.begin < both.end) out.push_back(both);
    ++(a[i].end < b[j].end ? i : j);
  }
  return out;
}

Duration Length(const Intervals& intervals) {
  int64_t sum = 0;
  for (const Interval& interval : intervals) sum += interval.end - interval.begin;
  return Duration(sum);
}

Presence Intersect(const Presence& a, const Presence& b) {
  return {Intersect(a.certain, b.certain), Intersect(a.possible, b.possible)};
}

Presence Intersect(const Presence& a, Interval b) { return Intersect(a, Presence{{b}, {b}}); }

Spinner::Spinner(How how) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets)) Die("socketpair");
  const int memory = memfd_create("spinner", 0);
  if (memory < 0 || ftruncate(memory, sizeof(Results))) Die("memfd_create");
  results_ = Map(memory);
  if (how != How::kFork) program_ = CopyOfThisProgram();
  child_ = fork();
  if (child_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(sockets[0]);
    if (how == How::kFork) RunProcess(sockets[1], memory);
    if (how == How::kExecAtBegin) ExecuteAtBegin(program_, sockets[1], memory);
    Execute(program_, how == How::kDaemonize ? "daemonize" : "run", sockets[1], memory);
  }
  close(sockets[1]);
  close(memory);
  socket_ = sockets[0];
  if (recv(socket_, &pid_, sizeof(pid_), 0) != sizeof(pid_)) Die("spinner did not start");
}

Spinner::~Spinner() {
  if (child_ > 0) {
    kill(pid_, SIGKILL);
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  close(socket_);
  munmap(results_, sizeof(Results));
  if (!program_.empty()) std::filesystem::remove_all(std::filesystem::path(program_).parent_path());
}

void Spinner::Start(const std::vector<SpinPlan>& plans) {
  threads_ = plans.size();
  if (send(socket_, plans.data(), plans.size() * sizeof(SpinPlan), 0) < 0) Die("send");
}

std::vector<Presence> Spinner::Finish() {
  results_->stop = 1;
  syscall(SYS_futex, &results_->stop, FUTEX_WAKE, INT32_MAX);
  send(socket_, "", 1, MSG_NOSIGNAL);
  waitpid(child_, nullptr, 0);
  child_ = -1;
  std::vector<Presence> out;
  for (size_t i = 0; i < threads_; ++i) {
    out.push_back({results_->thread[i].certain.Get(), results_->thread[i].possible.Get()});
  }
  return out;
}

void Spinner::MaybeRun(int argc, char** argv) {
  if (argc != 4 || std::string(argv[0]) != kProgram) return;
  const std::string role = argv[1];
  const int socket = std::atoi(argv[2]), memory = std::atoi(argv[3]);
  if (role == "now") {
    Results* results = Map(memory);
    Spin(results->thread[0].plan, results->stop, results->thread[0]);
    _exit(0);
  }
  if (role == "daemonize") {
    if (const pid_t child = fork()) {
      waitpid(child, nullptr, 0);
      _exit(0);
    }
  }
  RunProcess(socket, memory);
}

}  // namespace corral
