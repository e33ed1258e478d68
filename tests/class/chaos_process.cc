// SPDX-License-Identifier: Apache-2.0
#include "tests/class/chaos_process.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <thread>

namespace corral {
namespace {

using Random = std::minstd_rand;

void SpinFor(std::chrono::microseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) continue;
}

void SleepUpTo(int microseconds, Random& random) {
  const unsigned time = static_cast<unsigned>(random()) % static_cast<unsigned>(microseconds);
  std::this_thread::sleep_for(std::chrono::microseconds(time));
}

void ForkAChild() {
  const pid_t child = fork();
  if (child == 0) {
    SpinFor(std::chrono::milliseconds(2));
    _exit(0);
  }
  if (child > 0) waitpid(child, nullptr, 0);
}

void Work(unsigned seed, int longest_sleep) {
  Random random(seed);
  for (;;) {
    const unsigned what = random() % 200;
    const std::chrono::microseconds time(random() % 5000);
    if (what < 80) {
      SpinFor(time);
    } else if (what < 160) {
      SleepUpTo(longest_sleep, random);
    } else if (what < 196) {
      sched_yield();
    } else if (what < 198) {
      ForkAChild();
    } else {
      // Its place is taken by another, which inherits class and domain.
      std::thread(Work, static_cast<unsigned>(random()), longest_sleep).detach();
      return;
    }
  }
}

[[noreturn]] void BeChaos(int workers, unsigned seed, int longest_sleep, int go_fd) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  static std::atomic<bool> begun = false;
  for (int i = 0; i < workers; ++i) {
    std::thread([=] {
      begun.wait(false);
      // Not all at once.
      Random random(seed + i);
      random.discard(1);
      SleepUpTo(longest_sleep, random);
      Work(seed + i, longest_sleep);
    }).detach();
  }
  char go;
  if (read(go_fd, &go, 1) != 1) _exit(1);
  begun = true;
  begun.notify_all();
  for (;;) pause();
}

}  // namespace

ChaosProcess::ChaosProcess(int workers, unsigned seed, const Habits& habits) {
  int go_fds[2];
  if (pipe(go_fds) != 0) abort();
  pid_ = fork();
  if (pid_ == 0) BeChaos(workers, seed, static_cast<int>(habits.longest_sleep.count()), go_fds[0]);
  while (this->workers().size() < static_cast<size_t>(workers))
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  if (habits.prepare) habits.prepare(*this);
  if (write(go_fds[1], "g", 1) != 1) abort();
  close(go_fds[0]);
  close(go_fds[1]);
}

ChaosProcess::~ChaosProcess() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::vector<pid_t> ChaosProcess::workers() const {
  std::vector<pid_t> tids;
  std::error_code error;
  for (std::filesystem::directory_iterator i("/proc/" + std::to_string(pid_) + "/task", error), end;
       !error && i != end; i.increment(error)) {
    const pid_t tid = static_cast<pid_t>(std::atoi(i->path().filename().c_str()));
    if (tid != pid_) tids.push_back(tid);
  }
  return tids;
}

}  // namespace corral
