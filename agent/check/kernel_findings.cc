// SPDX-License-Identifier: Apache-2.0
#include "agent/check/kernel_findings.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/check/decompress.h"
#include "agent/check/kernel_btf.h"
#include "agent/check/kernel_image.h"
#include "kernel/bpf/sched_ext_state.h"

namespace corral {
namespace {

constexpr size_t kMaxBtf = 256 * 1024 * 1024;
constexpr size_t kMaxConfig = 4 * 1024 * 1024;

// Only those on which the whole suite ran.
constexpr absl::string_view kTestedVersions[] = {"7.3.4"};

constexpr absl::string_view kBootAnother =
    "boot another kernel; find one with: corralctl check --kernel VERSION";

struct ConfigBit {
  absl::string_view name;
  absl::string_view why;
};
constexpr ConfigBit kNeededBits[] = {
    {"CONFIG_SCHED_CLASS_EXT", "the class is a sched_ext scheduler"},
    {"CONFIG_BPF_SYSCALL", "the class is a BPF program"},
    {"CONFIG_BPF_JIT", "sched_ext needs it"},
    {"CONFIG_DEBUG_INFO_BTF", "the class is fitted to the kernel by its BTF"},
};

// "7.2.13" of "7.2.13+deb14-amd64".
absl::string_view VersionOf(absl::string_view release) {
  return release.substr(0, release.find_first_not_of("0123456789."));
}

void JudgeRelease(absl::string_view release, Findings& findings) {
  const absl::string_view version = VersionOf(release);
  const std::string tested = absl::StrJoin(kTestedVersions, ", ");
  if (release.empty()) {
    Add(findings, Level::kWarn, "kernel.tested",
        absl::StrCat("the kernel's version is not known; the tests ran on ", tested));
  } else if (std::find(std::begin(kTestedVersions), std::end(kTestedVersions), version) !=
             std::end(kTestedVersions)) {
    Add(findings, Level::kOk, "kernel.tested", absl::StrCat("the tests ran on ", version));
  } else {
    Add(findings, Level::kWarn, "kernel.tested",
        absl::StrCat("this is ", release, "; the tests ran on ", tested),
        "try it on a host that may fail first, and watch corralctl audit there");
  }
}

void JudgeBtfBytes(absl::string_view btf, Findings& findings) {
  const absl::StatusOr<BtfVerdict> verdict = JudgeBtf(btf, NeededKfuncs());
  if (!verdict.ok()) {
    Add(findings, Level::kFail, "kernel.btf",
        absl::StrCat("the kernel's BTF cannot be read: ", verdict.status().message()),
        kBootAnother);
    return;
  }
  Add(findings, Level::kOk, "kernel.btf", absl::StrCat("BTF of ", btf.size(), " bytes"));
  if (!verdict->has_sched_ext) {
    Add(findings, Level::kFail, "kernel.sched_ext",
        "the kernel has no sched_ext (CONFIG_SCHED_CLASS_EXT)", kBootAnother);
    return;
  }
  Add(findings, Level::kOk, "kernel.sched_ext", "the kernel has sched_ext");
  if (verdict->absent.empty() && verdict->untagged.empty()) {
    Add(findings, Level::kOk, "kernel.kfuncs",
        absl::StrCat("all ", NeededKfuncs().size(), " functions that the class calls are there"));
    return;
  }
  std::vector<std::string> lacks;
  if (!verdict->absent.empty())
    lacks.push_back(absl::StrCat("it has no ", absl::StrJoin(verdict->absent, ", ")));
  if (!verdict->untagged.empty()) {
    lacks.push_back(absl::StrCat("its BTF does not tag as callable (a pahole too old built it): ",
                                 absl::StrJoin(verdict->untagged, ", ")));
  }
  Add(findings, Level::kFail, "kernel.kfuncs",
      absl::StrCat("the class cannot be loaded: ", absl::StrJoin(lacks, "; ")), kBootAnother);
}

void JudgeConfig(absl::string_view text, absl::string_view from, Findings& findings) {
  std::set<absl::string_view> set;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::EndsWith(line, "=y")) set.insert(absl::StripSuffix(line, "=y"));
  }
  if (set.empty()) {
    Add(findings, Level::kWarn, "kernel.config",
        absl::StrCat(from, " is no kernel configuration: not judged by it"));
    return;
  }
  std::vector<std::string> lacks;
  for (const ConfigBit& bit : kNeededBits) {
    if (set.count(bit.name) == 0) lacks.push_back(absl::StrCat(bit.name, " (", bit.why, ")"));
  }
  if (lacks.empty()) {
    Add(findings, Level::kOk, "kernel.config", absl::StrCat("every option needed is in ", from));
  } else {
    Add(findings, Level::kFail, "kernel.config",
        absl::StrCat(from, " lacks ", absl::StrJoin(lacks, ", ")), kBootAnother);
  }
}

// The first of these files that is there.
void JudgeConfigOf(const std::vector<std::string>& paths, Findings& findings) {
  for (const std::string& path : paths) {
    absl::StatusOr<std::string> text = ReadWholeFile(path, kMaxConfig);
    if (absl::IsNotFound(text.status())) continue;
    if (text.ok() && absl::EndsWith(path, ".gz")) text = Decompress(*text, kMaxConfig);
    if (text.ok()) return JudgeConfig(*text, path, findings);
    Add(findings, Level::kWarn, "kernel.config",
        absl::StrCat(path, " cannot be read: ", text.status().message()));
    return;
  }
  Add(findings, Level::kWarn, "kernel.config",
      "the kernel's configuration is not to be found: not judged by it");
}

std::vector<std::string> ConfigsOfVersion(const HostTree& tree, absl::string_view version) {
  return {tree.Path(absl::StrCat("/boot/config-", version)),
          tree.Path(absl::StrCat("/usr/lib/modules/", version, "/config")),
          tree.Path(absl::StrCat("/lib/modules/", version, "/config"))};
}

// Debian's /boot/vmlinuz-VERSION has config-VERSION beside it; a folder of its own has config.
std::vector<std::string> ConfigsBeside(const std::string& image) {
  const std::filesystem::path path(image);
  const std::string name = path.filename();
  const size_t dash = name.find('-');
  std::vector<std::string> configs;
  if (dash != std::string::npos)
    configs.push_back(path.parent_path() / absl::StrCat("config", name.substr(dash)));
  configs.push_back(path.parent_path() / "config");
  return configs;
}

void JudgeScheduler(const SchedExtState& state, Findings& findings) {
  if (state.Disabled()) {
    Add(findings, Level::kOk, "kernel.scheduler", "no sched_ext scheduler is loaded");
  } else if (state.Ours()) {
    Add(findings, Level::kOk, "kernel.scheduler",
        absl::StrCat("Corral's class is loaded (", state.state, ")"));
  } else {
    Add(findings, Level::kFail, "kernel.scheduler",
        absl::StrCat("another sched_ext scheduler is loaded (", state.scheduler, ", ", state.state,
                     "), and the kernel takes one only"),
        "stop it, and keep it from starting at boot");
  }
}

KernelFindings CheckImage(const std::string& path, const std::vector<std::string>& configs) {
  KernelFindings kernel;
  const absl::StatusOr<KernelImage> image = ReadKernelImage(path);
  if (absl::IsNotFound(image.status()) && std::filesystem::exists(path)) {
    Add(kernel.findings, Level::kFail, "kernel.btf",
        absl::StrCat(path, ": ", image.status().message()), kBootAnother);
  } else if (!image.ok()) {
    Add(kernel.findings, Level::kFail, "kernel.image",
        absl::StrCat(path, ": ", image.status().message()), "install the kernel again");
    return kernel;
  } else {
    kernel.release = image->release;
    Add(kernel.findings, Level::kOk, "kernel.image",
        absl::StrCat(path, kernel.release.empty() ? "" : absl::StrCat(" is ", kernel.release)));
    JudgeBtfBytes(image->btf, kernel.findings);
  }
  JudgeConfigOf(configs, kernel.findings);
  JudgeRelease(kernel.release, kernel.findings);
  return kernel;
}

std::vector<std::string> InstalledVersions(const HostTree& tree) {
  std::vector<std::string> versions = tree.Names("/usr/lib/modules");
  for (const std::string& name : tree.Names("/boot")) {
    absl::string_view version = name;
    if (absl::ConsumePrefix(&version, "vmlinuz-")) versions.emplace_back(version);
  }
  std::sort(versions.begin(), versions.end());
  versions.erase(std::unique(versions.begin(), versions.end()), versions.end());
  return versions;
}

}  // namespace

KernelFindings CheckRunningKernel(const HostTree& tree) {
  KernelFindings kernel;
  kernel.release = tree.Text("/proc/sys/kernel/osrelease").value_or("");
  Findings& findings = kernel.findings;
  const SchedExtState state = ReadSchedExtState(tree.root());
  const absl::StatusOr<std::string> btf =
      ReadWholeFile(tree.Path("/sys/kernel/btf/vmlinux"), kMaxBtf);
  if (btf.ok()) {
    JudgeBtfBytes(*btf, findings);
  } else {
    Add(findings, Level::kFail, "kernel.btf",
        absl::StrCat("the kernel shows no BTF (CONFIG_DEBUG_INFO_BTF): ", btf.status().message()),
        kBootAnother);
  }
  const bool told = std::any_of(findings.begin(), findings.end(), [](const Finding& f) {
    return f.id == "kernel.sched_ext" && f.level == Level::kFail;
  });
  if (state.present) {
    JudgeScheduler(state, findings);
  } else if (!told) {
    Add(findings, Level::kFail, "kernel.scheduler",
        "there is no /sys/kernel/sched_ext: the kernel has no sched_ext, or /sys is not its own",
        kBootAnother);
  }
  std::vector<std::string> configs = ConfigsOfVersion(tree, kernel.release);
  configs.insert(configs.begin(), tree.Path("/proc/config.gz"));
  JudgeConfigOf(configs, findings);
  JudgeRelease(kernel.release, findings);
  return kernel;
}

KernelFindings CheckInstalledKernel(const HostTree& tree, absl::string_view version) {
  const bool is_name = !version.empty() && !absl::StrContains(version, "/") && version[0] != '.';
  for (const absl::string_view pattern : {"/boot/vmlinuz-$", "/usr/lib/modules/$/vmlinuz",
                                          "/usr/lib/modules/$/vmlinux", "/lib/modules/$/vmlinuz"}) {
    const std::string path = absl::StrReplaceAll(pattern, {{"$", version}});
    if (!is_name || !tree.Exists(path)) continue;
    return CheckImage(tree.Path(path), ConfigsOfVersion(tree, version));
  }
  KernelFindings kernel;
  const std::vector<std::string> installed = InstalledVersions(tree);
  Add(kernel.findings, Level::kFail, "kernel.image",
      absl::StrCat("no kernel ", version, " is in /boot or /usr/lib/modules"),
      absl::StrCat(
          "give another with --image FILE",
          installed.empty() ? "" : ", or --kernel with one of: ", absl::StrJoin(installed, ", ")));
  return kernel;
}

KernelFindings CheckKernelImage(const std::string& path) {
  return CheckImage(path, ConfigsBeside(path));
}

}  // namespace corral
