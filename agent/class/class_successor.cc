// SPDX-License-Identifier: Apache-2.0
#include "agent/class/class_successor.h"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/class/class_state.h"
#include "agent/class/handover_record.h"
#include "agent/class/handover_step.h"
#include "agent/class/load_class.h"
#include "kernel/bpf/bpf_control_kernel.h"
#include "kernel/bpf/class_release.h"
#include "kernel/bpf/class_succession.h"

namespace corral {
namespace {

// How long those who are at work on a handover may take.
constexpr Duration kPatience = std::chrono::seconds(60);

bool Say(const std::string& line) {
  const std::string text = line + "\n";
  return write(STDOUT_FILENO, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// The other side writes a line at once, or is gone.
bool Hear(const std::string& line) {
  char text[16];
  const ssize_t got = read(STDIN_FILENO, text, sizeof(text));
  return got > 0 && std::string(text, static_cast<size_t>(got)) == line + "\n";
}

// Whoever could not be taken over runs alone on its core, until corrald takes it in.
void Fill(ControlKernel& kernel, const HandoverRecord& record) {
  for (const std::string& problem : RestoreClass(kernel, record.state))
    fprintf(stderr, "corral-class: not taken over: %s\n", problem.c_str());
}

// What was restored must not be once more, when they have run.
void Finish(const HandoverFile& file, HandoverRecord& record) {
  record.state = nullptr;
  file.Write(record).IgnoreError();
  record.stopped.ResumeAll();
  Reached(HandoverStep::kResumed);
  file.Remove();
}

}  // namespace

absl::Status SucceedClass(const SuccessorOptions& options) {
  if (ClassObject() == options.present) {
    Say("same");
    return absl::OkStatus();
  }
  absl::StatusOr<PreparedClass> prepared = PrepareClassHere(options.sizes);
  if (!prepared.ok()) return prepared.status();
  if (const absl::Status pinned = prepared->Pin(); !pinned.ok()) return pinned;
  if (const absl::Status ready = prepared->Rehearse(); !ready.ok()) return ready;
  const absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = BpfControlKernel::OpenNext();
  if (!kernel.ok()) return kernel.status();
  if (!Say(absl::StrCat("ready ", GHOST_ABI_VERSION)) || !Hear("go"))
    return absl::CancelledError("corrald did not say \"go\"");
  const HandoverFile file(options.folder);
  absl::StatusOr<std::optional<HandoverRecord>> record = file.Read();
  if (!record.ok()) return record.status();
  if (!*record) return absl::FailedPreconditionError("nothing was written down; only corrald does");
  Reached(HandoverStep::kAboutToLeave);
  if (const absl::Status left = DisplaceClass(); !left.ok()) return left;
  Reached(HandoverStep::kLeft);
  if (const absl::Status entered = prepared->Enter(); !entered.ok()) return entered;
  Reached(HandoverStep::kEntered);
  Fill(**kernel, **record);
  Reached(HandoverStep::kRestored);
  Finish(file, **record);
  Say("done");
  RemoveOtherClasses();
  return absl::OkStatus();
}

absl::StatusOr<bool> MendHandover(const std::string& folder) {
  const HandoverFile file(folder);
  const absl::StatusOr<Fd> lock = file.Lock(kPatience);
  if (!lock.ok()) return lock.status();
  absl::StatusOr<std::optional<HandoverRecord>> record = file.Read();
  if (!record.ok()) return record.status();
  // Without a state nothing but their being stopped has happened.
  if (*record && !(*record)->state.is_null()) {
    absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = BpfControlKernel::Open();
    if (!kernel.ok()) {
      const ReleaseReport left = ReleaseClass({.scope = ReleaseScope::kForAnother});
      if (!left.status.ok()) return left.status;
      if (const absl::Status loaded = LoadClassHere((*record)->sizes); !loaded.ok()) return loaded;
      kernel = BpfControlKernel::Open();
    }
    if (!kernel.ok()) return kernel.status();
    Fill(**kernel, **record);
  }
  RemoveOtherClasses();
  if (!*record) return false;
  Finish(file, **record);
  return true;
}

std::vector<pid_t> AbandonHandover(const std::string& folder) {
  const HandoverFile file(folder);
  // Where nothing was written down there is nothing to give up, and nothing shall be made for it,
  // the lock neither.
  if (const auto written = file.Read(); written.ok() && !*written) return {};
  const absl::StatusOr<Fd> lock = file.Lock(Duration(0));
  if (!lock.ok()) return {};
  absl::StatusOr<std::optional<HandoverRecord>> record = file.Read();
  if (!record.ok() || !*record) return {};
  std::vector<pid_t> resumed = (*record)->stopped.ResumeAll();
  file.Remove();
  return resumed;
}

}  // namespace corral
