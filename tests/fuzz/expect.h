// SPDX-License-Identifier: Apache-2.0
// What a fuzzer insists on: whoever breaks it dies, and libFuzzer keeps the bytes.
#ifndef CORRAL_TESTS_FUZZ_EXPECT_H_
#define CORRAL_TESTS_FUZZ_EXPECT_H_

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace corral {

inline void Expect(bool holds, const char* what, absl::string_view text = "") {
  if (holds) return;
  fprintf(stderr, "%s: %s\n", what, std::string(text).c_str());
  abort();
}

// Each line begins with its file, "f", or its drop-in, "d".
inline void ExpectErrorsWithPlaces(const absl::Status& status) {
  Expect(absl::IsInvalidArgument(status), "not an error of the file", status.message());
  for (const absl::string_view line : absl::StrSplit(status.message(), '\n'))
    Expect(line.substr(0, 2) == "f:" || line.substr(0, 2) == "d:", "an error without a file", line);
}

}  // namespace corral

#endif  // CORRAL_TESTS_FUZZ_EXPECT_H_
