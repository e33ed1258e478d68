// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf/confined_threads.h"

#include <bpf/bpf.h>
#include <sched.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernel/abi/ghost.h"
#include "kernel/bpf/class_files.h"
#include "kernel/bpf/threads_by_policy.h"
#include "kernel/cpu_mask.h"

namespace corral {
namespace {

constexpr char kPin[] = "confined";

absl::StatusOr<CpuSet> AffinityOf(pid_t tid) {
  cpu_set_t mask;
  if (sched_getaffinity(tid, sizeof(mask), &mask) != 0)
    return absl::NotFoundError(absl::StrCat("thread ", tid, " has ended"));
  return FromMask(mask);
}

absl::Status SetAffinity(pid_t tid, const CpuSet& cpus) {
  const cpu_set_t mask = MaskOf(cpus);
  if (sched_setaffinity(tid, sizeof(mask), &mask) == 0) return absl::OkStatus();
  if (errno == ESRCH) return absl::NotFoundError(absl::StrCat("thread ", tid, " has ended"));
  return absl::InternalError(
      absl::StrCat("cannot bind thread ", tid, " to CPUs ", cpus.Format(), ": ", strerror(errno)));
}

ghost_affinity ToAbi(const CpuSet& cpus) {
  ghost_affinity mask = {};
  cpus.ForEach([&](CpuId cpu) { mask.cpus[cpu.value() / 64] |= 1ULL << (cpu.value() % 64); });
  return mask;
}

CpuSet FromAbi(const ghost_affinity& mask) {
  CpuSet cpus;
  for (int cpu = 0; cpu < 64 * GHOST_AFFINITY_WORDS; ++cpu) {
    if (mask.cpus[cpu / 64] >> (cpu % 64) & 1) cpus.Insert(CpuId(cpu));
  }
  return cpus;
}

std::vector<uint32_t> KeysOf(int map) {
  std::vector<uint32_t> keys;
  uint32_t key = 0;
  for (const uint32_t* last = nullptr; bpf_map_get_next_key(map, last, &key) == 0; last = &key)
    keys.push_back(key);
  return keys;
}

// A cpuset of its cgroup may hide what a thread was bound to. Then the wider mask shows no effect,
// but will when the cpuset goes; if it shows one, somebody has bound the thread since.
bool Undo(pid_t tid, const ghost_confined& entry) {
  const absl::StatusOr<CpuSet> before = AffinityOf(tid);
  // One in the class is a vCPU, whose CPUs are its own business.
  if (!before.ok() || PolicyOf(tid) == kSchedExtPolicy) return false;
  if (!SetAffinity(tid, FromAbi(entry.former)).ok()) return false;
  if (*before == FromAbi(entry.now)) return true;
  const absl::StatusOr<CpuSet> after = AffinityOf(tid);
  return after.ok() && (*after == *before || !SetAffinity(tid, *before).ok());
}

}  // namespace

absl::StatusOr<ConfinedThreads> ConfinedThreads::Open(CpuSet housekeeping, CpuSet unbound) {
  absl::StatusOr<Fd> map = OpenPin(kPin);
  if (!map.ok()) return map.status();
  return ConfinedThreads(*std::move(map), housekeeping, unbound);
}

absl::StatusOr<bool> ConfinedThreads::Confine(pid_t process, pid_t tid) const {
  const absl::StatusOr<CpuSet> now = AffinityOf(tid);
  if (!now.ok()) return now.status();
  // One that a confined thread made was born so.
  const bool born_confined = *now == housekeeping_;
  if (!born_confined && !now->Contains(unbound_)) return false;
  // Written down before the change: a line too much does no harm, one too few would.
  const uint32_t key = static_cast<uint32_t>(tid);
  const ghost_confined entry = {.tgid = static_cast<uint32_t>(process),
                                .now = ToAbi(housekeeping_),
                                .former = ToAbi(born_confined ? unbound_ : *now)};
  if (bpf_map_update_elem(map_.get(), &key, &entry, born_confined ? BPF_NOEXIST : BPF_ANY) != 0 &&
      !(born_confined && errno == EEXIST)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("thread ", tid, " is not bound to the housekeeping CPUs, because it could ",
                     "not be written down: ", strerror(errno)));
  }
  if (born_confined) return false;
  if (const absl::Status status = SetAffinity(tid, housekeeping_); !status.ok()) return status;
  return true;
}

absl::Status ConfinedThreads::Free(pid_t tid) const {
  const absl::StatusOr<CpuSet> now = AffinityOf(tid);
  if (!now.ok()) return now.status();
  return *now == housekeeping_ ? SetAffinity(tid, unbound_) : absl::OkStatus();
}

size_t UndoConfinement() {
  const absl::StatusOr<Fd> map = OpenPin(kPin);
  if (!map.ok()) return 0;
  bpf_map_info info = {};
  __u32 size = sizeof(info);
  // A class of another release may write it down in another way.
  if (bpf_map_get_info_by_fd(map->get(), &info, &size) != 0 ||
      info.value_size != sizeof(ghost_confined))
    return 0;
  size_t undone = 0;
  for (const uint32_t key : KeysOf(map->get())) {
    ghost_confined entry = {};
    if (bpf_map_lookup_elem(map->get(), &key, &entry) != 0) continue;
    bpf_map_delete_elem(map->get(), &key);
    const pid_t tid = static_cast<pid_t>(key);
    if (IsThreadOf(tid, static_cast<pid_t>(entry.tgid)) && Undo(tid, entry)) ++undone;
  }
  return undone;
}

}  // namespace corral
