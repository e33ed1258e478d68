// SPDX-License-Identifier: Apache-2.0
// The side of corrald when its class is replaced by that of another corral-class, which may have
// another layout: only one sched_ext scheduler can be in charge, so between the two there is none,
// and the VMs are stopped (SIGSTOP) meanwhile: never unisolated, and held as briefly as possible,
// because the other class has been loaded and verified before.
//
// One thread; blocks. Give the enclaves' agents their leave first: they serve a class that goes.
#ifndef CORRAL_AGENT_CLASS_CLASS_HANDOVER_H_
#define CORRAL_AGENT_CLASS_CLASS_HANDOVER_H_

#include <sys/types.h>

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/class/handover_record.h"
#include "kernel/fd.h"
#include "kernel/ghost_kernel.h"

namespace corral {

class ClassHandover {
 public:
  // How long the kernel may take to verify a class, a process to stop, a class to come.
  static constexpr Duration kPreparation = std::chrono::seconds(60);
  static constexpr Duration kStopping = std::chrono::seconds(5);
  static constexpr Duration kTakeover = std::chrono::seconds(60);

  // `program`: the other corral-class. `whole_host`: as in ClassSizes. `kernel` must outlive it.
  ClassHandover(const ControlKernel& kernel, std::string folder, std::string program,
                bool whole_host)
      : kernel_(kernel),
        file_(folder),
        folder_(std::move(folder)),
        program_(std::move(program)),
        sizes_(ClassSizes::Of(kernel.info())) {
    sizes_.whole_host = whole_host;
  }
  ClassHandover(const ClassHandover&) = delete;
  ~ClassHandover();  // without Run(), nothing happened

  // Has the kernel load and verify the other class; calls `meanwhile` several times a second. True:
  // it waits. False: it is the one that is in charge, with the same threads. On an error nothing
  // happened. `same_abi`: only one that this very program can talk to will do.
  absl::StatusOr<bool> Prepare(bool same_abi, absl::FunctionRef<void()> meanwhile);

  // Hands over; how long the VMs were held. Failed with Cancelled: the VMs go on in the class that
  // was there all the time. Otherwise the view of the class, `kernel`, is of no use any more,
  // whatever became of it: begin anew. Any error: one of the two classes is in charge, and VMs go
  // on. DataLoss: not even that; they are stopped, and the status says what to do.
  absl::StatusOr<Duration> Run();

 private:
  absl::Status Spawn();
  absl::StatusOr<std::string> HearLine(Duration patience, absl::FunctionRef<void()> meanwhile);
  // How the successor ended, as the end of a sentence.
  std::string Bury(bool kill_it);
  absl::Status StopVms(HandoverRecord& record);
  // When the VMs went on.
  absl::StatusOr<Time> TakeOver();

  const ControlKernel& kernel_;
  const HandoverFile file_;
  const std::string folder_;
  const std::string program_;
  ClassSizes sizes_;
  pid_t successor_ = 0;
  Fd lock_, to_, from_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_CLASS_CLASS_HANDOVER_H_
