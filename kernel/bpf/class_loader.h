// SPDX-License-Identifier: Apache-2.0
// Loads the class into the kernel, pins it, and takes it out again. Root only; one class per
// machine.
//
// The pins own the class: it stays when the loader exits, and leaves with UnloadClass() only.
#ifndef CORRAL_KERNEL_BPF_CLASS_LOADER_H_
#define CORRAL_KERNEL_BPF_CLASS_LOADER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernel/class_layout.h"

struct ghost;  // the skeleton

namespace corral {

// Which build of the class this program holds: ghost_class_info.object, once it is loaded.
uint64_t ClassObject();

// A class that the kernel has verified and that is not in charge. Goes with this object, unless
// Enter() has put it in charge. One per machine.
class PreparedClass {
 public:
  PreparedClass(PreparedClass&&) = default;
  ~PreparedClass();

  // FailedPrecondition with the remedy when the kernel cannot load it.
  static absl::StatusOr<PreparedClass> Make(const std::vector<ClassCore>& cores,
                                            const ClassSizes& sizes);

  // In kNextDir, with its tracepoints. FailedPrecondition: no bpffs.
  absl::Status Pin();
  // While another one is in charge: what the kernel does before it finds that out takes its time,
  // and is done then. FailedPrecondition: it does not want the class, or the other one has gone.
  absl::Status Rehearse();
  // Once it is pinned: makes it the class, and puts it in charge. AlreadyExists: another one is
  // there. FailedPrecondition: the kernel refuses it. On an error nothing of it is left.
  absl::Status Enter();

 private:
  struct Deleter {
    void operator()(ghost* skeleton) const;
  };
  using Skeleton = std::unique_ptr<ghost, Deleter>;
  explicit PreparedClass(Skeleton skeleton) : skeleton_(std::move(skeleton)) {}

  Skeleton skeleton_;
  bool pinned_ = false;  // in kNextDir
};

// FailedPrecondition with the remedy when the kernel has no usable sched_ext, another scheduler is
// loaded, or a class is there already. On any error nothing is left behind.
absl::Status LoadClass(const std::vector<ClassCore>& cores, const ClassSizes& sizes);

// Gives every attached thread back to its former policy, then takes the class out. Works on an
// ejected class as well, and with pins missing: class_release.h. FailedPrecondition: there is none.
absl::Status UnloadClass();

// Whether this kernel could run the class, without changing anything: FailedPrecondition says what
// is missing.
absl::Status CheckHost();

}  // namespace corral

#endif  // CORRAL_KERNEL_BPF_CLASS_LOADER_H_
