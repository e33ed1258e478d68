// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/class_recovery.h"

#include <cstring>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "agent/class/load_class.h"
#include "kernel/bpf/class_files.h"
#include "kernel/bpf/class_folder.h"
#include "kernel/bpf/class_release.h"
#include "kernel/text_field.h"

namespace corral {
namespace {

constexpr Duration kBetweenAttempts = std::chrono::milliseconds(500);

}  // namespace

bool ClassRecovery::Run(PausedVms& paused) {
  const Time begin = kernel_.Now();
  if (config_.class_loss != ClassLoss::kRelease) paused = PausedVms::Pause(kernel_);
  log_(
      {Event::kClassLost,
       absl::StrCat("CLASS LOST: ", Reason(), "; ",
                    config_.class_loss == ClassLoss::kRelease
                        ? "class_loss: release, so VMs go on and may share cores"
                        : absl::StrCat("stopped ", paused.size(), " processes until it is back"))});
  const bool back = Reload();
  if (back) {
    log_({Event::kClassBack,
          absl::StrCat("the class is loaded again, after ",
                       (kernel_.Now() - begin) / std::chrono::milliseconds(1), " ms")});
  } else {
    WithoutClass(paused);
  }
  return back;
}

std::string ClassRecovery::Reason() const {
  const ghost_class_info& info = kernel_.info();
  if (info.enabled)
    return absl::StrCat("its files are gone from ", kBpffs, ", as if that had been unmounted");
  return absl::StrCat("the kernel put it out of charge (", TextOf(info.exit_reason), ": ",
                      TextOf(info.exit_message), ")");
}

bool ClassRecovery::Reload() {
  MountBpffsIfGone();
  const Time end = kernel_.Now() + kMaxPause;
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    // What is left of the old one, its threads' policy above all: a new class would not know them.
    ReleaseClass({.scope = ReleaseScope::kAttached});
    const absl::Status loaded = LoadClassHere(ClassSizes::Of(kernel_.info()));
    if (loaded.ok()) return true;
    log_(absl::StrCat("attempt ", attempt, " to load the class: ", loaded.message()));
    if (kernel_.Now() + kBetweenAttempts > end) break;
    std::this_thread::sleep_for(kBetweenAttempts);
  }
  return false;
}

void ClassRecovery::WithoutClass(PausedVms& paused) {
  constexpr char kRemedy[] = "; remove the cause, then: systemctl restart corral-class corrald";
  switch (config_.class_loss) {
    case ClassLoss::kRelease:
      log_({Event::kClassGone,
            absl::StrCat("the class cannot be loaded; VMs may share cores from now on", kRemedy)});
      return;
    case ClassLoss::kPause:
      log_({Event::kClassGone,
            absl::StrCat("the class cannot be loaded; class_loss: pause, so ", paused.size(),
                         " processes stay stopped (SIGSTOP)", kRemedy)});
      return;
    case ClassLoss::kRecover:
      if (!TakeSiblingsOffline()) {
        log_({Event::kClassGone,
              absl::StrCat("neither the class nor fewer siblings: ", paused.size(),
                           " processes stay stopped (SIGSTOP)", kRemedy)});
        return;
      }
      log_({Event::kClassGone, absl::StrCat("VMs go on, ", paused.ResumeAll().size(), " processes",
                                            kRemedy, ", after the CPUs were set online again")});
  }
}

// Without a second sibling there is nothing to share. True: all of the enclaves' cores have one.
bool ClassRecovery::TakeSiblingsOffline() {
  bool all = true;
  CpuSet offline;
  for (const ghost_core_state& core : kernel_.cores()) {
    for (uint32_t i = 1; core.enclave != GHOST_NO_ENCLAVE && i < core.nr_cpus; ++i) {
      std::ofstream file(absl::StrCat("/sys/devices/system/cpu/cpu", core.cpus[i], "/online"));
      file << 0 << std::flush;
      all = all && static_cast<bool>(file);
      if (file) offline.Insert(CpuId(core.cpus[i]));
    }
  }
  log_({Event::kSiblingsOffline,
        absl::StrCat("the class cannot be loaded; taken offline, so that no core has a second SMT ",
                     "sibling: CPUs ", offline.empty() ? "none" : offline.Format())});
  return all;
}

}  // namespace corral
