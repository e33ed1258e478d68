// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/trace_command.h"

#include <iostream>
#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "agent/trace/perfetto.h"
#include "kernel/atomic_file.h"
#include "kernel/bpf/bpf_control_kernel.h"

namespace corral::ctl {
namespace {

// Rings of busy CPUs are full in some tens of milliseconds.
constexpr std::chrono::milliseconds kLook{5};
// All are in memory until the file is written, which has some 200 bytes for each.
constexpr size_t kMostEvents = 1'000'000;

struct Options {
  std::string output;
  double seconds = 0;
};

int RunTrace(const Options& options) {
  const absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = BpfControlKernel::Open();
  if (!kernel.ok()) return Fail(kernel.status());
  TraceRings rings(**kernel);
  std::vector<TraceEvent> events = rings.Read();
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(options.seconds);
  while (std::chrono::steady_clock::now() < end && events.size() < kMostEvents) {
    std::this_thread::sleep_for(kLook);
    const std::vector<TraceEvent> more = rings.Read();
    events.insert(events.end(), more.begin(), more.end());
  }
  TraceNames names(**kernel, [](pid_t tid) { return CommOf(tid); });
  const absl::Status written =
      ReplaceFile(options.output, PerfettoOf(**kernel, events, rings.lost(), names));
  if (!written.ok()) return Fail(written);
  std::cout << options.output << ": " << events.size() << " events";
  if (!events.empty()) {
    const auto span = std::chrono::duration<double>(events.back().at - events.front().at);
    std::cout << " of the last " << span.count() << " s";
  }
  if (events.size() >= kMostEvents) std::cout << "; it ended early, with as many as it takes";
  if (rings.lost() > 0) std::cout << "; " << rings.lost() << " came too fast to be read";
  std::cout << "\nOpen it in ui.perfetto.dev or chrome://tracing; it stays on your machine.\n";
  return kOk;
}

}  // namespace

void AddTraceCommand(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand(
      "trace", "Write who ran where, and what class and agents told each other, for Perfetto");
  const auto options = std::make_shared<Options>();
  command->add_option("--output", options->output, "The file to make or replace")
      ->type_name("FILE")
      ->required();
  command
      ->add_option("--seconds", options->seconds,
                   "Go on for so long; without it, what the class remembers")
      ->check(CLI::Range(0.0, 3600.0));
  command->footer("Example: corralctl trace --output /tmp/corral.json\n");
  command->callback([&action, options] { action = [options] { return RunTrace(*options); }; });
}

}  // namespace corral::ctl
