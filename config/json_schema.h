// SPDX-License-Identifier: Apache-2.0
// The JSON Schema (draft 2020-12) of corral.yaml, from the tables of keys and options. Editors
// complete and check the file by it.
//
// It says the same as the parser, with four exceptions, which no schema can say: names that are
// there twice, enclaves that collide (CPUs, `cpus: auto`, two that hold VMs), cpulists that run
// backwards, and the bounds of times. There the parser is stricter. Immutable; any thread.
#ifndef CORRAL_CONFIG_JSON_SCHEMA_H_
#define CORRAL_CONFIG_JSON_SCHEMA_H_

#include <nlohmann/json.hpp>

#include "absl/types/span.h"
#include "config/config.h"

namespace corral {

enum class SchemaOf {
  kFile,    // corral.yaml without drop-ins
  kDropIn,  // a part of the whole: what depends on other keys is not asked for
};

nlohmann::ordered_json ConfigSchema(SchemaOf what, absl::Span<const PolicyOptions> policies);

}  // namespace corral

#endif  // CORRAL_CONFIG_JSON_SCHEMA_H_
