// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/domains_command.h"

#include <algorithm>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "agent/ctl/corral_yaml.h"
#include "agent/views/trust.h"
#include "kernel/bpf/bpf_control_kernel.h"

namespace corral::ctl {
namespace {

std::string Text(Duration time) { return absl::FormatDuration(absl::FromChrono(time)); }

std::string Share(Duration time, Duration period) {
  return time == Duration(0) ? "-" : absl::StrCat(Text(time), "/", Text(period));
}
std::string Share(const TimeShare& share) { return Share(share.time, share.period); }

bool IsProtected(const VmView& vm) {
  return std::all_of(vm.vcpus.begin(), vm.vcpus.end(),
                     [](const VcpuView& v) { return v.unprotected.empty(); });
}

// How many vCPUs have what they reserved, as "2/4".
std::string Promised(const VmView& vm) {
  const auto count = [&](auto has) { return std::count_if(vm.vcpus.begin(), vm.vcpus.end(), has); };
  const auto asked = count([](const VcpuView& v) { return v.attributes.budget > Duration(0); });
  const auto granted = count([](const VcpuView& v) { return v.granted > Duration(0); });
  return asked == 0 ? "-" : absl::StrCat(granted, "/", asked);
}

void AppendSetting(std::string& out, const char* what, const std::string& value, Origin origin) {
  absl::StrAppendFormat(&out, "  %-14s %-24s %s\n", what, value, NameOf(origin));
}

// What corral.yaml says about trust; a file that cannot be read is corrald's business.
TrustRules RulesOf(const std::string& file) {
  const absl::StatusOr<Config> config = LoadCorralYaml(file);
  if (!config.ok()) {
    std::cerr << "corralctl: without the trust_domains of corral.yaml: "
              << config.status().message() << "\n";
    return {};
  }
  return TrustRulesOf(*config);
}

struct Options {
  std::string vm;
  std::string config = kCorralYaml;
  bool json = false;
};

int Run(const Options& options) {
  const absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = BpfControlKernel::Open();
  if (!kernel.ok()) return Fail(kernel.status());
  VmsView view = ViewVms(**kernel, RulesOf(options.config));
  if (!options.vm.empty()) {
    std::erase_if(view.vms, [&](const VmView& vm) { return vm.name != options.vm; });
    if (view.vms.empty()) {
      return Fail(absl::NotFoundError(absl::StrCat(
          "no VM called ", options.vm, " runs here; corralctl domains lists those that do")));
    }
  }
  if (options.json) {
    std::cout << ToJson(view).dump(2) << "\n";
  } else if (options.vm.empty()) {
    std::cout << Table(view);
  } else {
    std::cout << Details(view.vms.front());
  }
  return kOk;
}

}  // namespace

std::string Table(const VmsView& view) {
  std::string out = absl::StrFormat("%-22s %5s %-11s %6s %-12s %8s %s\n", "VM", "VCPUS",
                                    "PROTECTED", "WEIGHT", "CAP", "PROMISED", "TRUST DOMAIN");
  for (const VmView& vm : view.vms) {
    const TaskAttributes& first = vm.vcpus.front().attributes;
    absl::StrAppendFormat(&out, "%-22.22s %5d %-11s %6d %-12.12s %8s %.10s\n", vm.name,
                          vm.vcpus.size(), IsProtected(vm) ? "yes" : "NO", first.weight,
                          Share(first.cap, first.cap_period), Promised(vm), vm.vcpus.front().trust);
  }
  if (view.vms.empty()) out += "(none)\n";
  for (const VmView& vm : view.vms) {
    for (const VcpuView& vcpu : vm.vcpus) {
      if (!vcpu.unprotected.empty())
        absl::StrAppend(&out, "UNPROTECTED: vCPU ", vcpu.vcpu, " of ", vm.name, ": ",
                        vcpu.unprotected, "\n");
      if (!vcpu.refused.empty())
        absl::StrAppend(&out, "refused: vCPU ", vcpu.vcpu, " of ", vm.name, ": ", vcpu.refused,
                        "\n");
    }
    for (const std::string& problem : vm.problems) absl::StrAppend(&out, problem, "\n");
  }
  for (const std::string& conflict : view.conflicts)
    absl::StrAppend(&out, "conflict: ", conflict, "\n");
  return out;
}

std::string Details(const VmView& vm) {
  std::string out = absl::StrCat(vm.name, vm.uuid.empty() ? "" : absl::StrCat(", ", vm.uuid),
                                 ", process ", vm.pid, "\n");
  if (vm.settings) {
    const VmSettings& s = *vm.settings;
    const Origin reserved = s.reservation.time > Duration(0) ? Origin::kMetadata : Origin::kDefault;
    absl::StrAppendFormat(&out, "\n  %-14s %-24s %s\n", "WANTED", "", "SAID BY");
    AppendSetting(out, "trust domain", s.trust.value.name, s.trust.origin);
    AppendSetting(out, "weight", absl::StrCat(s.weight.value), s.weight.origin);
    AppendSetting(out, "cap of a vCPU", Share(s.cap.value), s.cap.origin);
    AppendSetting(out, "cap of the VM", Share(s.vm_cap.value), s.vm_cap.origin);
    AppendSetting(out, "reservation", Share(s.reservation), reserved);
    for (const auto& [vcpu, share] : s.reservation_of)
      AppendSetting(out, absl::StrCat("  of vCPU ", vcpu).c_str(), Share(share), Origin::kMetadata);
    AppendSetting(out, "memory node", s.node.value < 0 ? "-" : absl::StrCat(s.node.value),
                  s.node.origin);
  }
  absl::StrAppendFormat(&out, "\n  %-5s %8s %4s %-12s %6s %-12s %-12s %s\n", "VCPU", "THREAD",
                        "CPU", "MAY USE", "WEIGHT", "CAP", "PROMISED", "TRUST");
  for (const VcpuView& v : vm.vcpus) {
    absl::StrAppendFormat(&out, "  %-5d %8d %4d %-12.12s %6d %-12.12s %-12.12s %.10s\n", v.vcpu,
                          v.tid, v.cpu, v.affinity.Format(), v.attributes.weight,
                          Share(v.attributes.cap, v.attributes.cap_period),
                          Share(v.granted, v.attributes.period), v.attached ? v.trust : "(none)");
    if (!v.unprotected.empty()) absl::StrAppend(&out, "        UNPROTECTED: ", v.unprotected, "\n");
    if (!v.refused.empty()) absl::StrAppend(&out, "        refused: ", v.refused, "\n");
  }
  if (vm.helpers > 0) absl::StrAppend(&out, "  and ", vm.helpers, " other threads in the class\n");
  for (const std::string& problem : vm.problems) absl::StrAppend(&out, problem, "\n");
  return out;
}

void AddDomainsCommand(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand(
      "domains", "The VMs: what was said of each, and where, and what they have");
  const auto options = std::make_shared<Options>();
  command->add_option("VM", options->vm, "Everything about this one");
  command->add_option("--config", options->config, "The corral.yaml with the rules of trust")
      ->type_name("FILE")
      ->capture_default_str();
  command->add_flag("--json", options->json, "Machine-readable");
  command->footer("Example: corralctl domains web\n");
  command->callback([&action, options] { action = [options] { return Run(*options); }; });
}

}  // namespace corral::ctl
