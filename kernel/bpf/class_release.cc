// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf/class_release.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <map>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kernel/abi/ghost.h"
#include "kernel/bpf/class_files.h"
#include "kernel/bpf/confined_threads.h"
#include "kernel/bpf/mapped_array.h"
#include "kernel/bpf/sched_ext_state.h"
#include "kernel/bpf/threads_by_policy.h"

namespace corral {
namespace {

constexpr char kOpsMap[] = "corral_ops";
// A thread in SCHED_EXT may make others while we look; each look finds those of the last one.
constexpr int kLooks = 20;
constexpr std::chrono::seconds kPatience(10);

using FormerPolicies = std::map<pid_t, int>;

// The kernel takes every thread out of a class that it ejects, which frees the slots but leaves the
// threads in SCHED_EXT: so freed slots count as well, but less than one that is in use, and the
// longer ago they were, the less.
bool TellsMore(const ghost_status_word& a, const ghost_status_word& b) {
  if ((a.gtid != 0) != (b.gtid != 0)) return a.gtid != 0;
  return a.switch_time_ns > b.switch_time_ns;
}

// What each thread that is in SCHED_EXT by the class's doing was before.
absl::StatusOr<FormerPolicies> ReadFormerPolicies() {
  const absl::StatusOr<Fd> fd = OpenPin("status_words");
  if (!fd.ok()) return fd.status();
  const absl::StatusOr<MappedArray<ghost_status_word>> words =
      MappedArray<ghost_status_word>::Map(fd->get(), "status_words");
  if (!words.ok()) return words.status();
  std::map<pid_t, ghost_status_word> latest;
  for (const ghost_status_word& sw : words->span()) {
    const pid_t tid = static_cast<pid_t>(sw.tid);
    if (tid == 0 || PolicyOf(tid) != kSchedExtPolicy) continue;
    if (!IsThreadOf(tid, static_cast<pid_t>(sw.tgid))) continue;
    const auto [it, first] = latest.try_emplace(tid, sw);
    if (!first && TellsMore(sw, it->second)) it->second = sw;
  }
  FormerPolicies former;
  for (const auto& [tid, sw] : latest) {
    // One that was in SCHED_EXT of its own accord has nothing to go back to.
    if (sw.former_policy != kSchedExtPolicy) former[tid] = static_cast<int>(sw.former_policy);
  }
  return former;
}

// Whether this struct_ops map is the class itself.
bool IsClassMap(uint32_t id) {
  const Fd map(bpf_map_get_fd_by_id(id));
  if (!map) return false;
  bpf_map_info info = {};
  __u32 size = sizeof(info);
  return bpf_map_get_info_by_fd(map.get(), &info, &size) == 0 &&
         info.type == BPF_MAP_TYPE_STRUCT_OPS && absl::string_view(info.name) == kOpsMap;
}

// The class's link without any pin, among all that the kernel has.
Fd FindClassLink() {
  for (__u32 id = 0; bpf_link_get_next_id(id, &id) == 0;) {
    Fd link(bpf_link_get_fd_by_id(id));
    if (!link) continue;
    bpf_link_info info = {};
    __u32 size = sizeof(info);
    if (bpf_link_get_info_by_fd(link.get(), &info, &size) != 0) continue;
    if (info.type != BPF_LINK_TYPE_STRUCT_OPS) continue;
    // The first word of the union; the member's name, struct_ops.map_id, is newer than the headers
    // of some distributions.
    __u32 map_id;
    memcpy(&map_id, reinterpret_cast<const char*>(&info) + offsetof(bpf_link_info, cgroup),
           sizeof(map_id));
    if (IsClassMap(map_id)) return link;
  }
  return Fd();
}

// Paths below and including these folders, in the order of removal: the class's link sorts
// before the tracepoints', so switches are watched while the class is there.
std::vector<std::string> ListPins(const std::vector<const char*>& folders) {
  std::vector<std::string> pins;
  for (const char* const folder : folders) {
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator it(folder, error), end; !error && it != end;
         it.increment(error)) {
      pins.push_back(it->path().string());
    }
  }
  std::sort(pins.begin(), pins.end());
  std::stable_sort(pins.begin(), pins.end(), [](const std::string& a, const std::string& b) {
    return std::count(a.begin(), a.end(), '/') > std::count(b.begin(), b.end(), '/');
  });
  for (const char* const folder : folders) {
    struct stat entry;
    if (lstat(folder, &entry) == 0) pins.push_back(folder);
  }
  return pins;
}

class Release {
 public:
  explicit Release(const ReleaseOptions& options) : options_(options) {}

  ReleaseReport Run() {
    const SchedExtState before = ReadSchedExtState();
    report_.scheduler = report_.scheduler_after = before.scheduler;
    if (options_.scope == ReleaseScope::kForAnother) {
      report_.pins = ListPins({kClassDir});
      std::erase(report_.pins, kHeldVmsPin);
      if (access(kHeldVmsPin, F_OK) == 0) std::erase(report_.pins, kClassDir);
    } else {
      report_.pins = ListPins({kClassDir, kNextDir, kFormerDir});
    }
    // While vCPUs can still be told from the others.
    if (!options_.dry_run) UndoConfinement();
    if (options_.scope != ReleaseScope::kForAnother) ReleaseThreads(before);
    if (!options_.dry_run) {
      DetachClass();
      RemovePins();
      AwaitDisabled();
      // Whoever attached threads until now can no more.
      if (sweeps_) ReleaseUnknown();
    }
    if (!problems_.empty()) report_.status = absl::InternalError(absl::StrJoin(problems_, "; "));
    return std::move(report_);
  }

 private:
  void ReleaseThreads(const SchedExtState& before) {
    const absl::StatusOr<FormerPolicies> former = ReadFormerPolicies();
    if (former.ok()) {
      for (const auto& [tid, policy] : *former) GiveBack(tid, policy, /*known=*/true);
    } else if (!report_.pins.empty() || before.Ours()) {
      report_.notes.push_back(
          "the class's status words cannot be read, so what threads were before is not known; "
          "those "
          "in SCHED_EXT become SCHED_OTHER");
    }
    if (former.ok() && options_.scope != ReleaseScope::kAll) return;
    if (!before.Disabled() && !before.Ours()) {
      report_.notes.push_back(absl::StrCat("another sched_ext scheduler (", before.scheduler,
                                           ") is in charge; it and its threads are left alone"));
      return;
    }
    sweeps_ = true;
    ReleaseUnknown();
  }

  void ReleaseUnknown() {
    for (int look = 0; look < kLooks; ++look) {
      const absl::StatusOr<std::vector<pid_t>> threads = ThreadsWithPolicy(kSchedExtPolicy);
      if (!threads.ok()) return Problem(threads.status());
      bool news = false;
      for (const pid_t tid : *threads) news |= GiveBack(tid, SCHED_OTHER, /*known=*/false);
      if (!news) return;
    }
    Problem(absl::InternalError(
        "threads keep entering SCHED_EXT; stop what puts them there (systemctl stop corrald), then "
        "run it again"));
  }

  // False if there was nothing new to do.
  bool GiveBack(pid_t tid, int policy, bool known) {
    const bool again = std::any_of(report_.threads.begin(), report_.threads.end(),
                                   [tid](const ReleasedThread& t) { return t.tid == tid; });
    // In a dry run, or if it resists, it is found once more.
    if (again && (options_.dry_run || !problems_.empty())) return false;
    absl::Status changed = options_.dry_run ? absl::OkStatus() : ChangePolicy(tid, policy);
    if (absl::IsNotFound(changed)) return false;
    if (!changed.ok() && known) {
      report_.notes.push_back(std::string(changed.message()));
      return GiveBack(tid, SCHED_OTHER, /*known=*/false);
    }
    if (!changed.ok()) Problem(changed);
    if (changed.ok() && !again) {
      report_.threads.push_back({.tid = tid, .policy = policy, .known = known});
    }
    return changed.ok();
  }

  void DetachClass() {
    // Detaching waits until the kernel has done it; dropping the last reference would not.
    if (const absl::StatusOr<Fd> link = OpenPin("link_class"); link.ok())
      bpf_link_detach(link->get());
    if (!ReadSchedExtState().Ours()) return;
    const Fd link = FindClassLink();
    if (link && bpf_link_detach(link.get()) == 0) {
      report_.notes.push_back("the class was in charge without its pin; found and detached it");
    }
  }

  void RemovePins() {
    std::vector<std::string> removed;
    for (const std::string& path : report_.pins) {
      if (remove(path.c_str()) == 0) {
        removed.push_back(path);
      } else if (errno != ENOENT) {
        Problem(absl::InternalError(absl::StrCat("cannot remove ", path, ": ", strerror(errno))));
      }
    }
    report_.pins = std::move(removed);
  }

  void AwaitDisabled() {
    SchedExtState now = ReadSchedExtState();
    for (const auto end = std::chrono::steady_clock::now() + kPatience;
         now.Ours() && std::chrono::steady_clock::now() < end; now = ReadSchedExtState()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    report_.scheduler_after = now.scheduler;
    if (now.Ours()) {
      Problem(absl::InternalError(absl::StrCat("the class is still there (", now.state,
                                               "); eject it with: echo S > /proc/sysrq-trigger")));
    }
  }

  void Problem(const absl::Status& status) { problems_.push_back(std::string(status.message())); }

  const ReleaseOptions options_;
  ReleaseReport report_;
  std::vector<std::string> problems_;
  bool sweeps_ = false;
};

}  // namespace

ReleaseReport ReleaseClass(const ReleaseOptions& options) {
  if (geteuid() != 0) {
    ReleaseReport report;
    report.status = absl::PermissionDeniedError(
        "giving other users' threads back needs root (CAP_SYS_NICE, CAP_BPF); run as root");
    return report;
  }
  return Release(options).Run();
}

}  // namespace corral
