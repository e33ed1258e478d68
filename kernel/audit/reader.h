// SPDX-License-Identifier: Apache-2.0
// Turns the auditor's maps into an AuditReport. Internal to kernel/audit.
#ifndef CORRAL_KERNEL_AUDIT_READER_H_
#define CORRAL_KERNEL_AUDIT_READER_H_

#include <bpf/bpf.h>
#include <time.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "kernel/audit/objects.h"
#include "kernel/audit/report.h"

namespace corral {

// CLOCK_MONOTONIC in ns, the clock of the probes.
inline uint64_t AuditNow() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * UINT64_C(1'000'000'000) + now.tv_nsec;
}

// Calls f(key, value) for each entry of a hash map that has a spin lock if `locked`. The entry is a
// consistent copy; entries that come or go meanwhile may or may not be seen.
template <typename Key, typename Value, typename F>
void ForEachEntry(int map, bool locked, F&& f) {
  Key key;
  Value value;
  for (bool more = bpf_map_get_next_key(map, nullptr, &key) == 0; more;) {
    if (bpf_map_lookup_elem_flags(map, &key, &value, locked ? BPF_F_LOCK : 0) == 0) f(key, value);
    Key next;
    more = bpf_map_get_next_key(map, &key, &next) == 0;
    key = next;
  }
}

absl::StatusOr<AuditReport> ReadAuditReport(const AuditObjects& objects);

}  // namespace corral

#endif  // CORRAL_KERNEL_AUDIT_READER_H_
