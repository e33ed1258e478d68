// SPDX-License-Identifier: Apache-2.0
// The library that applications link: corral_hints.h. Needs nothing but the C library, throws
// nothing.
//
// Hints are kept twice: in memory of the process's own, to be told again to the next agent, and in
// the file of the present agent, if there is one. Both have the same address all the time, so that
// a hint is two stores, whatever happens to agents meanwhile.
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "agent/hints/corral_hints.h"
#include "agent/hints/hint_file.h"

namespace {

using corral::HintFile;
using corral::HintWord;
using corral::kHintsGranted;
using corral::kHintWords;

constexpr int kRetryMs = 1000;
constexpr size_t kMaxReason = 256;

HintFile* Map(int fd, void* at) {
  const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void* const memory = mmap(at, sizeof(HintFile), PROT_READ | PROT_WRITE,
                            flags | (at == nullptr ? 0 : MAP_FIXED), fd, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<HintFile*>(memory);
}

}  // namespace

// All zero at first, from calloc: applications in C need not link C++'s library.
struct corral_hints {
  sockaddr_un address;
  HintFile* own;
  HintFile* told;  // the agent's file, or memory that nobody reads
  int stop;
  pthread_t thread;
  pthread_mutex_t mutex;    // of the rest
  char reason[kMaxReason];  // "": connected
};

namespace {

void Say(corral_hints& hints, const char* reason) {
  pthread_mutex_lock(&hints.mutex);
  snprintf(hints.reason, sizeof(hints.reason), "%s", reason);
  pthread_mutex_unlock(&hints.mutex);
}

void SayErrno(corral_hints& hints, const char* what) {
  char text[kMaxReason];
  char cause[64];
  snprintf(text, sizeof(text), "%s: %s", what, strerror_r(errno, cause, sizeof(cause)));
  Say(hints, text);
}

// Whoever hints meanwhile writes both. What it wrote to `own` too late to be seen here, it writes
// to `told` later still.
void TellAll(corral_hints& hints) {
  for (uint32_t i = 0; i < kHintWords; ++i) {
    uint64_t word;
    do {
      word = hints.own->words[i].load();
      if (word != 0) hints.told->words[i].store(word);
    } while (hints.own->words[i].load() != word);
  }
}

// The file that came with the answer, or -1.
int Receive(int socket, char* text, size_t size) {
  iovec part = {.iov_base = text, .iov_len = size - 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  text[length > 0 ? length : 0] = '\0';
  if (length <= 0) snprintf(text, size, "the agent does not answer");
  const cmsghdr* const header = length > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return -1;
  int fd = -1;
  memcpy(&fd, CMSG_DATA(header), sizeof(fd));
  return fd;
}

// Takes up the agent's file.
bool Accept(corral_hints& hints, int socket) {
  char text[kMaxReason];
  const int fd = Receive(socket, text, sizeof(text));
  if (fd < 0) {
    Say(hints, text);
    return false;
  }
  struct stat info = {};
  const bool fits = strcmp(text, kHintsGranted) == 0 && fstat(fd, &info) == 0 &&
                    static_cast<size_t>(info.st_size) >= sizeof(HintFile);
  const bool mapped = fits && Map(fd, hints.told) != nullptr;
  close(fd);
  if (!mapped) {
    Say(hints, fits ? "there is no memory for the agent's file"
                    : "the agent is of another version than this library");
    return false;
  }
  TellAll(hints);
  Say(hints, "");
  return true;
}

// Until it is to stop, or for so long; whether it is to stop.
bool Stops(const corral_hints& hints, int other, int timeout_ms) {
  pollfd fds[] = {{.fd = hints.stop, .events = POLLIN}, {.fd = other, .events = POLLIN}};
  while (poll(fds, 2, timeout_ms) < 0 && errno == EINTR) {
  }
  return fds[0].revents != 0;
}

// One agent's time; whether to stop.
bool Attend(corral_hints& hints) {
  const int socket = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  bool stops = false;
  if (socket < 0) {
    SayErrno(hints, "there is no socket");
  } else if (connect(socket, reinterpret_cast<const sockaddr*>(&hints.address),
                     sizeof(hints.address)) != 0) {
    SayErrno(hints, hints.address.sun_path);
  } else {
    stops = Stops(hints, socket, -1);  // the agent has answered, or gone
    if (!stops && Accept(hints, socket)) {
      stops = Stops(hints, socket, -1);
      Say(hints, "the agent has gone");
    }
  }
  if (socket >= 0) close(socket);
  return stops || Stops(hints, -1, kRetryMs);
}

void* Main(void* argument) {
  auto& hints = *static_cast<corral_hints*>(argument);
  while (!Attend(hints)) {
  }
  return nullptr;
}

// The application's signals are not for this thread.
int StartThread(corral_hints& hints) {
  sigset_t all;
  sigset_t former;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &former);
  const int error = pthread_create(&hints.thread, nullptr, Main, &hints);
  pthread_sigmask(SIG_SETMASK, &former, nullptr);
  return error;
}

void Free(corral_hints* hints) {
  if (hints->own != nullptr) munmap(hints->own, sizeof(HintFile));
  if (hints->told != nullptr) munmap(hints->told, sizeof(HintFile));
  if (hints->stop >= 0) close(hints->stop);
  pthread_mutex_destroy(&hints->mutex);
  free(hints);
}

// 0, or why not.
int Open(corral_hints& hints, const char* enclave) {
  hints.mutex = PTHREAD_MUTEX_INITIALIZER;
  hints.stop = -1;
  const char* const format = strchr(enclave, '/') == nullptr ? "/run/corral/hints/%s" : "%s";
  hints.address.sun_family = AF_UNIX;
  const int length =
      snprintf(hints.address.sun_path, sizeof(hints.address.sun_path), format, enclave);
  if (length < 0 || static_cast<size_t>(length) >= sizeof(hints.address.sun_path))
    return ENAMETOOLONG;
  hints.own = Map(-1, nullptr);
  hints.told = Map(-1, nullptr);
  if (hints.own == nullptr || hints.told == nullptr) return ENOMEM;
  hints.stop = eventfd(0, EFD_CLOEXEC);
  if (hints.stop < 0) return errno;
  Say(hints, "not connected yet");
  return StartThread(hints);
}

}  // namespace

extern "C" {

corral_hints* corral_hints_open(const char* enclave) {
  auto* const hints = static_cast<corral_hints*>(calloc(1, sizeof(corral_hints)));
  const int error = hints == nullptr ? ENOMEM : Open(*hints, enclave);
  if (error == 0) return hints;
  if (hints != nullptr) Free(hints);
  errno = error;
  return nullptr;
}

int corral_hints_connected(corral_hints* hints, char* why, size_t size) {
  pthread_mutex_lock(&hints->mutex);
  const bool connected = hints->reason[0] == '\0';
  if (why != nullptr) snprintf(why, size, "%s", hints->reason);
  pthread_mutex_unlock(&hints->mutex);
  return connected;
}

void corral_hints_set(corral_hints* hints, corral_hint hint) {
  corral_hints_set_thread(hints, gettid(), hint);
}

void corral_hints_set_thread(corral_hints* hints, pid_t tid, corral_hint hint) {
  const uint64_t word = HintWord(tid, static_cast<uint32_t>(hint));
  const uint32_t at = static_cast<uint32_t>(tid) % kHintWords;
  hints->own->words[at].store(word);
  hints->told->words[at].store(word);
}

void corral_hints_close(corral_hints* hints) {
  if (hints == nullptr) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(hints->stop, &one, sizeof(one));
  pthread_join(hints->thread, nullptr);
  Free(hints);
}

}  // extern "C"
