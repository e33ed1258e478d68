// SPDX-License-Identifier: Apache-2.0
// Gives the maps of an opened BPF object that holds the class (or a part of it) their sizes, and
// their first contents. Maps that the object does not have are passed over.
#ifndef CORRAL_KERNEL_BPF_CLASS_MAPS_H_
#define CORRAL_KERNEL_BPF_CLASS_MAPS_H_

#include <bpf/libbpf.h>

#include "absl/status/status.h"
#include "kernel/class_layout.h"

namespace corral {

// Before the object is loaded. Internal: libbpf's reason.
absl::Status SizeClassMaps(const bpf_object* object, const ClassLayout& layout);
// Afterwards. Internal: the kernel's reason.
absl::Status FillClassMaps(const bpf_object* object, const ClassLayout& layout);

}  // namespace corral

#endif  // CORRAL_KERNEL_BPF_CLASS_MAPS_H_
