// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/cgroup_limits.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "vmm-integration/qemu_process.h"

namespace corral {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxWeight = 10000;
// A quota of a year, in microseconds: more is a file that makes no sense.
constexpr int64_t kMaxMicroseconds = int64_t{365} * 86400 * 1000000;

// The groups that the process is in, from its own, unless that is one for single threads, up to the
// root, which is left out: it has no limits.
std::vector<fs::path> GroupsAbove(pid_t pid, const std::string& root) {
  std::vector<fs::path> groups;
  const std::optional<fs::path> own = CgroupOf(pid, root);
  if (!own) return groups;
  const fs::path top = absl::StrCat(root, "/sys/fs/cgroup");
  const fs::path below = own->lexically_normal().lexically_relative(top);
  // Outside of what is mounted here; corrald is in a container.
  if (below.empty() || *below.begin() == "..") return groups;
  for (fs::path group = below; !group.empty() && group != "."; group = group.parent_path()) {
    const fs::path path = top / group;
    const std::string type = ReadSmallFile(path / "cgroup.type").value_or("");
    if (groups.empty() && absl::StripAsciiWhitespace(type) == "threaded") continue;
    groups.push_back(path);
  }
  return groups;
}

std::optional<int> ReadWeight(const fs::path& group) {
  const std::optional<std::string> text = ReadSmallFile(group / "cpu.weight");
  int weight = 0;
  if (!text || !absl::SimpleAtoi(*text, &weight) || weight < 1 || weight > kMaxWeight)
    return std::nullopt;
  return weight;
}

// "50000 100000" or "max 100000".
void TightenCap(const fs::path& group, CgroupLimits& limits) {
  const std::string text = ReadSmallFile(group / "cpu.max").value_or("");
  const std::vector<absl::string_view> words =
      absl::StrSplit(absl::StripAsciiWhitespace(text), ' ', absl::SkipEmpty());
  int64_t quota = 0, period = 0;
  if (words.size() != 2 || !absl::SimpleAtoi(words[0], &quota) ||
      !absl::SimpleAtoi(words[1], &period) || quota < 1 || quota > kMaxMicroseconds || period < 1 ||
      period > kMaxMicroseconds) {
    return;
  }
  const auto share = [](Duration part, Duration whole) {
    return static_cast<double>(part.count()) / static_cast<double>(whole.count());
  };
  const std::chrono::microseconds new_quota(quota), new_period(period);
  if (limits.quota != Duration{} &&
      share(limits.quota, limits.period) <= share(new_quota, new_period)) {
    return;
  }
  limits.quota = new_quota;
  limits.period = new_period;
}

}  // namespace

CgroupLimits LimitsOfProcess(pid_t pid, const std::string& root) {
  CgroupLimits limits;
  std::optional<int> weight;
  for (const fs::path& group : GroupsAbove(pid, root)) {
    if (!weight) weight = ReadWeight(group);
    TightenCap(group, limits);
  }
  limits.weight = weight.value_or(limits.weight);
  return limits;
}

absl::StatusOr<CgroupLimitsWatcher> CgroupLimitsWatcher::Start(std::string root) {
  Fd inotify(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot watch cgroups: ", strerror(errno),
                                                     "; raise fs.inotify.max_user_instances"));
  }
  return CgroupLimitsWatcher(std::move(inotify), std::move(root));
}

void CgroupLimitsWatcher::Watch(const std::vector<pid_t>& pids) {
  std::set<int> watches;
  for (const pid_t pid : pids) {
    for (const fs::path& group : GroupsAbove(pid, root_)) {
      for (const char* file : {"cpu.weight", "cpu.max"}) {
        // Where no watch is left, changes are found when they are looked for.
        const int watch = inotify_add_watch(inotify_.get(), (group / file).c_str(), IN_MODIFY);
        if (watch >= 0) watches.insert(watch);
      }
    }
  }
  for (const int former : watches_) {
    if (!watches.contains(former)) inotify_rm_watch(inotify_.get(), former);
  }
  watches_ = std::move(watches);
}

bool CgroupLimitsWatcher::Drain() {
  alignas(inotify_event) char events[4096];
  return read(inotify_.get(), events, sizeof(events)) > 0;
}

}  // namespace corral
