// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/libvirt_cgroups.h"

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "vmm-integration/qemu_process.h"

namespace corral {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kDefaultShares = 100;

std::string Read(const fs::path& file) {
  return std::string(absl::StripAsciiWhitespace(ReadSmallFile(file.string()).value_or("")));
}

// All I/O threads have the same cap.
fs::path SomeIoThreadGroup(const fs::path& vm) {
  std::error_code error;  // groups come and go while we look
  for (fs::directory_iterator it(vm, error), end; !error && it != end; it.increment(error)) {
    if (absl::StartsWith(it->path().filename().string(), "iothread")) return it->path();
  }
  return {};
}

// cpu.max: "max 100000" or "20000 50000".
void OverruleCap(const std::string& file, QuotaXml& xml) {
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(file, ' ');
  int64_t quota = -1, period = 0;
  if (!absl::SimpleAtoi(parts.second, &period)) return;
  if (parts.first != "max" && !absl::SimpleAtoi(parts.first, &quota)) return;
  const bool capped = xml.quota.value_or(-1) > 0;
  if (quota < 0 && !capped) return;
  xml = {.quota = quota, .period = period};
}

}  // namespace

CgroupTuning CgroupTuningOf(pid_t process, const std::string& root) {
  const std::optional<fs::path> emulator = CgroupOf(process, root);
  if (!emulator || emulator->filename() != "emulator") return {};
  const fs::path vm = emulator->parent_path();
  // Where systemd made the VM's scope, libvirt puts the threads into a group of its own within, and
  // has systemd set the weight of the scope.
  const fs::path scope = vm.filename() == "libvirt" ? vm.parent_path() : vm;
  return {.weight = Read(scope / "cpu.weight"),
          .cap = Read(vm / "cpu.max"),
          .vcpu_cap = Read(vm / "vcpu0" / "cpu.max"),
          .emulator_cap = Read(*emulator / "cpu.max"),
          .iothread_cap = Read(SomeIoThreadGroup(vm) / "cpu.max")};
}

void Overrule(const CgroupTuning& tuning, DomainXml& xml) {
  int64_t weight = 0;
  if (absl::SimpleAtoi(tuning.weight, &weight) && weight != xml.shares.value_or(kDefaultShares))
    xml.shares = weight;
  OverruleCap(tuning.cap, xml.global);
  OverruleCap(tuning.vcpu_cap, xml.vcpu);
  OverruleCap(tuning.emulator_cap, xml.emulator);
  OverruleCap(tuning.iothread_cap, xml.iothread);
}

}  // namespace corral
