// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/status_command.h"

#include <unistd.h>

#include <iostream>
#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "agent/views/class_view.h"
#include "kernel/bpf/bpf_control_kernel.h"

namespace corral::ctl {
namespace {

constexpr int kCellWidth = 12;

std::string NameOf(const ClassView& view, uint32_t domain) {
  if (domain == GHOST_DOMAIN_HOST) return "-";
  if (domain == GHOST_DOMAIN_UNATTACHED) return "(none)";
  for (const DomainView& d : view.domains) {
    if (d.id == domain) return d.name;
  }
  return absl::StrCat("#", domain);
}

void PrintStatus(const ClassView& view) {
  std::cout << "class: loaded, in charge" << (view.whole_host ? " of the host's threads too" : "")
            << "; switch-ins that isolation forbids: " << BreachesOf(view) << "\n\n";
  std::cout << absl::StrFormat("%-15s %-16s %6s %-18s %-12s %s\n", "ENCLAVE", "CPUS", "CORES",
                               "AGENTS", "POLICY", "TENURE");
  for (const EnclaveView& e : view.enclaves) {
    const std::string agents =
        e.agents == 0 ? "none: class alone"
                      : absl::StrCat(e.agents, " of ", e.cores, e.stalled ? ", stalled" : "");
    std::cout << absl::StrFormat(
        "%-15s %-16s %6d %-18s %-12s %d ms\n", e.name, e.cpus.Format(), e.cores, agents,
        e.policy.empty() ? "-" : e.policy,
        std::chrono::duration_cast<std::chrono::milliseconds>(e.tenure).count());
  }
  if (view.enclaves.empty()) std::cout << "(none: start corrald with mode: enforce)\n";
  std::cout << absl::StrFormat("\n%-24s %-15s %5s %7s %7s %10s\n", "DOMAIN", "ENCLAVE", "VCPUS",
                               "RUNNING", "WAITING", "CPU TIME");
  for (const DomainView& d : view.domains) {
    std::cout << absl::StrFormat("%-24.24s %-15s %5d %7d %7d %9.1fs\n", d.name,
                                 NameOfEnclave(view, d.enclave), d.vcpus, d.running, d.waiting,
                                 std::chrono::duration<double>(d.runtime).count());
  }
  if (view.domains.empty()) std::cout << "(none)\n";
}

void PrintCores(const ClassView& view) {
  std::cout << absl::StrFormat("%-4s %-4s %-10s %-7s %9s %9s  %s\n", "CORE", "NODE", "ENCLAVE",
                               "AGENT", "BY AGENT", "BY CLASS", "SIBLINGS");
  for (const CoreView& core : view.cores) {
    std::string cells;
    for (const SiblingView& s : core.siblings) {
      const std::string what = s.domain != GHOST_DOMAIN_HOST ? NameOf(view, s.domain)
                               : s.waits                     ? "forced idle"
                                                             : "-";
      absl::StrAppendFormat(&cells, "%3d:%-*.*s ", s.cpu, kCellWidth, kCellWidth, what);
    }
    std::cout << absl::StrFormat("%-4d %-4d %-10.10s %-7s %9d %9d  %s\n", core.id, core.node,
                                 NameOfEnclave(view, core.enclave),
                                 core.agent_tid == 0 ? "none" : absl::StrCat(core.agent_tid),
                                 core.counters.switches_agent, core.counters.switches_class, cells);
  }
}

// What the looks `between` apart saw; a CPU is whole in both, for cores are made once per load.
void PrintTicks(const ClassView& before, const ClassView& after, Duration between) {
  std::cout << absl::StrFormat("%-4s %-4s %-10s  %s\n", "CORE", "NODE", "ENCLAVE",
                               "CPU:TICKS A SECOND");
  const double seconds = std::chrono::duration<double>(between).count();
  for (size_t i = 0; i < after.cores.size(); ++i) {
    const CoreView& core = after.cores[i];
    std::string cells;
    for (size_t j = 0; j < core.siblings.size(); ++j) {
      const uint64_t ticks = core.siblings[j].ticks - before.cores[i].siblings[j].ticks;
      absl::StrAppendFormat(&cells, "%3d:%-8.1f ", core.siblings[j].cpu,
                            static_cast<double>(ticks) / seconds);
    }
    std::cout << absl::StrFormat("%-4d %-4d %-10.10s  %s\n", core.id, core.node,
                                 NameOfEnclave(after, core.enclave), cells);
  }
}

int RunStatus(bool json) {
  const absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = BpfControlKernel::Open();
  if (!kernel.ok()) return Fail(kernel.status());
  const ClassView view = ViewClass(**kernel);
  if (json) {
    std::cout << ToJson(view).dump(2) << "\n";
  } else {
    PrintStatus(view);
  }
  return kOk;
}

struct CoresOptions {
  bool json = false;
  bool watch = false;
  bool ticks = false;
  int interval_ms = 500;
  int count = 0;  // 0: for ever
};

int RunTicks(const ControlKernel& kernel, Duration interval) {
  const ClassView before = ViewClass(kernel);
  const Time began = kernel.Now();
  std::this_thread::sleep_for(interval);
  const ClassView after = ViewClass(kernel);
  PrintTicks(before, after, kernel.Now() - began);
  return kOk;
}

int RunCores(const CoresOptions& options) {
  const absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = BpfControlKernel::Open();
  if (!kernel.ok()) return Fail(kernel.status());
  if (options.ticks) return RunTicks(**kernel, std::chrono::milliseconds(options.interval_ms));
  for (int i = 0; options.watch ? options.count == 0 || i < options.count : i < 1; ++i) {
    if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds(options.interval_ms));
    const ClassView view = ViewClass(**kernel);
    if (options.json) {
      std::cout << ToJson(view)["cores"].dump() << "\n" << std::flush;
      continue;
    }
    if (options.watch && isatty(STDOUT_FILENO)) std::cout << "\033[H\033[2J";
    PrintCores(view);
    std::cout << std::flush;
  }
  return kOk;
}

}  // namespace

void AddStatusCommand(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("status", "Is the class in charge, who decides, which VMs are in it");
  const auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "Machine-readable");
  command->footer("Example: corralctl status\n");
  command->callback([&action, json] { action = [json] { return RunStatus(*json); }; });
}

void AddCoresCommand(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("cores", "Which domain is on which sibling of which core, now");
  const auto options = std::make_shared<CoresOptions>();
  command->add_flag("--json", options->json, "Machine-readable, a line per look");
  command->add_flag("--watch", options->watch, "Look again and again");
  command
      ->add_flag(
          "--ticks", options->ticks,
          "How many timer ticks a second interrupt VMs: none on nohz_full CPUs, or nearly so")
      ->excludes("--watch")
      ->excludes("--json");
  command->add_option("--interval", options->interval_ms, "Milliseconds between two looks")
      ->check(CLI::Range(50, 60000));
  command->add_option("--count", options->count, "How many looks; 0 is for ever")
      ->check(CLI::NonNegativeNumber);
  command->footer("Example: corralctl cores --watch --interval 1000\n");
  command->callback([&action, options] { action = [options] { return RunCores(*options); }; });
}

}  // namespace corral::ctl
