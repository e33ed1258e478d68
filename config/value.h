// SPDX-License-Identifier: Apache-2.0
// Is a text a value of a key? And a value of the kinds that are more than words, as a value.
//
// json_schema.cc says the same as patterns; tests/config/schema holds one against the other. Plain
// functions, any thread.
#ifndef CORRAL_CONFIG_VALUE_H_
#define CORRAL_CONFIG_VALUE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "config/keys.h"

namespace corral {

// InvalidArgument: what is wrong and what would be right. `label` is the key as it stands in the
// message, `quoted` whether the text stands in quotation marks, which makes YAML's numbers and
// switches plain text. kPolicy, kOptions and kMap need more than the text: of those nothing is
// checked.
absl::Status CheckValue(const KeySpec& spec, absl::string_view label, const std::string& text,
                        bool quoted);

// Of a kCgroup: below the cgroup file system, without a slash at its beginning.
std::string CgroupPath(absl::string_view text);

}  // namespace corral

#endif  // CORRAL_CONFIG_VALUE_H_
