// SPDX-License-Identifier: Apache-2.0
// Samples of hosts that do not exist: always the same, whatever machine this is. Tests only.
#ifndef CORRAL_TESTS_REPORT_MADE_SAMPLES_H_
#define CORRAL_TESTS_REPORT_MADE_SAMPLES_H_

#include <vector>

#include "agent/report/sample.h"

namespace corral::report {

// Hostile to HTML, to XML, to UTF-8 and to readers.
inline constexpr char kEvilName[] =
    "</title><script>alert(1)</script>\"'&\x01\xff\xe2\x80\xae"
    "evil";
inline constexpr char kBusyName[] = "busy";

struct MadeHost {
  int cpus = 8;  // two to a core, 64 to a node
  int domains = 4;
  absl::Time begin = absl::FromUnixSeconds(1'800'000'000);
  Duration interval = std::chrono::seconds(10);
};

// The `index`-th sample. kBusyName misses some of its budget in samples 20 to 29; core 1 has a
// breach in sample 40; agents stall in 50 and 51; corrald tells that the class was lost in 60, and
// the class is out of charge then. kEvilName is the second domain.
Sample MadeSample(const MadeHost& host, int index);
std::vector<Sample> MadeSamples(const MadeHost& host, int count);

}  // namespace corral::report

#endif  // CORRAL_TESTS_REPORT_MADE_SAMPLES_H_
