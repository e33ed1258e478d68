// SPDX-License-Identifier: Apache-2.0
#include "tests/faults/bpf_sleepers.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <thread>

#include "sleep_in_bpf.skel.h"

namespace corral {
namespace {

constexpr size_t kPage = 4096;

[[noreturn]] void GiveUp(const char* what) {
  fprintf(stderr, "bpf_sleepers: %s: error %d\n", what, errno);
  _exit(1);
}

// Pages that are brought by whoever reads the descriptor.
char* MissingPages(int count, int* fd) {
  *fd = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC));
  uffdio_api api = {.api = UFFD_API};
  if (*fd < 0 || ioctl(*fd, UFFDIO_API, &api) != 0) GiveUp("userfaultfd");
  const size_t size = kPage * static_cast<size_t>(count);
  void* const pages =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uffdio_register range = {};
  range.range = {.start = reinterpret_cast<uintptr_t>(pages), .len = size};
  range.mode = UFFDIO_REGISTER_MODE_MISSING;
  if (pages == MAP_FAILED || ioctl(*fd, UFFDIO_REGISTER, &range) != 0) GiveUp("register");
  return static_cast<char*>(pages);
}

[[noreturn]] void SleepInBpf(int pipe_fd, int program, char* page) {
  const pid_t tid = static_cast<pid_t>(syscall(SYS_gettid));
  if (write(pipe_fd, &tid, sizeof(tid)) != sizeof(tid)) GiveUp("announce");
  for (;;) {
    uint64_t address = reinterpret_cast<uintptr_t>(page);
    LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &address, .ctx_size_in = sizeof(address));
    if (bpf_prog_test_run_opts(program, &run) != 0 || run.retval != 0) GiveUp("run");
    if (madvise(page, kPage, MADV_DONTNEED) != 0) GiveUp("madvise");
  }
}

[[noreturn]] void BringPages(int fd) {
  for (;;) {
    uffd_msg message;
    if (read(fd, &message, sizeof(message)) != sizeof(message)) GiveUp("read");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    uffdio_zeropage page = {};
    page.range = {.start = message.arg.pagefault.address & ~uint64_t{kPage - 1}, .len = kPage};
    if (ioctl(fd, UFFDIO_ZEROPAGE, &page) != 0) GiveUp("bring a page");
  }
}

[[noreturn]] void BeSleepers(int pipe_fd, int threads) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sleep_in_bpf* const skeleton = sleep_in_bpf__open_and_load();
  if (skeleton == nullptr) GiveUp("load");
  const int program = bpf_program__fd(skeleton->progs.read_missing_page);
  int fd;
  char* const pages = MissingPages(threads, &fd);
  for (int i = 0; i < threads; ++i)
    std::thread(SleepInBpf, pipe_fd, program, pages + kPage * static_cast<size_t>(i)).detach();
  BringPages(fd);
}

}  // namespace

BpfSleepers::BpfSleepers(int threads) {
  int pipe_fds[2];
  if (pipe(pipe_fds) != 0) return;
  pid_ = fork();
  if (pid_ == 0) BeSleepers(pipe_fds[1], threads);
  close(pipe_fds[1]);
  pid_t tid;
  while (static_cast<int>(tids_.size()) < threads &&
         read(pipe_fds[0], &tid, sizeof(tid)) == sizeof(tid))
    tids_.push_back(tid);
  close(pipe_fds[0]);
  if (static_cast<int>(tids_.size()) < threads) tids_.clear();
}

BpfSleepers::~BpfSleepers() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

}  // namespace corral
