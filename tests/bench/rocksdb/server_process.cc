// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/rocksdb/server_process.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <new>
#include <thread>

#include "absl/strings/str_cat.h"
#include "kernel/cpu_mask.h"

namespace corral::bench {
namespace {

absl::Status Failed(const char* what) {
  return absl::InternalError(absl::StrCat(what, ": ", strerror(errno)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(const std::string& program,
                                                                    int workers,
                                                                    const CpuSet& cpus) {
  std::unique_ptr<ServerProcess> server(new ServerProcess(workers));
  absl::Status status = server->Launch(program, cpus);
  if (status.ok()) status = server->AwaitOpen();
  if (!status.ok()) return status;
  return server;
}

absl::Status ServerProcess::Launch(const std::string& program, const CpuSet& cpus) {
  const int fd = memfd_create("mailboxes", 0);
  if (fd < 0 || ftruncate(fd, sizeof(Mailboxes)) != 0) return Failed("no memory for mailboxes");
  void* const memory = mmap(nullptr, sizeof(Mailboxes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return Failed("mailboxes cannot be mapped");
  mailboxes_ = new (memory) Mailboxes;
  for (Mailbox& mailbox : mailboxes_->of) sem_init(&mailbox.asked, /*pshared=*/1, 0);
  const std::string fd_text = absl::StrCat(fd), workers_text = absl::StrCat(workers_);
  const cpu_set_t mask = MaskOf(cpus);
  pid_ = fork();
  if (pid_ == 0) {
    if (sched_setaffinity(0, sizeof(mask), &mask) == 0) {
      execl(program.c_str(), program.c_str(), "--mailboxes", fd_text.c_str(), "--workers",
            workers_text.c_str(), nullptr);
    }
    _exit(127);
  }
  close(fd);
  return pid_ > 0 ? absl::OkStatus() : Failed("no process for the server");
}

absl::Status ServerProcess::AwaitOpen() const {
  for (int i = 0; i < 120'000; ++i) {
    if (mailboxes_->open) return absl::OkStatus();
    if (waitpid(pid_, nullptr, WNOHANG) != 0)
      return absl::AbortedError("rocksdb_server ended before it served; it has said why");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return absl::DeadlineExceededError("rocksdb_server does not serve");
}

ServerProcess::~ServerProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (mailboxes_ != nullptr) munmap(mailboxes_, sizeof(Mailboxes));
}

std::vector<pid_t> ServerProcess::Threads() const {
  std::vector<pid_t> tids;
  for (const auto& entry :
       std::filesystem::directory_iterator(absl::StrCat("/proc/", pid_, "/task")))
    tids.push_back(static_cast<pid_t>(std::atoi(entry.path().filename().c_str())));
  return tids;
}

absl::Status ServerProcess::Bind(const CpuSet& cpus) const {
  const cpu_set_t mask = MaskOf(cpus);
  for (const pid_t tid : Threads()) {
    if (sched_setaffinity(tid, sizeof(mask), &mask) != 0)
      return Failed("a thread of the server cannot be bound");
  }
  return absl::OkStatus();
}

}  // namespace corral::bench
