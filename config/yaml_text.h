// SPDX-License-Identifier: Apache-2.0
// From a path to a YAML document: reads the file, refuses what is no YAML text, and keeps
// yaml-cpp's exceptions in.
//
// Any thread. A file of up to 256 KiB, with one document.
#ifndef CORRAL_CONFIG_YAML_TEXT_H_
#define CORRAL_CONFIG_YAML_TEXT_H_

#include <yaml-cpp/yaml.h>

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "config/error_list.h"

namespace corral {

// NotFound with the reason and `advice` when it is no file that can be read.
absl::StatusOr<std::string> ReadYamlFile(const std::string& file, absl::string_view advice);

// Hands the document over. What is wrong with the text goes into `errors`; `what` is what the text
// should have been, such as "a corral.yaml".
void ParseYaml(const std::string& text, absl::string_view what, ErrorList& errors,
               absl::FunctionRef<void(const YAML::Node&)> read);

}  // namespace corral

#endif  // CORRAL_CONFIG_YAML_TEXT_H_
