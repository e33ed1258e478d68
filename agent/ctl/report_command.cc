// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/report_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/report/page.h"
#include "agent/report/ring.h"
#include "agent/runtime/options.h"
#include "kernel/atomic_file.h"

namespace corral::ctl {
namespace {

struct Options {
  std::string last = "1h";
  std::string output = "report.html";
  std::string samples = absl::StrCat(report::kStateDir, "/", report::kRingName);
};

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "this host";
}

// There are samples, but all of them are older.
absl::Status NothingSince(const std::string& file, absl::Time since) {
  const absl::StatusOr<report::RingContents> all = report::ReadRing(file);
  const std::string begin = absl::StrCat(file, " has no sample since ",
                                         absl::FormatTime("%F %T", since, absl::LocalTimeZone()));
  if (!all.ok() || all->samples.empty()) {
    return absl::NotFoundError(absl::StrCat(
        begin, ", nor any before; corrald records them while it enforces: wait a minute"));
  }
  return absl::NotFoundError(
      absl::StrCat(begin, "; the newest is of ",
                   absl::FormatTime("%F %T", all->samples.back().at, absl::LocalTimeZone()),
                   ": ask for more with --last, up to 24h"));
}

absl::StatusOr<std::string> Make(const Options& options) {
  const absl::StatusOr<Duration> last = ParseDuration(options.last);
  if (!last.ok() || *last <= Duration(0))
    return absl::InvalidArgumentError(
        absl::StrCat("--last ", options.last, " is not a time up to 24h; write for example 1h"));
  const absl::Time since = absl::Now() - absl::FromChrono(*last);
  const absl::StatusOr<report::RingContents> ring = report::ReadRing(options.samples, since);
  if (!ring.ok()) return ring.status();
  if (ring->samples.empty()) return NothingSince(options.samples, since);
  const absl::StatusOr<report::Summary> summary = report::Summarize(ring->samples);
  if (!summary.ok()) return summary.status();
  return report::Page(
      *summary,
      {.subject = HostName(), .zone = absl::LocalTimeZone(), .damaged_samples = ring->damaged});
}

int RunReport(const Options& options) {
  const absl::StatusOr<std::string> page = Make(options);
  if (!page.ok()) return Fail(page.status());
  if (options.output == "-") {
    std::cout << *page << std::flush;
    return kOk;
  }
  if (const absl::Status status = ReplaceFile(options.output, *page); !status.ok())
    return Fail(status);
  std::cout << "wrote " << options.output << "\n";
  return kOk;
}

}  // namespace

void AddReportCommand(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("report", "What the last hours came to, as a page of HTML");
  const auto options = std::make_shared<Options>();
  command->add_option("--last", options->last, "How much time, up to 24h")->capture_default_str();
  command->add_option("-o,--output", options->output, "The file to make or replace; - for stdout")
      ->type_name("FILE")
      ->capture_default_str();
  command->add_option("--samples", options->samples, "What corrald has recorded")
      ->type_name("FILE")
      ->capture_default_str();
  command->footer("Example: corralctl report --last 8h -o report.html\n");
  command->callback([&action, options] { action = [options] { return RunReport(*options); }; });
}

}  // namespace corral::ctl
