// SPDX-License-Identifier: Apache-2.0
// usage: report_pages DIR. Writes there the pages of three made-up hosts (small.html, middle.html,
// large.html) and samples of the last hour (samples.ring), for tests of what a person sees.
#include <fstream>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/report/page.h"
#include "agent/report/ring.h"
#include "tests/report/made_samples.h"

namespace corral::report {
namespace {

struct Made {
  const char* name;
  MadeHost host;
};

absl::Status Write(const std::string& dir) {
  for (const Made& made :
       {Made{"small", {.cpus = 8, .domains = 4}}, Made{"middle", {.cpus = 112, .domains = 60}},
        Made{"large", {.cpus = 256, .domains = 200}}}) {
    const absl::StatusOr<Summary> summary = Summarize(MadeSamples(made.host, 90));
    if (!summary.ok()) return summary.status();
    std::ofstream(absl::StrCat(dir, "/", made.name, ".html"))
        << Page(*summary, {.subject = made.name, .zone = absl::UTCTimeZone()});
  }
  absl::StatusOr<RingWriter> ring = RingWriter::Replace(absl::StrCat(dir, "/", kRingName));
  if (!ring.ok()) return ring.status();
  const MadeHost host{.begin = absl::Now() - absl::Minutes(59)};
  for (int i = 0; i < 350; ++i) {
    if (absl::Status status = ring->Append(MadeSample(host, i)); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace corral::report

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: report_pages DIR\n";
    return 2;
  }
  const absl::Status status = corral::report::Write(argv[1]);
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 1;
}
