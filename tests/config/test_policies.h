// SPDX-License-Identifier: Apache-2.0
// A policy with an option of each type, as the tests of config/ use it.
#ifndef CORRAL_TESTS_CONFIG_TEST_POLICIES_H_
#define CORRAL_TESTS_CONFIG_TEST_POLICIES_H_

#include "config/config.h"

namespace corral {

inline constexpr absl::string_view kTestChoices[] = {"near", "far"};
inline constexpr OptionSpec kTestOptions[] = {
    {.name = "tenure",
     .type = OptionType::kDuration,
     .default_value = "10ms",
     .min = "1ms",
     .max = "1s",
     .help = "A time."},
    {.name = "slots",
     .type = OptionType::kInt,
     .default_value = "4",
     .min = "1",
     .max = "8",
     .unit = "slots",
     .help = "A number."},
    {.name = "strict", .type = OptionType::kBool, .default_value = "false", .help = "A switch."},
    {.name = "place",
     .type = OptionType::kChoice,
     .default_value = "near",
     .choices = kTestChoices,
     .help = "A choice."},
};
inline constexpr PolicyOptions kTestPolicies[] = {{"secure_vm", kTestOptions}, {"fifo", {}}};

}  // namespace corral

#endif  // CORRAL_TESTS_CONFIG_TEST_POLICIES_H_
