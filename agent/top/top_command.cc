// SPDX-License-Identifier: Apache-2.0
#include "agent/top/top_command.h"

#include <iostream>
#include <memory>
#include <thread>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "agent/top/model.h"
#include "agent/top/screen.h"
#include "kernel/bpf/bpf_control_kernel.h"

namespace corral::ctl {
namespace {

struct Options {
  int interval_ms = 100;
  bool once = false;
};

// The class, also one that is loaded anew while somebody looks.
class Watched {
 public:
  absl::StatusOr<top::Page> Look() {
    if (kernel_ != nullptr && kernel_->info().enabled == 0) Forget();
    if (kernel_ == nullptr) {
      absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = BpfControlKernel::Open();
      if (!kernel.ok()) return kernel.status();
      kernel_ = *std::move(kernel);
      model_ = std::make_unique<top::Model>(*kernel_);
    }
    model_->Look();
    return model_->Show();
  }

 private:
  void Forget() {
    model_.reset();
    kernel_.reset();
  }

  std::unique_ptr<BpfControlKernel> kernel_;
  std::unique_ptr<top::Model> model_;
};

int RunOnce(Watched& watched, Duration interval) {
  absl::StatusOr<top::Page> page = watched.Look();
  for (Duration passed{0}; page.ok() && passed < top::Model::kWindow; passed += interval) {
    std::this_thread::sleep_for(interval);
    page = watched.Look();
  }
  if (!page.ok()) return Fail(page.status());
  // Every domain has its line.
  const int rows = top::kLeastRows + static_cast<int>(page->domains.size());
  const top::Canvas canvas =
      top::Draw(*page, {}, absl::FormatTime("%H:%M:%S", absl::Now(), absl::LocalTimeZone()), rows,
                top::kLeastColumns);
  for (int row = 0; row + 1 < rows; ++row) {
    if (const std::string line = canvas.Line(row); !line.empty()) std::cout << line << "\n";
  }
  return kOk;
}

int RunTop(const Options& options) {
  Watched watched;
  const Duration interval = std::chrono::milliseconds(options.interval_ms);
  if (options.once) return RunOnce(watched, interval);
  const absl::Status status = top::RunScreen([&watched] { return watched.Look(); }, interval);
  return status.ok() ? kOk : Fail(status);
}

}  // namespace

void AddTopCommand(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand(
      "top", "Watch which VM is on which sibling, and what each gets and waits for");
  const auto options = std::make_shared<Options>();
  command->add_option("--interval", options->interval_ms, "Milliseconds between two looks")
      ->check(CLI::Range(50, 60000))
      ->capture_default_str();
  command->add_flag("--once", options->once, "Print one page, of two seconds, and end");
  command->footer("Example: corralctl top --interval 500\n");
  command->callback([&action, options] { action = [options] { return RunTop(*options); }; });
}

}  // namespace corral::ctl
