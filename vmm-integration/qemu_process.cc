// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/qemu_process.h"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace corral {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kExiting = 0x4;  // PF_EXITING

// "guest=NAME,debug-threads=on", or the name alone: a comma inside a value is written twice.
std::string GuestName(absl::string_view argument) {
  std::vector<std::string> items(1);
  for (size_t i = 0; i < argument.size(); ++i) {
    if (argument[i] == ',') {
      if (i + 1 >= argument.size() || argument[i + 1] != ',') {
        items.emplace_back();
        continue;
      }
      ++i;
    }
    items.back().push_back(argument[i]);
  }
  for (const std::string& item : items) {
    absl::string_view name = item;
    if (absl::ConsumePrefix(&name, "guest=")) return std::string(name);
  }
  return absl::StrContains(items[0], '=') ? "" : items[0];
}

// Those of the command line, the program's path first. Never empty.
std::vector<std::string> ArgumentsOf(pid_t pid, const std::string& root) {
  const std::optional<std::string> line =
      ReadSmallFile(absl::StrCat(root, "/proc/", pid, "/cmdline"));
  return absl::StrSplit(line.value_or(""), '\0');
}

// What /proc says of a thread under that name. Nothing if it has ended.
std::optional<std::string> StatusOf(pid_t tid, absl::string_view name, const std::string& root) {
  const std::optional<std::string> status =
      ReadSmallFile(absl::StrCat(root, "/proc/", tid, "/status"));
  if (!status) return std::nullopt;
  for (absl::string_view line : absl::StrSplit(*status, '\n')) {
    if (absl::ConsumePrefix(&line, name))
      return std::string(absl::StripLeadingAsciiWhitespace(line));
  }
  return std::nullopt;
}

std::vector<pid_t> ThreadsIn(const fs::path& group) {
  std::vector<pid_t> threads;
  std::ifstream file(group / "cgroup.threads");
  for (pid_t tid; file >> tid;) threads.push_back(tid);
  return threads;
}

// The groups beside the one that the process's main thread is in, and that one: vcpuN, iothreadN,
// emulator. None if libvirt did not make them.
std::vector<fs::path> GroupsOf(pid_t pid, const std::string& root) {
  std::vector<fs::path> groups;
  const std::optional<fs::path> group = CgroupOf(pid, root);
  if (!group || group->filename() != "emulator") return groups;
  std::error_code error;  // groups come and go while we look
  for (fs::directory_iterator it(group->parent_path(), error), end; !error && it != end;
       it.increment(error)) {
    groups.push_back(it->path());
  }
  return groups;
}

}  // namespace

std::optional<std::string> ReadSmallFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string NameOfProcess(pid_t pid, const std::string& root) {
  const std::vector<std::string> arguments = ArgumentsOf(pid, root);
  std::string name;
  for (size_t i = 1; i + 1 < arguments.size(); ++i) {
    if (arguments[i] == "-name" || arguments[i] == "--name") name = GuestName(arguments[i + 1]);
  }
  return name;
}

std::optional<Vm> VmOfProcess(pid_t pid, const std::string& root) {
  const std::vector<std::string> arguments = ArgumentsOf(pid, root);
  const std::string program = arguments[0].substr(arguments[0].rfind('/') + 1);
  if (!absl::StrContains(program, "qemu") && program != "kvm") return std::nullopt;
  Vm vm{.name = NameOfProcess(pid, root), .pid = pid};
  for (size_t i = 1; i + 1 < arguments.size(); ++i) {
    if (arguments[i] == "-uuid") vm.uuid = absl::AsciiStrToLower(arguments[i + 1]);
  }
  if (vm.uuid.empty()) return std::nullopt;
  if (vm.name.empty()) vm.name = vm.uuid;
  return vm;
}

std::optional<ThreadStat> ReadThread(pid_t pid, pid_t tid, const std::string& root) {
  const std::optional<std::string> stat =
      ReadSmallFile(absl::StrCat(root, "/proc/", pid, "/task/", tid, "/stat"));
  if (!stat) return std::nullopt;
  // The name in parentheses may contain anything; the fields begin behind the last one. Field 3 is
  // the state, field 9 the flags, field 22 the start time.
  const size_t name_begin = stat->find('('), name_end = stat->rfind(')');
  if (name_end == std::string::npos || name_begin >= name_end) return std::nullopt;
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(*stat).substr(name_end + 1), ' ', absl::SkipEmpty());
  ThreadStat thread{.name = stat->substr(name_begin + 1, name_end - name_begin - 1)};
  if (fields.size() < 20 || fields[0] == "Z" || fields[0] == "X" ||
      !absl::SimpleAtoi(fields[6], &thread.flags) ||
      !absl::SimpleAtoi(fields[19], &thread.start_time)) {
    return std::nullopt;
  }
  return thread;
}

std::optional<uint64_t> StartTime(pid_t pid, pid_t tid, const std::string& root) {
  const std::optional<ThreadStat> thread = ReadThread(pid, tid, root);
  if (!thread) return std::nullopt;
  return thread->start_time;
}

// Before any thread goes the kernel leaves each of the others a SIGKILL of its own, and each
// that has taken it is marked soon.
bool IsEnding(pid_t pid, const std::string& root) {
  const std::optional<ThreadStat> main = ReadThread(pid, pid, root);
  if (!main || (main->flags & kExiting)) return true;
  uint64_t pending = 0;
  const std::optional<std::string> signals = StatusOf(pid, "SigPnd:", root);
  return signals && absl::SimpleHexAtoi(*signals, &pending) &&
         (pending & (uint64_t{1} << (SIGKILL - 1)));
}

std::optional<pid_t> ProcessOf(pid_t tid, const std::string& root) {
  const std::optional<std::string> process = StatusOf(tid, "Tgid:", root);
  int pid = 0;
  if (!process || !absl::SimpleAtoi(*process, &pid)) return std::nullopt;
  return pid;
}

std::optional<fs::path> CgroupOf(pid_t pid, const std::string& root) {
  const std::optional<std::string> groups =
      ReadSmallFile(absl::StrCat(root, "/proc/", pid, "/cgroup"));
  if (!groups) return std::nullopt;
  for (absl::string_view line : absl::StrSplit(*groups, '\n')) {
    if (absl::ConsumePrefix(&line, "0::")) {
      return fs::path(absl::StrCat(root, "/sys/fs/cgroup", line));
    }
  }
  return std::nullopt;
}

std::optional<int> VcpuIndex(absl::string_view cgroup) {
  int index = 0;
  if (!absl::ConsumePrefix(&cgroup, "vcpu") || cgroup.empty() ||
      !std::all_of(cgroup.begin(), cgroup.end(), absl::ascii_isdigit) ||
      !absl::SimpleAtoi(cgroup, &index)) {
    return std::nullopt;
  }
  return index;
}

std::vector<ScannedVcpu> VcpuThreadsOf(pid_t pid, const std::string& root) {
  std::vector<ScannedVcpu> found;
  for (const fs::path& group : GroupsOf(pid, root)) {
    const std::optional<int> vcpu = VcpuIndex(group.filename().string());
    if (!vcpu) continue;
    for (const pid_t tid : ThreadsIn(group)) found.push_back({.tid = tid, .vcpu = *vcpu});
  }
  return found;
}

std::vector<HelperThread> HelperThreadsOf(pid_t pid, VmThreads which, const std::string& root) {
  std::vector<HelperThread> found;
  if (which == VmThreads::kVcpus) return found;
  for (const fs::path& group : GroupsOf(pid, root)) {
    const std::string leaf = group.filename().string();
    if (VcpuIndex(leaf)) continue;
    for (const pid_t tid : ThreadsIn(group)) {
      const std::optional<pid_t> process = ProcessOf(tid, root);
      if (!process || (which == VmThreads::kProcess && *process != pid)) continue;
      const std::optional<uint64_t> start_time = StartTime(*process, tid, root);
      if (!start_time) continue;
      found.push_back({.tid = tid,
                       .process = *process,
                       .iothread = absl::StartsWith(leaf, "iothread"),
                       .start_time = *start_time});
    }
  }
  return found;
}

}  // namespace corral
