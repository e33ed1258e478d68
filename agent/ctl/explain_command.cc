// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/explain_command.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "agent/ctl/explain_output.h"
#include "agent/trace/thread_story.h"
#include "agent/views/wait_view.h"
#include "kernel/bpf/bpf_control_kernel.h"
#include "vmm-integration/libvirt_records.h"

namespace corral::ctl {
namespace {

constexpr std::chrono::milliseconds kLook{20};

struct Options {
  std::string domain;
  pid_t tid = 0;
  int seconds = 4;
  bool json = false;
};

absl::StatusOr<std::vector<VcpuWaits>> Watch(int seconds) {
  const absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = BpfControlKernel::Open();
  if (!kernel.ok()) return kernel.status();
  WaitWatch watch(**kernel);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (std::chrono::steady_clock::now() < end) {
    watch.Look();
    std::this_thread::sleep_for(kLook);
  }
  return watch.Result();
}

// A VM that libvirt knows, or a trust domain.
std::vector<VcpuWaits> VcpusOf(const std::string& name, const std::vector<VcpuWaits>& all) {
  pid_t process = 0;
  for (const PidRecord& record : PidRecords("")) {
    if (record.name == name) process = record.pid;
  }
  std::vector<VcpuWaits> its;
  std::copy_if(all.begin(), all.end(), std::back_inserter(its),
               [&](const VcpuWaits& v) { return process != 0 && v.tgid == process; });
  if (its.empty()) {
    std::copy_if(all.begin(), all.end(), std::back_inserter(its),
                 [&](const VcpuWaits& v) { return v.trust == name; });
  }
  std::stable_sort(its.begin(), its.end(),
                   [](const VcpuWaits& a, const VcpuWaits& b) { return a.vcpu < b.vcpu; });
  return its;
}

int ExplainThread(const Options& options) {
  const absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = BpfControlKernel::Open();
  if (!kernel.ok()) return Fail(kernel.status());
  TraceNames names(**kernel, [](pid_t tid) { return CommOf(tid); });
  const absl::StatusOr<ThreadStory> story =
      TellStory(**kernel, TraceRings(**kernel).Read(), options.tid, names);
  if (!story.ok()) return Fail(story.status());
  std::cout << (options.json ? ToJson(*story).dump(2) + "\n" : ExplainText(*story));
  return kOk;
}

int Explain(const Options& options) {
  if (options.tid != 0) return ExplainThread(options);
  if (options.domain.empty()) {
    return Fail(absl::InvalidArgumentError(
        "explain what? Name a VM or trust domain, or a thread with --tid"));
  }
  const absl::StatusOr<std::vector<VcpuWaits>> all = Watch(options.seconds);
  if (!all.ok()) return Fail(all.status());
  const std::vector<VcpuWaits> its = VcpusOf(options.domain, *all);
  if (its.empty()) {
    return Fail(absl::NotFoundError(
        absl::StrCat("no VM or trust domain called ", options.domain,
                     " has a vCPU in the class; corralctl domains lists those that do")));
  }
  if (options.json) {
    nlohmann::json vcpus = nlohmann::json::array();
    for (const VcpuWaits& vcpu : its) vcpus.push_back(ToJson(vcpu));
    std::cout << nlohmann::json({{"name", options.domain}, {"vcpus", vcpus}}).dump(2) << "\n";
  } else {
    std::cout << ExplainText(options.domain, its, *all);
  }
  return kOk;
}

int ShowCost(const Options& options) {
  const absl::StatusOr<std::vector<VcpuWaits>> all = Watch(options.seconds);
  if (!all.ok()) return Fail(all.status());
  const Cost cost = CostOf(*all);
  std::cout << (options.json ? ToJson(cost).dump(2) + "\n" : CostText(cost));
  return kOk;
}

void AddCommonOptions(CLI::App& command, Options& options) {
  command.add_option("--seconds", options.seconds, "How long to watch")
      ->check(CLI::Range(3, 3600))
      ->capture_default_str();
  command.add_flag("--json", options.json, "Machine-readable");
}

}  // namespace

void AddExplainCommand(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand(
      "explain", "Why the vCPUs of a VM or trust domain wait, or one thread does");
  const auto options = std::make_shared<Options>();
  CLI::Option* const domain = command->add_option("DOMAIN", options->domain, "Its name");
  command
      ->add_option("--tid", options->tid,
                   "One thread instead: why it lost its CPU, what is in its way")
      ->type_name("THREAD")
      ->check(CLI::Range(1, 1 << 30).description(""))
      ->excludes(domain);
  AddCommonOptions(*command, *options);
  command->footer("Example: corralctl explain web\n");
  command->callback([&action, options] { action = [options] { return Explain(*options); }; });
}

void AddCostCommand(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand(
      "cost", "What isolation costs each trust domain, and what merging two would save");
  const auto options = std::make_shared<Options>();
  AddCommonOptions(*command, *options);
  command->footer("Example: corralctl cost --seconds 60\n");
  command->callback([&action, options] { action = [options] { return ShowCost(*options); }; });
}

}  // namespace corral::ctl
