// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf/class_maps.h"

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace corral {
namespace {

template <typename T>
absl::Status Put(const bpf_object* object, const char* name, uint32_t key, const T& value) {
  const bpf_map* const map = bpf_object__find_map_by_name(object, name);
  if (map == nullptr ||
      bpf_map__update_elem(map, &key, sizeof(key), &value, sizeof(value), BPF_ANY) == 0) {
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat("cannot fill map ", name, ": ", strerror(errno)));
}

}  // namespace

absl::Status SizeClassMaps(const bpf_object* object, const ClassLayout& layout) {
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    const char* const name = bpf_map__name(map);
    const uint32_t entries = layout.EntriesOf(name);
    if (entries != 0 && bpf_map__set_max_entries(map, entries) != 0)
      return absl::InternalError(absl::StrCat("cannot size map ", name));
  }
  return absl::OkStatus();
}

absl::Status FillClassMaps(const bpf_object* object, const ClassLayout& layout) {
  for (uint32_t id = 0; id < layout.cores().size(); ++id) {
    const absl::Status status = Put(object, "cores", id, layout.cores()[id]);
    if (!status.ok()) return status;
  }
  for (uint32_t id = 0; id < layout.cpus().size(); ++id) {
    const absl::Status status = Put(object, "cpu_configs", id, layout.cpus()[id]);
    if (!status.ok()) return status;
  }
  return Put(object, "class_info", 0, layout.info());
}

}  // namespace corral
