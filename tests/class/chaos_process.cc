// SPDX-License-Identifier: Apache-2.0
#include "tests/class/chaos_process.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

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

void ForkAChild() {
  const pid_t child = fork();
  if (child == 0) {
    SpinFor(std::chrono::milliseconds(2));
    _exit(0);
  }
  if (child > 0) waitpid(child, nullptr, 0);
}

void Work(unsigned seed) {
  Random random(seed);
  for (;;) {
    const unsigned what = random() % 200;
    const std::chrono::microseconds time(random() % 5000);
    if (what < 80) {
      SpinFor(time);
    } else if (what < 160) {
      std::this_thread::sleep_for(time);
    } else if (what < 196) {
      sched_yield();
    } else if (what < 198) {
      ForkAChild();
    } else {
      // Its place is taken by another, which inherits class and domain.
      std::thread(Work, static_cast<unsigned>(random())).detach();
      return;
    }
  }
}

[[noreturn]] void BeChaos(int workers, unsigned seed) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int i = 0; i < workers; ++i) std::thread(Work, seed + i).detach();
  for (;;) pause();
}

}  // namespace

ChaosProcess::ChaosProcess(int workers, unsigned seed) {
  pid_ = fork();
  if (pid_ == 0) BeChaos(workers, seed);
  while (this->workers().size() < static_cast<size_t>(workers)) std::this_thread::yield();
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
