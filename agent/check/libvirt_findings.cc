// SPDX-License-Identifier: Apache-2.0
// How libvirt was set up: cookies that it gives VMs, and the hook by which it asks Corral.
#include <sys/stat.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/check/host_findings.h"

namespace corral {
namespace {

constexpr char kHook[] = "/etc/libvirt/hooks/qemu.d/corral";
// What the label says of hooks that libvirt's QEMU daemon may read, but not run, in policies like
// Fedora's (packaging/selinux/corral.cil).
constexpr char kTypeOfHooks[] = "virt_hook_t";

// The value of a setting in libvirt's files: name = "value", the last one counts.
std::string LibvirtSetting(absl::string_view text, absl::string_view name) {
  std::string value;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (!absl::ConsumePrefix(&line, name)) continue;
    line = absl::StripLeadingAsciiWhitespace(line);
    if (!absl::ConsumePrefix(&line, "=")) continue;
    line = absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
    absl::ConsumePrefix(&line, "\"");
    absl::ConsumeSuffix(&line, "\"");
    value = std::string(line);
  }
  return value;
}

void CheckCookies(const HostTree& tree, Findings& findings) {
  constexpr absl::string_view kId = "libvirt.sched_core";
  const absl::StatusOr<std::string> value = SchedCore(tree);
  if (absl::IsNotFound(value.status())) {
    Add(findings, Level::kOk, kId, "there is no /etc/libvirt/qemu.conf, so VMs get no cookies");
  } else if (!value.ok()) {
    Add(findings, Level::kWarn, kId, value.status().message(), "run as root");
  } else if (value->empty() || *value == "none") {
    Add(findings, Level::kOk, kId, "libvirt gives VMs no core-scheduling cookies");
  } else {
    Add(findings, Level::kFail, kId,
        absl::StrCat("/etc/libvirt/qemu.conf has sched_core = \"", *value,
                     "\": VMs get core-scheduling cookies, which can hang the host under any "
                     "sched_ext scheduler, so Corral refuses them"),
        "set sched_core = \"none\", restart libvirt's daemon, then the VMs");
  }
}

bool IsExecutable(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & S_IXUSR) != 0;
}

bool IsStrict(const Config& config) {
  for (const EnclaveConfig& enclave : config.enclaves) {
    if (enclave.admission == Admission::kStrict) return true;
  }
  return false;
}

void CheckHook(const HostTree& tree, const std::string& config_file, Findings& findings) {
  constexpr absl::string_view kId = "libvirt.hook";
  const absl::StatusOr<std::string> enforce = tree.Text("/sys/fs/selinux/enforce");
  if (enforce.ok() && *enforce == "1" && tree.SelinuxType(kHook) == kTypeOfHooks) {
    Add(findings, Level::kFail, kId,
        absl::StrCat(kHook, " has the SELinux type ", kTypeOfHooks,
                     ", with which libvirt's QEMU daemon may not run it: no VM would start"),
        absl::StrCat("install corral-selinux, then: restorecon -F ", kHook));
    return;
  }
  if (IsExecutable(tree.Path(kHook))) {
    Add(findings, Level::kOk, kId,
        absl::StrCat(kHook,
                     " is there; a daemon of libvirt's that is older asks it from its next "
                     "reload on"));
    return;
  }
  const std::string missing =
      absl::StrCat(kHook, tree.Exists(kHook) ? " is not executable" : " is not there");
  const absl::StatusOr<Config> config = ReadConfig(tree, config_file);
  if (tree.Exists(config_file) && !config.ok()) {
    Add(findings, Level::kWarn, kId,
        absl::StrCat(missing, ", and whether admission is strict cannot be told"),
        "see config.file");
  } else if (config.ok() && IsStrict(*config)) {
    Add(findings, config->mode == Mode::kEnforce ? Level::kFail : Level::kWarn, kId,
        absl::StrCat(missing,
                     ", so VMs that cannot be protected start in spite of admission: "
                     "strict"),
        "install Corral's package again, then reload libvirt's daemon");
  } else {
    Add(findings, Level::kOk, kId,
        absl::StrCat(missing, ", and nothing needs it: admission is open"));
  }
}

}  // namespace

absl::StatusOr<std::string> SchedCore(const HostTree& tree) {
  const absl::StatusOr<std::string> conf = tree.Text("/etc/libvirt/qemu.conf");
  if (!conf.ok()) return conf.status();
  return LibvirtSetting(*conf, "sched_core");
}

void CheckLibvirt(const HostTree& tree, const std::string& config_file, Findings& findings) {
  CheckCookies(tree, findings);
  CheckHook(tree, config_file, findings);
}

}  // namespace corral
