// SPDX-License-Identifier: Apache-2.0
#include "kernel/audit/objects.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "corral_audit.skel.h"
#include "kernel/audit/audit.h"

namespace corral {
namespace {

struct SkeletonDeleter {
  void operator()(corral_audit* skeleton) const { corral_audit__destroy(skeleton); }
};
using Skeleton = std::unique_ptr<corral_audit, SkeletonDeleter>;

// Errors are told in our own words; libbpf would write its own to stderr.
class QuietLibbpf {
 public:
  QuietLibbpf() : previous_(libbpf_set_print(nullptr)) {}
  ~QuietLibbpf() { libbpf_set_print(previous_); }

 private:
  libbpf_print_fn_t previous_;
};

// The file names of the pins.
constexpr std::array<const char*, AuditObjects::kCount> kNames = {
    "cores", "cpus",        "threads",   "processes", "declared",  "epoch",    "faults",
    "scan",  "switch_link", "exec_link", "fork_link", "free_link", "look_link"};

absl::Status Denied(absl::string_view what) {
  return absl::PermissionDeniedError(
      absl::StrCat("not allowed to ", what, "; run as root or with CAP_BPF and CAP_PERFMON"));
}

std::string LastLine(absl::string_view log) {
  std::string last;
  while (!log.empty()) {
    const size_t end = std::min(log.find('\n'), log.size());
    if (end > 0 && !absl::StartsWith(log.substr(0, end), "processed "))
      last = std::string(log.substr(0, end));
    log.remove_prefix(std::min(end + 1, log.size()));
  }
  return last;
}

absl::Status LoadFailed(int error, absl::string_view log) {
  if (error == EPERM || error == EACCES) {
    // EACCES is also the verifier's answer; then it has said why.
    if (log.empty() || error == EPERM) return Denied("load the audit programs");
  }
  return absl::InternalError(
      absl::StrCat("the kernel refused the audit programs: ", std::strerror(error),
                   log.empty() ? "" : ": ", LastLine(log), "; please report this with `uname -r`"));
}

absl::Status FillMaps(const corral_audit& skeleton, const std::vector<CpuSet>& cores,
                      const std::vector<std::string>& names) {
  for (uint32_t i = 0; i < names.size(); ++i) {
    audit_name name = {};
    name.length = names[i].size();
    std::memcpy(name.prefix, names[i].data(), names[i].size());
    if (bpf_map_update_elem(bpf_map__fd(skeleton.maps.audit_names), &i, &name, BPF_ANY))
      return Denied("write audit maps");
  }
  for (uint32_t i = 0; i < cores.size(); ++i) {
    const auto core = std::make_unique<audit_core>();
    cores[i].ForEach([&](CpuId id) {
      const uint32_t cpu = id.value();
      const audit_cpu place = {.mapped = 1, .core = i, .sibling = core->siblings};
      core->cpu[core->siblings++] = cpu;
      bpf_map_update_elem(bpf_map__fd(skeleton.maps.audit_cpus), &cpu, &place, BPF_ANY);
    });
    if (bpf_map_update_elem(bpf_map__fd(skeleton.maps.audit_cores), &i, core.get(), BPF_ANY))
      return Denied("write audit maps");
  }
  return absl::OkStatus();
}

absl::Status CheckBpffs(const std::string& dir) {
  const std::string parent = dir.substr(0, std::max<size_t>(dir.rfind('/'), 1));
  struct statfs fs;
  if (statfs(parent.c_str(), &fs) || fs.f_type != BPF_FS_MAGIC) {
    return absl::FailedPreconditionError(
        absl::StrCat(parent, " is not a BPF file system; mount one: mount -t bpf bpf /sys/fs/bpf"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AuditObjects> AuditObjects::Load(const std::vector<CpuSet>& cores,
                                                const std::vector<std::string>& names,
                                                size_t max_threads, size_t max_processes) {
  if (access("/sys/kernel/btf/vmlinux", R_OK) != 0) {
    return absl::FailedPreconditionError(
        "this kernel has no type information (/sys/kernel/btf/vmlinux); boot one built with "
        "CONFIG_DEBUG_INFO_BTF=y");
  }
  QuietLibbpf quiet;
  std::string log(64 << 10, '\0');
  LIBBPF_OPTS(bpf_object_open_opts, open_options, .kernel_log_buf = log.data(),
              .kernel_log_size = log.size());
  Skeleton skeleton(corral_audit__open_opts(&open_options));
  if (!skeleton) return LoadFailed(errno, "");
  bpf_map__set_max_entries(skeleton->maps.audit_cores, cores.size());
  bpf_map__set_max_entries(skeleton->maps.audit_cpus, std::max(libbpf_num_possible_cpus(),
                                                               static_cast<int>(CpuSet::kMaxCpus)));
  bpf_map__set_max_entries(skeleton->maps.audit_threads, max_threads);
  bpf_map__set_max_entries(skeleton->maps.audit_processes, max_processes);
  // The scan is run, not attached.
  bpf_program__set_autoattach(skeleton->progs.audit_scan, false);
  if (const int error = corral_audit__load(skeleton.get())) return LoadFailed(-error, log.c_str());
  if (absl::Status status = FillMaps(*skeleton, cores, names); !status.ok()) return status;
  if (const int error = corral_audit__attach(skeleton.get())) {
    if (error == -EPERM || error == -EACCES) return Denied("attach the audit programs");
    return absl::InternalError(
        absl::StrCat("cannot attach the audit programs: ", std::strerror(-error)));
  }
  // The skeleton goes, its objects stay: a loaded auditor and an opened one are the same thing.
  const std::array<int, kCount> fds = {
      bpf_map__fd(skeleton->maps.audit_cores),    bpf_map__fd(skeleton->maps.audit_cpus),
      bpf_map__fd(skeleton->maps.audit_threads),  bpf_map__fd(skeleton->maps.audit_processes),
      bpf_map__fd(skeleton->maps.audit_declared), bpf_map__fd(skeleton->maps.audit_epoch),
      bpf_map__fd(skeleton->maps.audit_faults),   bpf_program__fd(skeleton->progs.audit_scan),
      bpf_link__fd(skeleton->links.audit_switch), bpf_link__fd(skeleton->links.audit_exec),
      bpf_link__fd(skeleton->links.audit_fork),   bpf_link__fd(skeleton->links.audit_free),
      bpf_link__fd(skeleton->links.audit_look)};
  AuditObjects objects;
  for (int i = 0; i < kCount; ++i) {
    objects.fds_[i] = Fd(fcntl(fds[i], F_DUPFD_CLOEXEC, 3));
    if (!objects.fds_[i])
      return absl::ResourceExhaustedError("out of file descriptors; raise the limit (ulimit -n)");
  }
  return objects;
}

absl::Status AuditObjects::Pin(const std::string& dir) const {
  if (absl::Status status = CheckBpffs(dir); !status.ok()) return status;
  if (mkdir(dir.c_str(), 0700)) {
    if (errno == EEXIST)
      return absl::AlreadyExistsError(
          absl::StrCat("an auditor is pinned in ", dir, " already; stop it first"));
    return Denied(absl::StrCat("create ", dir));
  }
  for (int i = 0; i < kCount; ++i) {
    if (bpf_obj_pin(fds_[i].get(), absl::StrCat(dir, "/", kNames[i]).c_str())) {
      const int error = errno;
      Unpin(dir).IgnoreError();
      return absl::InternalError(
          absl::StrCat("cannot pin ", dir, "/", kNames[i], ": ", std::strerror(error)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<AuditObjects> AuditObjects::Open(const std::string& dir) {
  if (access(dir.c_str(), F_OK) != 0) {
    if (errno == EACCES) return Denied(absl::StrCat("open ", dir));
    return absl::NotFoundError(absl::StrCat("no auditor is pinned in ", dir, "; start one"));
  }
  AuditObjects objects;
  for (int i = 0; i < kCount; ++i) {
    const std::string path = absl::StrCat(dir, "/", kNames[i]);
    objects.fds_[i] = Fd(bpf_obj_get(path.c_str()));
    if (objects.fds_[i]) continue;
    if (errno == EPERM || errno == EACCES) return Denied(absl::StrCat("open ", path));
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": ", std::strerror(errno), "; stop the auditor and start it again"));
  }
  // The layout is private to one build; another one's figures would be read as nonsense.
  bpf_map_info info = {};
  uint32_t size = sizeof(info);
  if (bpf_map_get_info_by_fd(objects[kCores], &info, &size) ||
      info.value_size != sizeof(audit_core)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the auditor in ", dir, " is of another version of Corral; stop it and start it again"));
  }
  return objects;
}

absl::Status AuditObjects::Unpin(const std::string& dir) {
  // The links first: probes must not run on without the rest.
  for (int i = kCount - 1; i >= 0; --i) {
    const std::string path = absl::StrCat(dir, "/", kNames[i]);
    if (unlink(path.c_str()) && errno != ENOENT && errno != ENOTDIR)
      return Denied(absl::StrCat("remove ", path));
  }
  if (rmdir(dir.c_str()) == 0) return absl::OkStatus();
  if (errno == ENOENT)
    return absl::NotFoundError(absl::StrCat("no auditor is pinned in ", dir, "; nothing to stop"));
  return Denied(absl::StrCat("remove ", dir));
}

}  // namespace corral
