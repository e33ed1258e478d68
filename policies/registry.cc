// SPDX-License-Identifier: Apache-2.0
#include "policies/registry.h"

#include "policies/fifo/centralized.h"
#include "policies/fifo/policy.h"
#include "policies/search/policy.h"
#include "policies/secure_vm/options.h"
#include "policies/secure_vm/policy.h"
#include "policies/shinjuku/policy.h"
#include "policies/snap/policy.h"

namespace corral {
namespace {

absl::StatusOr<std::unique_ptr<PerCorePolicy>> MakeSecureVm(const PolicyContext& context) {
  return std::make_unique<secure_vm::SecureVmPolicy>(context.topology, context.nr_slots,
                                                     secure_vm::ReadOptions(context.options));
}

absl::StatusOr<std::unique_ptr<PerCorePolicy>> MakeFifo(const PolicyContext& context) {
  return std::make_unique<fifo::FifoPolicy>(context.topology, context.nr_slots,
                                            fifo::ReadOptions(context.options));
}

absl::StatusOr<std::unique_ptr<CentralPolicy>> MakeCentralizedFifo(const PolicyContext& context) {
  return std::make_unique<fifo::CentralizedFifo>(context.topology, context.nr_slots,
                                                 fifo::ReadCentralizedOptions(context.options));
}

absl::StatusOr<std::unique_ptr<CentralPolicy>> MakeShinjuku(const PolicyContext& context) {
  return std::make_unique<shinjuku::ShinjukuPolicy>(
      context.topology, context.nr_slots, shinjuku::ReadOptions(context.options), context.hints);
}

absl::StatusOr<std::unique_ptr<CentralPolicy>> MakeSearch(const PolicyContext& context) {
  return std::make_unique<search::SearchPolicy>(context.topology, context.nr_slots,
                                                search::ReadOptions(context.options));
}

absl::StatusOr<std::unique_ptr<CentralPolicy>> MakeSnap(const PolicyContext& context) {
  return std::make_unique<snap::SnapPolicy>(context.topology, context.nr_slots,
                                            snap::ReadOptions(context.options));
}

}  // namespace

absl::Span<const PolicyInfo> ShippedPolicies() {
  static const PolicyInfo kPolicies[] = {
      {.name = "secure_vm",
       .summary = "one trust domain per physical core at a time; domains take turns",
       .options = secure_vm::OptionTable(),
       .promises = true,
       .make_per_core = MakeSecureVm},
      {.name = "fifo",
       .summary = "first in, first out on each core, with a slice",
       .options = fifo::OptionTable(),
       .make_per_core = MakeFifo},
      {.name = "fifo_centralized",
       .summary = "first in, first out for all CPUs, with a slice; one CPU is its agent's",
       .options = fifo::CentralizedOptionTable(),
       .make_central = MakeCentralizedFifo},
      {.name = "shinjuku",
       .summary = "short requests do not wait for long ones, and batch tasks get what is left; one "
                  "CPU is its agent's",
       .options = shinjuku::OptionTable(),
       .make_central = MakeShinjuku},
      {.name = "search",
       .summary = "whoever had least runtime first, near to its caches; one CPU is its agent's",
       .options = search::OptionTable(),
       .make_central = MakeSearch},
      {.name = "snap",
       .summary =
           "workers before batch tasks, moved when their CPU is taken; one CPU is its agent's",
       .options = snap::OptionTable(),
       .make_central = MakeSnap},
  };
  return kPolicies;
}

}  // namespace corral
