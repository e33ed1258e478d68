// SPDX-License-Identifier: Apache-2.0
// usage: ring_seeds DIR. Writes files of samples there for the fuzzer to begin with: none, one,
// some, and more than there is room for.
#include <filesystem>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "agent/report/ring.h"
#include "tests/report/made_samples.h"

int main(int argc, char** argv) {
  using namespace corral::report;
  if (argc != 2) {
    std::cerr << "usage: ring_seeds DIR\n";
    return 2;
  }
  std::filesystem::create_directories(argv[1]);
  for (const int count : {0, 1, 5, 30}) {
    absl::StatusOr<RingWriter> ring =
        RingWriter::Replace(absl::StrCat(argv[1], "/", count, ".ring"), 16 * 1024);
    // From where something happens on.
    for (int i = 0; ring.ok() && i < count; ++i) {
      const absl::Status status = ring->Append(MadeSample({.cpus = 6, .domains = 3}, 38 + i));
      if (!status.ok()) ring = status;
    }
    if (!ring.ok()) {
      std::cerr << ring.status() << "\n";
      return 1;
    }
  }
  return 0;
}
