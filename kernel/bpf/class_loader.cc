// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf/class_loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "ghost.skel.h"
#include "kernel/abi/ghost.h"
#include "kernel/bpf/class_files.h"
#include "kernel/bpf/class_maps.h"
#include "kernel/bpf/class_release.h"
#include "kernel/bpf/class_succession.h"
#include "kernel/bpf/sched_ext_state.h"
#ifdef CORRAL_SEEDED_FAULTS
#include "tests/faults/seed_fault.h"
#endif

namespace corral {
namespace {

// SCX_OPS_SWITCH_PARTIAL of kernel/sched/ext_internal.h, which is in no header of user space.
constexpr uint64_t kSwitchPartial = 1ULL << 3;

// libbpf's own messages go into the error instead of onto stderr; warnings are kept for when the
// load fails.
class LibbpfLog {
 public:
  LibbpfLog() : previous_(libbpf_set_print(&LibbpfLog::Print)) { Text().clear(); }
  ~LibbpfLog() { libbpf_set_print(previous_); }
  // The last lines; the verifier says at the end what it did not like.
  std::string Tail() const {
    const std::string& text = Text();
    return text.size() <= kTail ? text : text.substr(text.size() - kTail);
  }

 private:
  static constexpr size_t kTail = 3000;
  // libbpf's callback has no argument of ours; one thread loads the class, once.
  static std::string& Text() {
    static thread_local std::string text;
    return text;
  }
  static int Print(libbpf_print_level level, const char* format, va_list args) {
    if (level > LIBBPF_WARN) return 0;
    char* line = nullptr;
    const int size = vasprintf(&line, format, args);
    if (size > 0) Text().append(line, size);
    free(line);
    return 0;
  }
  const libbpf_print_fn_t previous_;
};

// From here on only the class writes what others can map: a descriptor of a frozen map gives nobody
// more than reading. (A read-only descriptor would not do: the kernel refuses to map one as
// shared.)
absl::Status FreezeMaps(const ghost& s) {
  bpf_map* map;
  bpf_object__for_each_map(map, s.obj) {
    if (bpf_map__is_internal(map)) continue;
    if ((bpf_map__map_flags(map) & BPF_F_MMAPABLE) != 0 && bpf_map_freeze(bpf_map__fd(map)) != 0) {
      return absl::InternalError(
          absl::StrCat("cannot freeze map ", bpf_map__name(map), ": ", strerror(errno)));
    }
  }
  return absl::OkStatus();
}

absl::Status PinAt(int fd, const char* folder, const std::string& name) {
  const std::string path = absl::StrCat(folder, "/", name);
  if (bpf_obj_pin(fd, path.c_str()) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cannot pin ", path, ": ", strerror(errno)));
}

absl::Status PinAll(const ghost& s) {
  bpf_map* map;
  bpf_object__for_each_map(map, s.obj) {
    if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS || bpf_map__is_internal(map)) continue;
    if (const absl::Status status = PinAt(bpf_map__fd(map), kNextDir, bpf_map__name(map));
        !status.ok())
      return status;
  }
  bpf_program* program;
  bpf_object__for_each_program(program, s.obj) {
    if (bpf_program__type(program) != BPF_PROG_TYPE_SYSCALL) continue;
    // ghost_commit_prog is pinned as "commit".
    std::string name = bpf_program__name(program);
    name = name.substr(strlen("ghost_"), name.size() - strlen("ghost_") - strlen("_prog"));
    if (const absl::Status status = PinAt(bpf_program__fd(program), kNextDir, name); !status.ok())
      return status;
  }
  return absl::OkStatus();
}

absl::Status PinLink(bpf_link* link, const char* folder, const char* name) {
  if (link == nullptr)
    return absl::InternalError(absl::StrCat("cannot attach ", name, ": ", strerror(errno)));
  const absl::Status status = PinAt(bpf_link__fd(link), folder, name);
  // Closes our descriptor, no more: the pin alone holds the link from here on, also while this
  // process lives.
  bpf_link__destroy(link);
  return status;
}

struct Tracepoint {
  bpf_program* program;
  const char* pin;
};

// Before the class: it must not run a task before its switches are seen.
absl::Status AttachTracepoints(const ghost& s) {
  for (const Tracepoint& tracepoint : {Tracepoint{s.progs.ghost_sched_switch, "link_sched_switch"},
                                       Tracepoint{s.progs.ghost_timer_entry, "link_timer_entry"},
                                       Tracepoint{s.progs.ghost_cpuhp_enter, "link_cpuhp_enter"},
                                       Tracepoint{s.progs.ghost_cpuhp_exit, "link_cpuhp_exit"}}) {
    if (const absl::Status status =
            PinLink(bpf_program__attach(tracepoint.program), kNextDir, tracepoint.pin);
        !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status Attach(const ghost& s) {
  if (const absl::Status status =
          PinLink(bpf_map__attach_struct_ops(s.maps.corral_ops), kClassDir, "link_class");
      !status.ok())
    return status;
  // Many failures are reported only through ops.exit.
  ghost_class_info info = {};
  const uint32_t zero = 0;
  if (bpf_map__lookup_elem(s.maps.class_info, &zero, sizeof(zero), &info, sizeof(info), 0) != 0 ||
      !info.enabled) {
    return absl::FailedPreconditionError(
        absl::StrCat("the kernel refused the class: ", info.exit_reason, ": ", info.exit_message));
  }
  return absl::OkStatus();
}

absl::Status MakeNextDir() {
  if (!BpffsIsMounted()) {
    return absl::FailedPreconditionError(
        absl::StrCat("bpffs is not mounted on ", kBpffs, "; run: mount -t bpf bpf ", kBpffs));
  }
  RemoveOtherClasses();
  if (mkdir(kNextDir, 0700) == 0) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("cannot make ", kNextDir, ": ", strerror(errno), "; run as root"));
}

absl::Status WithLog(const absl::Status& status, const LibbpfLog& log) {
  return status.ok()
             ? status
             : absl::Status(status.code(), absl::StrCat(status.message(), "\n", log.Tail()));
}

absl::Status CheckCores(const std::vector<ClassCore>& cores) {
  for (const ClassCore& core : cores) {
    if (core.siblings.empty() || core.siblings.size() > GHOST_MAX_SIBLINGS) {
      return absl::InvalidArgumentError(absl::StrCat("a core with ", core.siblings.size(),
                                                     " SMT siblings; 1 to ", GHOST_MAX_SIBLINGS,
                                                     " are supported"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

void PreparedClass::Deleter::operator()(ghost* skeleton) const { ghost::destroy(skeleton); }

uint64_t ClassObject() {
  size_t size = 0;
  const void* const bytes = ghost::elf_bytes(&size);
  return static_cast<uint64_t>(size) << 32 | crc32_z(0, static_cast<const Bytef*>(bytes), size);
}

absl::StatusOr<PreparedClass> PreparedClass::Make(const std::vector<ClassCore>& cores,
                                                  const ClassSizes& sizes) {
  if (const absl::Status status = CheckCores(cores); !status.ok()) return status;
  const LibbpfLog log;
  Skeleton skeleton(ghost::open());
  if (skeleton == nullptr)
    return absl::InternalError(absl::StrCat("cannot open the class's program: ", log.Tail()));
  const ClassLayout layout(cores, sizes, ClassObject());
  if (sizes.whole_host) skeleton->struct_ops.corral_ops->flags &= ~kSwitchPartial;
  if (const absl::Status status = SizeClassMaps(skeleton->obj, layout); !status.ok()) return status;
#ifdef CORRAL_SEEDED_FAULTS
  if (const absl::Status status = SeedFault(*skeleton); !status.ok()) return status;
#endif
  if (const int error = ghost::load(skeleton.get()); error != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "this kernel cannot load the class (", strerror(-error), "); what it said:\n", log.Tail()));
  }
  if (const absl::Status status = FillClassMaps(skeleton->obj, layout); !status.ok()) return status;
  if (const absl::Status status = FreezeMaps(*skeleton); !status.ok()) return status;
  return PreparedClass(std::move(skeleton));
}

PreparedClass::~PreparedClass() {
  if (skeleton_ != nullptr && pinned_) RemoveOtherClasses();
}

absl::Status PreparedClass::Pin() {
  if (const absl::Status status = MakeNextDir(); !status.ok()) return status;
  pinned_ = true;
  const LibbpfLog log;
  if (const absl::Status status = PinAll(*skeleton_); !status.ok()) return status;
  return WithLog(AttachTracepoints(*skeleton_), log);
}

absl::Status PreparedClass::Rehearse() {
  const LibbpfLog log;
  bpf_link* const link = bpf_map__attach_struct_ops(skeleton_->maps.corral_ops);
  if (link == nullptr && errno == EBUSY) return absl::OkStatus();
  if (link == nullptr)
    return WithLog(absl::FailedPreconditionError(
                       absl::StrCat("the kernel refuses the class: ", strerror(errno))),
                   log);
  bpf_link__destroy(link);
  return absl::FailedPreconditionError("the class that was in charge has gone");
}

absl::Status PreparedClass::Enter() {
  if (const absl::Status status = InstallNextClass(); !status.ok()) return status;
  pinned_ = false;
  const LibbpfLog log;
  const absl::Status status = WithLog(Attach(*skeleton_), log);
  if (!status.ok()) {
    // The first error is the one to tell.
    ReleaseClass({.scope = ReleaseScope::kForAnother}).status.IgnoreError();
  }
  return status;
}

absl::Status CheckHost() {
  if (geteuid() != 0)
    return absl::PermissionDeniedError(
        "loading the class needs root (CAP_BPF, CAP_PERFMON, CAP_SYS_NICE); run as root");
  const SchedExtState sched_ext = ReadSchedExtState();
  if (!sched_ext.present) {
    return absl::FailedPreconditionError(
        "this kernel has no sched_ext (CONFIG_SCHED_CLASS_EXT); boot one that has, Linux 7.0 or "
        "newer");
  }
  if (access("/sys/kernel/btf/vmlinux", R_OK) != 0) {
    return absl::FailedPreconditionError(
        "this kernel has no BTF (CONFIG_DEBUG_INFO_BTF); boot one that has");
  }
  if (!sched_ext.Disabled()) {
    return absl::FailedPreconditionError(absl::StrCat("another sched_ext scheduler is loaded (",
                                                      sched_ext.scheduler, ", ", sched_ext.state,
                                                      "); stop it first"));
  }
  return absl::OkStatus();
}

absl::Status LoadClass(const std::vector<ClassCore>& cores, const ClassSizes& sizes) {
  if (ClassIsPinned()) return ThereIsAClass();
  if (const absl::Status status = CheckHost(); !status.ok()) return status;
  absl::StatusOr<PreparedClass> prepared = PreparedClass::Make(cores, sizes);
  if (!prepared.ok()) return prepared.status();
  if (const absl::Status status = prepared->Pin(); !status.ok()) return status;
  return prepared->Enter();
}

absl::Status UnloadClass() {
  if (!ClassIsPinned()) return absl::FailedPreconditionError("no class is loaded");
  return ReleaseClass({}).status;
}

}  // namespace corral
