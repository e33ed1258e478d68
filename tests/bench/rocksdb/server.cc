// SPDX-License-Identifier: Apache-2.0
// rocksdb_server: a server process as others are: a pool of threads, each of which takes a request,
// reads what it asks for in RocksDB, and sleeps until the next one. It knows nothing of Corral.
//
//   rocksdb_server --mailboxes FD --workers N [--keys N]
//
// Ends with whoever started it. Exit code 1: RocksDB failed, or a worker did.
#include <err.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <iostream>
#include <thread>
#include <vector>

#include "tests/bench/rocksdb/mailbox.h"
#include "tests/bench/rocksdb/store.h"

namespace corral::bench {
namespace {

absl::Status Serve(const Store& store, const Request& request) {
  if (request.kind == Request::Kind::kScan) return store.Scan(request.keys, request.seed);
  return store.Get(request.keys, request.seed);
}

void Work(const Store& store, Mailbox& mailbox) {
  for (;;) {
    while (sem_wait(&mailbox.asked) != 0 && errno == EINTR) {
    }
    mailbox.began_ns = MonotonicNs();
    if (const absl::Status status = Serve(store, mailbox.request); !status.ok()) {
      std::cerr << "rocksdb_server: " << status << std::endl;
      _exit(1);
    }
    mailbox.done_ns = MonotonicNs();
    mailbox.free.store(true, std::memory_order_release);
  }
}

int Run(int fd, int workers, uint32_t keys) {
  void* const memory = mmap(nullptr, sizeof(Mailboxes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) err(1, "rocksdb_server: no mailboxes");
  Mailboxes& mailboxes = *static_cast<Mailboxes*>(memory);
  const absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(keys);
  if (!store.ok()) {
    std::cerr << "rocksdb_server: " << store.status() << "\n";
    return 1;
  }
  std::vector<std::thread> pool;
  pool.reserve(static_cast<size_t>(workers));
  for (int i = 0; i < workers; ++i)
    pool.emplace_back([&, i] { Work(**store, mailboxes.of[static_cast<size_t>(i)]); });
  mailboxes.open = true;
  for (std::thread& thread : pool) thread.join();
  return 0;
}

}  // namespace
}  // namespace corral::bench

int main(int argc, char** argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int fd = -1, workers = 1;
  uint32_t keys = 50'000;
  CLI::App app("Reads in RocksDB for clients that share memory with it");
  app.add_option("--mailboxes", fd, "descriptor of the memory")->required();
  app.add_option("--workers", workers)->check(CLI::Range(1, corral::bench::kMaxWorkers));
  app.add_option("--keys", keys)->check(CLI::PositiveNumber)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return corral::bench::Run(fd, workers, keys);
}
