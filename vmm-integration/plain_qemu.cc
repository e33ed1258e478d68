// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/plain_qemu.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace corral {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxName = 63;  // bytes; longer ones make no line easier to read

bool AllDigits(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

// The numbers that are names of entries of a directory.
std::vector<pid_t> NumbersIn(const std::string& dir) {
  std::vector<pid_t> numbers;
  std::error_code error;  // entries come and go while we look
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    pid_t number = 0;
    if (AllDigits(name) && absl::SimpleAtoi(name, &number)) numbers.push_back(number);
  }
  return numbers;
}

// The path of the file that the process runs.
absl::StatusOr<std::string> ProgramOf(pid_t pid, const std::string& root) {
  char path[PATH_MAX];
  const std::string link = absl::StrCat(root, "/proc/", pid, "/exe");
  const ssize_t length = readlink(link.c_str(), path, sizeof(path));
  if (length < 0) return absl::ErrnoToStatus(errno, link);
  return std::string(path, static_cast<size_t>(length));
}

}  // namespace

std::optional<int> VcpuOfThreadName(absl::string_view name) {
  if (name == "ALL CPUs/TCG") return 0;
  int vcpu = 0;
  if (!absl::ConsumePrefix(&name, "CPU ") ||
      !(absl::ConsumeSuffix(&name, "/KVM") || absl::ConsumeSuffix(&name, "/TCG")) ||
      !AllDigits(name) || !absl::SimpleAtoi(name, &vcpu)) {
    return std::nullopt;
  }
  return vcpu;
}

bool IsQemu(pid_t pid, const std::string& root) {
  const absl::StatusOr<std::string> path = ProgramOf(pid, root);
  if (!path.ok()) return false;
  absl::string_view name = *path;
  // The kernel's word that an update has replaced the file since.
  absl::ConsumeSuffix(&name, " (deleted)");
  name.remove_prefix(name.rfind('/') + 1);
  return absl::StartsWith(name, "qemu-system-") || name == "qemu-kvm" || name == "kvm";
}

absl::StatusOr<BootId> PrepareToLook(const std::string& root) {
  const std::string file = absl::StrCat(root, "/proc/sys/kernel/random/boot_id");
  const std::string digits = absl::StrReplaceAll(
      absl::StripAsciiWhitespace(ReadSmallFile(file).value_or("")), {{"-", ""}});
  BootId boot;
  if (digits.size() != 32 || !absl::SimpleHexAtoi(digits.substr(0, 16), &boot.high) ||
      !absl::SimpleHexAtoi(digits.substr(16), &boot.low)) {
    return absl::FailedPreconditionError(
        absl::StrCat("no boot id in ", file, "; mount /proc, with its sys, where corrald runs"));
  }
  if (absl::IsPermissionDenied(ProgramOf(1, root).status())) {
    return absl::FailedPreconditionError(
        "which processes are QEMU's cannot be seen: their /proc/PID/exe may not be read; run as "
        "root, with CAP_SYS_PTRACE in the CapabilityBoundingSet of corrald.service");
  }
  return boot;
}

std::string UuidOfProcess(const BootId& boot, pid_t pid, uint64_t start_time) {
  // Each bit of pid and start time goes into one of its own, so no two processes have the same.
  // Version and variant take bits that a start time of 40 million years would need.
  uint64_t high = boot.high ^ static_cast<uint64_t>(pid) << 32;
  uint64_t low = boot.low ^ start_time;
  high = (high & ~uint64_t{0xf000}) | 0x8000;
  low = (low & ~(uint64_t{3} << 62)) | uint64_t{2} << 62;
  const auto hex = [](uint64_t value, absl::PadSpec digits) { return absl::Hex(value, digits); };
  return absl::StrCat(hex(high >> 32, absl::kZeroPad8), "-",
                      hex(high >> 16 & 0xffff, absl::kZeroPad4), "-",
                      hex(high & 0xffff, absl::kZeroPad4), "-", hex(low >> 48, absl::kZeroPad4),
                      "-", hex(low & 0xffffffffffff, absl::kZeroPad12));
}

std::string DisplayName(pid_t pid, const std::string& root) {
  std::string name = NameOfProcess(pid, root).substr(0, kMaxName);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !absl::ascii_isprint(c); }, '?');
  return name.empty() ? absl::StrCat("qemu-", pid) : name;
}

QemuThreads ThreadsOfQemu(pid_t pid, const std::string& root) {
  QemuThreads found;
  const std::optional<ThreadStat> first = ReadThread(pid, pid, root);
  if (!first) return found;
  found.start_time = first->start_time;
  for (const pid_t tid : NumbersIn(absl::StrCat(root, "/proc/", pid, "/task"))) {
    const std::optional<ThreadStat> thread = ReadThread(pid, tid, root);
    if (!thread) continue;
    NamedThread named{.tid = tid, .start_time = thread->start_time};
    // The first thread is never a vCPU. A process that a vCPU has just forked has its name.
    if (tid != pid) {
      named.vcpu = VcpuOfThreadName(thread->name);
      if (thread->name == first->name) ++found.nameless;
    }
    if (named.vcpu) ++found.vcpus;
    found.threads.push_back(named);
  }
  return found;
}

std::vector<pid_t> AllProcesses(const std::string& root) {
  return NumbersIn(absl::StrCat(root, "/proc"));
}

}  // namespace corral
