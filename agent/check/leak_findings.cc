// SPDX-License-Identifier: Apache-2.0
// What leaks from one VM into another by other ways than siblings of a core: buffers that are not
// cleared when a CPU goes from one VM to the next, and memory that they share.
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "agent/check/host_findings.h"

namespace corral {
namespace {

constexpr char kDir[] = "/sys/devices/system/cpu/vulnerabilities";

// A guest can use each of these against the next guest on its CPU, or against the host.
constexpr absl::string_view kVulnerabilities[] = {"l1tf",
                                                  "mds",
                                                  "tsx_async_abort",
                                                  "mmio_stale_data",
                                                  "srbds",
                                                  "gather_data_sampling",
                                                  "reg_file_data_sampling",
                                                  "tsa",
                                                  "vmscape",
                                                  "spectre_v2",
                                                  "retbleed",
                                                  "spec_rstack_overflow",
                                                  "indirect_target_selection"};

constexpr absl::string_view kRemedy =
    "take mitigations=off and its like off the kernel's command line, and update the CPU's "
    "microcode";

// Whether the kernel leaves something open that Corral does not close. "SMT vulnerable" is what
// Corral does close.
bool LeavesOpen(absl::string_view text) {
  const std::string rest = absl::StrReplaceAll(
      absl::AsciiStrToLower(text), {{"smt vulnerable", ""}, {"smt host state unknown", ""}});
  return absl::StrContains(rest, "vulnerable") || absl::StrContains(rest, "unknown") ||
         absl::StrContains(rest, "no microcode") || absl::StrContains(rest, "ibpb: disabled");
}

void CheckVulnerability(const HostTree& tree, absl::string_view name, Findings& findings) {
  const std::string id = absl::StrCat("mitigation.", name);
  const absl::StatusOr<std::string> text = tree.Text(absl::StrCat(kDir, "/", name));
  if (!text.ok()) {
    Add(findings, Level::kWarn, id,
        absl::StrCat("the kernel does not tell: ", text.status().message()),
        "boot a kernel that knows of it");
  } else if (absl::StartsWith(*text, "Not affected")) {
    Add(findings, Level::kOk, id, *text);
  } else if (LeavesOpen(*text)) {
    Add(findings, Level::kWarn, id, absl::StrCat(*text, ": a VM may read what the last one left"),
        kRemedy);
  } else if (absl::StartsWith(*text, "Mitigation")) {
    Add(findings, Level::kOk, id, *text);
  } else {
    Add(findings, Level::kWarn, id, absl::StrCat("the kernel says \"", *text, "\": not judged"),
        kRemedy);
  }
}

void CheckL1dFlush(const HostTree& tree, Findings& findings) {
  constexpr absl::string_view kId = "mitigation.vmentry_l1d_flush";
  const absl::StatusOr<std::string> flush =
      tree.Text("/sys/module/kvm_intel/parameters/vmentry_l1d_flush");
  const std::string l1tf = tree.Text(absl::StrCat(kDir, "/l1tf")).value_or("");
  if (absl::IsNotFound(flush.status())) {
    Add(findings, Level::kOk, kId, "kvm_intel is not loaded");
  } else if (!flush.ok()) {
    Add(findings, Level::kWarn, kId, flush.status().message());
  } else if (*flush == "not required" || absl::StartsWith(l1tf, "Not affected")) {
    Add(findings, Level::kOk, kId, absl::StrCat(*flush, ": the CPU needs none"));
  } else if (*flush == "cond" || *flush == "always" || *flush == "auto" ||
             *flush == "EPT disabled") {
    Add(findings, Level::kOk, kId, *flush);
  } else {
    Add(findings, Level::kWarn, kId,
        absl::StrCat("KVM's L1D flush is \"", *flush, "\": a VM may read what the last one left"),
        "load kvm_intel with vmentry_l1d_flush=cond, or take l1tf=off and kvm-intel.vmentry_l1d_"
        "flush=never off the kernel's command line");
  }
}

void CheckKsm(const HostTree& tree, Findings& findings) {
  const absl::StatusOr<std::string> run = tree.Text("/sys/kernel/mm/ksm/run");
  const std::string shared = tree.Text("/sys/kernel/mm/ksm/pages_shared").value_or("0");
  constexpr absl::string_view kRemedyKsm =
      "systemctl disable --now ksm ksmtuned; echo 2 > /sys/kernel/mm/ksm/run";
  if (absl::IsNotFound(run.status())) {
    Add(findings, Level::kOk, "memory.ksm", "the kernel has no KSM");
  } else if (!run.ok()) {
    Add(findings, Level::kWarn, "memory.ksm", run.status().message());
  } else if (*run == "1") {
    Add(findings, Level::kWarn, "memory.ksm",
        "KSM is running: VMs share pages, and can tell what others hold by the time of a write",
        kRemedyKsm);
  } else if (*run != "0" && *run != "2") {
    Add(findings, Level::kWarn, "memory.ksm",
        absl::StrCat("ksm/run says \"", *run, "\", which is not known"), kRemedyKsm);
  } else if (shared != "0") {
    Add(findings, Level::kWarn, "memory.ksm",
        absl::StrCat("KSM has stopped, but VMs still share ", shared, " pages"), kRemedyKsm);
  } else {
    Add(findings, Level::kOk, "memory.ksm", "KSM is not running");
  }
}

}  // namespace

void CheckLeaks(const HostTree& tree, Findings& findings) {
  for (const absl::string_view name : kVulnerabilities) CheckVulnerability(tree, name, findings);
  CheckL1dFlush(tree, findings);
  CheckKsm(tree, findings);
}

}  // namespace corral
