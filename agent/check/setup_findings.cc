// SPDX-License-Identifier: Apache-2.0
// What the host was set up with: rights, file systems, limits.
#include <cstdint>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/check/host_findings.h"

namespace corral {
namespace {

struct Capability {
  int bit;
  absl::string_view name;
};
// CAP_BPF, CAP_PERFMON: load the class. CAP_SYS_NICE: give other users' threads their policy.
// CAP_SYS_ADMIN: see the trust domains' cgroups and name spaces.
constexpr Capability kNeeded[] = {
    {39, "CAP_BPF"}, {38, "CAP_PERFMON"}, {23, "CAP_SYS_NICE"}, {21, "CAP_SYS_ADMIN"}};
constexpr int kIpcLock = 14;

// What follows "KEY:" in a file of /proc, without blanks around it; "" if there is no such line.
std::string Field(absl::string_view text, absl::string_view key) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::ConsumePrefix(&line, key)) return std::string(absl::StripAsciiWhitespace(line));
  }
  return "";
}

bool Has(uint64_t capabilities, int bit) { return (capabilities >> bit & 1) != 0; }

void CheckPrivileges(const HostTree& tree, Findings& findings) {
  const std::string status = tree.Text("/proc/self/status").value_or("");
  const std::vector<std::string> uids =
      absl::StrSplit(Field(status, "Uid:"), absl::ByAnyChar("\t "), absl::SkipEmpty());
  uint64_t capabilities = 0;
  if (uids.size() != 4 || !absl::SimpleHexAtoi(Field(status, "CapEff:"), &capabilities)) {
    Add(findings, Level::kWarn, "host.privileges", "/proc/self/status does not tell who runs this",
        "mount /proc; run as root");
    return;
  }
  std::vector<absl::string_view> lacks;
  for (const Capability& capability : kNeeded) {
    if (!Has(capabilities, capability.bit)) lacks.push_back(capability.name);
  }
  if (uids[1] != "0") {
    Add(findings, Level::kFail, "host.privileges",
        absl::StrCat("this runs as user ", uids[1], ", and loading the class needs root"),
        "run as root");
  } else if (!lacks.empty()) {
    Add(findings, Level::kFail, "host.privileges",
        absl::StrCat("root has no ", absl::StrJoin(lacks, ", "), " here"),
        "run outside the container, or give it these capabilities");
  } else {
    Add(findings, Level::kOk, "host.privileges", "root, with every capability needed");
  }
}

void CheckLockdown(const HostTree& tree, Findings& findings) {
  const absl::StatusOr<std::string> lockdown = tree.Text("/sys/kernel/security/lockdown");
  if (absl::IsNotFound(lockdown.status())) {
    Add(findings, Level::kOk, "host.lockdown", "the kernel is not locked down");
  } else if (!lockdown.ok()) {
    Add(findings, Level::kWarn, "host.lockdown", lockdown.status().message());
  } else if (absl::StrContains(*lockdown, "[confidentiality]")) {
    Add(findings, Level::kFail, "host.lockdown",
        "the kernel is locked down (confidentiality), so BPF may not read its memory, which the "
        "class and the auditor do",
        "boot with lockdown=integrity");
  } else if (absl::StrContains(*lockdown, "[integrity]") ||
             absl::StrContains(*lockdown, "[none]")) {
    Add(findings, Level::kOk, "host.lockdown", *lockdown);
  } else {
    Add(findings, Level::kWarn, "host.lockdown",
        absl::StrCat("the kernel says \"", *lockdown, "\", which is not known"));
  }
}

void CheckBpffs(const HostTree& tree, Findings& findings) {
  const absl::StatusOr<std::string> mounts = tree.Text("/proc/mounts");
  bool mounted = false;
  for (const absl::string_view line : absl::StrSplit(mounts.value_or(""), '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    // The last mount on a folder is the one that is seen.
    if (words.size() > 3 && words[1] == "/sys/fs/bpf") mounted = words[2] == "bpf";
  }
  if (mounted) {
    Add(findings, Level::kOk, "host.bpffs", "bpffs is mounted on /sys/fs/bpf");
  } else {
    Add(findings, Level::kFail, "host.bpffs",
        mounts.ok() ? "bpffs is not mounted on /sys/fs/bpf, where the class would be pinned"
                    : mounts.status().message(),
        "mount -t bpf bpf /sys/fs/bpf");
  }
}

void CheckMemlock(const HostTree& tree, Findings& findings) {
  const std::string limit = Field(tree.Text("/proc/self/limits").value_or(""), "Max locked memory");
  uint64_t capabilities = 0;
  const bool known = absl::SimpleHexAtoi(
      Field(tree.Text("/proc/self/status").value_or(""), "CapEff:"), &capabilities);
  const std::string soft(limit.substr(0, limit.find(' ')));
  uint64_t bytes = 0;
  if (known && Has(capabilities, kIpcLock)) {
    Add(findings, Level::kOk, "host.memlock", "no limit holds here (CAP_IPC_LOCK)");
  } else if (soft == "unlimited") {
    Add(findings, Level::kOk, "host.memlock", "locked memory is unlimited");
  } else {
    Add(findings, Level::kWarn, "host.memlock",
        absl::SimpleAtoi(soft, &bytes)
            ? absl::StrCat("an agent started from here could lock only ", bytes, " bytes")
            : "how much memory may be locked is not told",
        "start corrald by its unit, or after: ulimit -l unlimited");
  }
}

}  // namespace

void CheckSetup(const HostTree& tree, Findings& findings) {
  CheckPrivileges(tree, findings);
  CheckLockdown(tree, findings);
  CheckBpffs(tree, findings);
  CheckMemlock(tree, findings);
}

}  // namespace corral
