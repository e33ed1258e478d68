// SPDX-License-Identifier: Apache-2.0
// libFuzzer on the parser of corral.yaml. Whatever the bytes are: a configuration, or errors with
// their places; and a configuration that is shown and read again is the same.
//
// A line "===" divides the file from a drop-in.
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "config/config.h"
#include "config/show.h"
#include "tests/config/test_policies.h"
#include "tests/fuzz/expect.h"

namespace corral {
namespace {

void TryOne(absl::string_view input) {
  const std::vector<std::string> parts = absl::StrSplit(input, absl::MaxSplits("\n===\n", 1));
  std::vector<ConfigText> texts = {{"f", parts[0]}};
  if (parts.size() > 1) texts.push_back({"d", parts[1]});
  const absl::StatusOr<Config> config = ParseConfig(texts, kTestPolicies);
  if (!config.ok()) return ExpectErrorsWithPlaces(config.status());
  const absl::StatusOr<EffectiveConfig> shown = ShowConfig(texts, kTestPolicies);
  Expect(shown.ok(), "right, but cannot be shown", shown.status().message());
  const std::vector<ConfigText> again = {{"f", shown->yaml}};
  const absl::StatusOr<EffectiveConfig> twice = ShowConfig(again, kTestPolicies);
  Expect(twice.ok(), "what was shown is not right", twice.status().message());
  Expect(shown->json["config"] == twice->json["config"], "read again it is another", shown->yaml);
}

}  // namespace
}  // namespace corral

// The name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(  // NOLINT(readability-identifier-naming)
    const uint8_t* data, size_t size) {
  corral::TryOne(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
