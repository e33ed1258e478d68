// SPDX-License-Identifier: Apache-2.0
// rocksdb_server as a child of ours, for as long as this lives. Used by one thread.
#ifndef CORRAL_TESTS_BENCH_ROCKSDB_SERVER_PROCESS_H_
#define CORRAL_TESTS_BENCH_ROCKSDB_SERVER_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernel/cpu_set.h"
#include "tests/bench/rocksdb/mailbox.h"

namespace corral::bench {

class ServerProcess {
 public:
  // Returns when it serves, on those CPUs and no others. DeadlineExceeded: it does not within two
  // minutes. Aborted: it ended before.
  static absl::StatusOr<std::unique_ptr<ServerProcess>> Start(const std::string& program,
                                                              int workers, const CpuSet& cpus);
  ~ServerProcess();  // kills it
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  pid_t pid() const { return pid_; }
  std::vector<pid_t> Threads() const;  // all, not the workers only
  // From now on they use these CPUs.
  absl::Status Bind(const CpuSet& cpus) const;
  int workers() const { return workers_; }
  Mailboxes& mailboxes() const { return *mailboxes_; }

 private:
  explicit ServerProcess(int workers) : workers_(workers) {}
  absl::Status Launch(const std::string& program, const CpuSet& cpus);
  absl::Status AwaitOpen() const;

  const int workers_;
  pid_t pid_ = -1;
  Mailboxes* mailboxes_ = nullptr;
};

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_ROCKSDB_SERVER_PROCESS_H_
