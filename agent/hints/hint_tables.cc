// SPDX-License-Identifier: Apache-2.0
#include "agent/hints/hint_tables.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace corral {
namespace {

// A file begins on a page of its own, on every kernel.
constexpr size_t kRoom = (sizeof(HintFile) + 0xffff) & ~size_t{0xffff};

}  // namespace

absl::StatusOr<std::unique_ptr<HintTables>> HintTables::Create() {
  std::unique_ptr<HintTables> tables(new HintTables);
  void* const memory =
      mmap(nullptr, kMaxProcesses * kRoom, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return absl::ResourceExhaustedError(absl::StrCat("no room for hints: ", strerror(errno)));
  tables->memory_ = memory;
  for (int i = 0; i < kMaxProcesses; ++i)
    tables->files_[i] = reinterpret_cast<HintFile*>(static_cast<char*>(memory) + i * kRoom);
  return tables;
}

HintTables::~HintTables() {
  if (memory_ != nullptr) munmap(memory_, kMaxProcesses * kRoom);
}

absl::StatusOr<int> HintTables::Put(pid_t tgid, int fd) {
  int place = 0;
  while (place < kMaxProcesses && tgids_[place].load(std::memory_order_relaxed) != 0) ++place;
  if (place == kMaxProcesses) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the agent takes hints of ", kMaxProcesses,
                     " processes already; close the hints of another process of the enclave"));
  }
  void* const address = const_cast<HintFile*>(files_[place]);
  if (mmap(address, sizeof(HintFile), PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
    return absl::ResourceExhaustedError(absl::StrCat("no room for hints: ", strerror(errno)));
  tgids_[place].store(tgid, std::memory_order_relaxed);
  if (place >= used_.load(std::memory_order_relaxed))
    used_.store(place + 1, std::memory_order_release);
  return place;
}

void HintTables::Remove(int place) {
  tgids_[place].store(0, std::memory_order_relaxed);
  int used = used_.load(std::memory_order_relaxed);
  while (used > 0 && tgids_[used - 1].load(std::memory_order_relaxed) == 0) --used;
  used_.store(used, std::memory_order_release);
  // Gives the file back. Where that fails it stays until the next one comes.
  (void)mmap(const_cast<HintFile*>(files_[place]), kRoom, PROT_READ,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

}  // namespace corral
