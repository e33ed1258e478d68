// SPDX-License-Identifier: Apache-2.0
// What a process of a test hints, without a socket. Tests only.
#ifndef CORRAL_TESTS_HINTS_HINT_PAD_H_
#define CORRAL_TESTS_HINTS_HINT_PAD_H_

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/hints/hint_tables.h"
#include "kernel/fd.h"

namespace corral {

class HintPad {
 public:
  // Counts for the process in `tables` from now on, which must outlive the pad.
  HintPad(HintTables& tables, pid_t tgid)
      : tables_(tables), fd_(memfd_create("hints", MFD_CLOEXEC)) {
    EXPECT_EQ(ftruncate(fd_.get(), sizeof(HintFile)), 0);
    file_ = static_cast<HintFile*>(
        mmap(nullptr, sizeof(HintFile), PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0));
    place_ = tables_.Put(tgid, fd_.get()).value();
  }
  ~HintPad() {
    tables_.Remove(place_);
    munmap(file_, sizeof(HintFile));
  }
  HintPad(const HintPad&) = delete;

  void Set(pid_t tid, Hint hint) {
    file_->words[static_cast<uint32_t>(tid) % kHintWords] =
        HintWord(tid, static_cast<uint32_t>(hint));
  }

 private:
  HintTables& tables_;
  const Fd fd_;
  HintFile* file_ = nullptr;
  int place_ = 0;
};

}  // namespace corral

#endif  // CORRAL_TESTS_HINTS_HINT_PAD_H_
