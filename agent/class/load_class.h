// SPDX-License-Identifier: Apache-2.0
// Loads the class for the machine that this runs on: its cores and nodes as hwloc knows them.
#ifndef CORRAL_AGENT_CLASS_LOAD_CLASS_H_
#define CORRAL_AGENT_CLASS_LOAD_CLASS_H_

#include "absl/status/status.h"
#include "kernel/bpf/class_loader.h"

namespace corral {

// Errors: those of LoadClass(), or the topology cannot be read.
absl::Status LoadClassHere(const ClassSizes& sizes = {});
// Those of PreparedClass::Make(), likewise.
absl::StatusOr<PreparedClass> PrepareClassHere(const ClassSizes& sizes);

}  // namespace corral

#endif  // CORRAL_AGENT_CLASS_LOAD_CLASS_H_
