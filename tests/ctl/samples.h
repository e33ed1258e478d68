// SPDX-License-Identifier: Apache-2.0
// Samples of what corralctl prints as JSON, by the name of their schema. For output_samples alone.
#ifndef CORRAL_TESTS_CTL_SAMPLES_H_
#define CORRAL_TESTS_CTL_SAMPLES_H_

#include <nlohmann/json.hpp>

namespace corral::ctl {

// Of a simulated class; in a file of its own, because it cannot include what the kernel's headers
// define as well.
void AddSimulated(nlohmann::json& samples);

}  // namespace corral::ctl

#endif  // CORRAL_TESTS_CTL_SAMPLES_H_
