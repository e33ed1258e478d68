// SPDX-License-Identifier: Apache-2.0
#include "agent/selftest/vm_process.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "kernel/cpu_mask.h"

namespace corral {
namespace {

void Announce(int pipe_fd) {
  const pid_t tid = static_cast<pid_t>(syscall(SYS_gettid));
  if (write(pipe_fd, &tid, sizeof(tid)) != sizeof(tid)) _exit(1);
}

[[noreturn]] void Spin(int pipe_fd, const std::function<void()>& work) {
  Announce(pipe_fd);
  for (;;) work();
}

[[noreturn]] void SleepAndWake(int pipe_fd) {
  Announce(pipe_fd);
  for (;;) {
    volatile int work = 0;
    for (int i = 0; i < 20000; ++i) work = work + i;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

[[noreturn]] void BeVm(int pipe_fd, int spinners, int sleepers, const std::function<void()>& work) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int i = 0; i < spinners; ++i) std::thread(Spin, pipe_fd, work).detach();
  for (int i = 0; i < sleepers; ++i) std::thread(SleepAndWake, pipe_fd).detach();
  for (;;) pause();
}

// A process can be waited for before its last thread has made its last context switch. Whoever has
// run on each CPU since knows that it runs on none.
void VisitEachCpu() {
  cpu_set_t mine;
  if (sched_getaffinity(0, sizeof(mine), &mine) != 0) return;
  FromMask(mine).ForEach([](CpuId cpu) {
    const cpu_set_t one = MaskOf({cpu.value()});
    (void)sched_setaffinity(0, sizeof(one), &one);  // fails where the CPU has gone
  });
  (void)sched_setaffinity(0, sizeof(mine), &mine);
}

}  // namespace

VmProcess::VmProcess(int spinners, int sleepers, const std::function<void()>& work)
    : spinners_(spinners) {
  int pipe_fds[2];
  const auto failed = [](const char* what) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot ", what, ": ", strerror(errno)));
  };
  if (pipe(pipe_fds) != 0) {
    status_ = failed("make a pipe");
    return;
  }
  pid_ = fork();
  if (pid_ < 0) status_ = failed("start a process");
  if (pid_ == 0) BeVm(pipe_fds[1], spinners, sleepers, work);
  close(pipe_fds[1]);
  std::vector<pid_t> tids(pid_ < 0 ? 0 : spinners + sleepers);
  for (pid_t& tid : tids) {
    if (read(pipe_fds[0], &tid, sizeof(tid)) == sizeof(tid)) continue;
    status_ = absl::ResourceExhaustedError("a process that was started could not make its threads");
    break;
  }
  close(pipe_fds[0]);
  if (status_.ok()) tids_ = std::move(tids);
}

VmProcess::~VmProcess() { Kill(); }

void VmProcess::Calculate() {
  volatile int work = 0;
  for (int i = 0; i < 1000; ++i) work = work + i;
}

void VmProcess::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  VisitEachCpu();
  pid_ = -1;
}

Duration CpuTime(pid_t tid) {
  std::ifstream file("/proc/" + std::to_string(tid) + "/schedstat");
  int64_t ns = 0;
  file >> ns;
  return Duration(ns);
}

}  // namespace corral
