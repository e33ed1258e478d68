// SPDX-License-Identifier: Apache-2.0
#include "policies/secure_vm/options.h"

namespace corral::secure_vm {

absl::Span<const OptionSpec> OptionTable() {
  static constexpr OptionSpec kTable[] = {
      {.name = "tenure",
       .type = OptionType::kDuration,
       .default_value = "10ms",
       .min = "1ms",
       .max = "1s",
       .help =
           "How long a domain keeps a core that other domains wait for, and a vCPU a sibling that "
           "other vCPUs of its domain wait for."},
  };
  return kTable;
}

Options ReadOptions(const OptionValues& values) { return {.tenure = values.GetDuration("tenure")}; }

}  // namespace corral::secure_vm
