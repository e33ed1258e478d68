// SPDX-License-Identifier: Apache-2.0
#include "policies/secure_vm/options.h"

namespace corral::secure_vm {

absl::Span<const OptionSpec> OptionTable() {
  static constexpr absl::string_view kSharing[] = {"off", "core", "node", "machine"};
  static constexpr OptionSpec kTable[] = {
      {.name = "tenure",
       .type = OptionType::kDuration,
       .default_value = "10ms",
       .min = "1ms",
       .max = "1s",
       .help =
           "How long a domain keeps a core that other domains wait for, and a vCPU a sibling that "
           "other vCPUs of its domain wait for."},
      {.name = "min_tenure",
       .type = OptionType::kDuration,
       .default_value = "2ms",
       .min = "100us",
       .max = "100ms",
       .help =
           "How long a domain keeps a core that it was given, even if a domain that was promised "
           "time, or that slept and had less than its share, wants it. Not more than tenure."},
      {.name = "hand_over",
       .type = OptionType::kDuration,
       .default_value = "20us",
       .min = "1us",
       .max = "1ms",
       .help =
           "What a change of a core's domain is taken to cost when budgets are admitted, and when "
           "a domain makes more of them than it must."},
      {.name = "reserve",
       .type = OptionType::kInt,
       .default_value = "5",
       .min = "0",
       .max = "50",
       .unit = "%",
       .help = "The part of each core that is promised to nobody: what the host, interrupts and "
               "agents may take."},
      {.name = "sharing",
       .type = OptionType::kChoice,
       .default_value = "machine",
       .choices = kSharing,
       .help =
           "Which idle cores start a vCPU that wakes up, or waits, without asking their agents: "
           "none, the core that it lives on, those of its NUMA node, or those of the whole machine "
           "(other nodes only while no CPU of its own idles). vCPUs that were promised time, or "
           "have a cap, are started by agents alone."},
      {.name = "co_running",
       .type = OptionType::kBool,
       .default_value = "false",
       .help = "Whether domains on several cores have their turns there at the same time, so that "
               "a vCPU that holds a lock runs while others wait for it."},
  };
  return kTable;
}

namespace {

Offer OfferNamed(absl::string_view name) {
  if (name == "core") return Offer::kCore;
  if (name == "node") return Offer::kNode;
  return name == "machine" ? Offer::kMachine : Offer::kNone;
}

}  // namespace

Options ReadOptions(const OptionValues& values) {
  return {.tenure = values.GetDuration("tenure"),
          .min_tenure = values.GetDuration("min_tenure"),
          .hand_over = values.GetDuration("hand_over"),
          .reserve_percent = static_cast<int>(values.GetInt("reserve")),
          .sharing = OfferNamed(values.GetChoice("sharing")),
          .co_running = values.GetBool("co_running")};
}

}  // namespace corral::secure_vm
