// SPDX-License-Identifier: Apache-2.0
// For class_loader.cc in a build for tests: puts the bug that the environment's CORRAL_SEEDED_FAULT
// names into the class. Without the variable the class is the product's.
#ifndef CORRAL_TESTS_FAULTS_SEED_FAULT_H_
#define CORRAL_TESTS_FAULTS_SEED_FAULT_H_

#include <bpf/libbpf.h>

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ghost.skel.h"
#include "kernel/bpf/seeded_fault.h"

namespace corral {

struct SeededFault {
  std::string_view name;
  corral_seeded_fault fault;
};
inline constexpr SeededFault kSeededFaults[] = {
    {"gate_off", CORRAL_FAULT_GATE_OFF},
    {"release_in_stopping", CORRAL_FAULT_RELEASE_IN_STOPPING},
    {"local_on_insert", CORRAL_FAULT_LOCAL_ON_INSERT},
    {"running_ungated", CORRAL_FAULT_RUNNING_UNGATED},
    {"strangers_ungated", CORRAL_FAULT_STRANGERS_UNGATED},
    {"default_select_cpu", CORRAL_FAULT_DEFAULT_SELECT_CPU},
    {"no_enq_exiting", CORRAL_FAULT_NO_ENQ_EXITING},
    {"no_enq_last", CORRAL_FAULT_NO_ENQ_LAST},
    {"no_enq_migration_disabled", CORRAL_FAULT_NO_ENQ_MIGRATION_DISABLED},
};

// Before the load.
inline absl::Status SeedFault(const ghost& skeleton) {
  const char* const wanted = getenv("CORRAL_SEEDED_FAULT");
  if (wanted == nullptr) return absl::OkStatus();
  // As in the kernel's enum scx_ops_flags.
  constexpr uint64_t kEnqLast = 1 << 1, kEnqExiting = 1 << 2, kEnqMigrationDisabled = 1 << 4;
  for (const SeededFault& known : kSeededFaults) {
    if (known.name != wanted) continue;
    skeleton.rodata->seeded_fault = known.fault;
    auto& ops = *skeleton.struct_ops.corral_ops;
    if (known.fault == CORRAL_FAULT_NO_ENQ_EXITING) ops.flags &= ~kEnqExiting;
    if (known.fault == CORRAL_FAULT_NO_ENQ_LAST) ops.flags &= ~kEnqLast;
    if (known.fault == CORRAL_FAULT_NO_ENQ_MIGRATION_DISABLED) ops.flags &= ~kEnqMigrationDisabled;
    if (known.fault == CORRAL_FAULT_DEFAULT_SELECT_CPU) {
      bpf_program__set_autoload(ops.select_cpu, false);
      ops.select_cpu = nullptr;
    }
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("there is no seeded fault \"", wanted, "\""));
}

}  // namespace corral

#endif  // CORRAL_TESTS_FAULTS_SEED_FAULT_H_
