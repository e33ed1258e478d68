// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf/bpf_control_kernel.h"

#include <bpf/bpf.h>
#include <sched.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "kernel/bpf/program_call.h"
#include "kernel/bpf/ring_queue.h"
#include "kernel/call_status.h"
#include "kernel/text_field.h"

namespace corral {
namespace {

// 3,640 messages of 64 bytes with 8 of the ring's: more than all tasks of a core produce while its
// agent is away for a tick.
constexpr uint32_t kQueueBytes = 256 * 1024;

// In the order of ControlCall.
constexpr const char* kPrograms[] = {
    "enclave_create", "enclave_update", "enclave_destroy", "core_assign", "agent_bless",
    "domain_create",  "domain_destroy", "task_attach",     "task_update", "task_relabel",
    "task_detach",    "task_restore",   "core_restore"};

template <typename T>
absl::Status MapPin(const char* folder, const char* name, MappedArray<T>& array) {
  const absl::StatusOr<Fd> fd = OpenPin(name, folder);
  if (!fd.ok()) return fd.status();
  absl::StatusOr<MappedArray<T>> mapped = MappedArray<T>::Map(fd->get(), name);
  if (!mapped.ok()) return mapped.status();
  array = *std::move(mapped);
  return absl::OkStatus();
}

absl::Status OpenInto(const char* folder, const char* name, Fd& fd) {
  absl::StatusOr<Fd> pin = OpenPin(name, folder);
  if (!pin.ok()) return pin.status();
  fd = *std::move(pin);
  return absl::OkStatus();
}

absl::Status FirstError(std::initializer_list<absl::Status> statuses) {
  for (const absl::Status& status : statuses) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<BpfControlKernel>> BpfControlKernel::Open() {
  absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = OpenEvenIfLost();
  if (!kernel.ok() || (*kernel)->info().enabled) return kernel;
  const ghost_class_info& info = (*kernel)->info();
  return absl::FailedPreconditionError(
      absl::StrCat("the kernel put the class out of charge (", TextOf(info.exit_reason), ": ",
                   TextOf(info.exit_message), "); restart corral-class.service"));
}

absl::StatusOr<std::unique_ptr<BpfControlKernel>> BpfControlKernel::OpenEvenIfLost() {
  return OpenIn(kClassDir);
}

absl::StatusOr<std::unique_ptr<BpfControlKernel>> BpfControlKernel::OpenNext() {
  return OpenIn(kNextDir);
}

absl::StatusOr<std::unique_ptr<BpfControlKernel>> BpfControlKernel::OpenIn(const char* folder) {
  std::unique_ptr<BpfControlKernel> kernel(new BpfControlKernel);
  BpfControlKernel& k = *kernel;
  // One of another version may have other maps.
  absl::Status info = MapPin(folder, "class_info", k.info_);
  if (info.ok()) info = CheckAbiVersion(k.info_[0], "program");
  if (!info.ok()) return info;
  if (const absl::Status status = FirstError(
          {MapPin(folder, "enclaves", k.enclaves_), MapPin(folder, "domains", k.domains_),
           MapPin(folder, "cores", k.cores_), MapPin(folder, "cpu_configs", k.cpus_),
           MapPin(folder, "cpu_states", k.cpu_states_),
           MapPin(folder, "status_words", k.status_words_),
           MapPin(folder, "affinities", k.affinities_), MapPin(folder, "waits", k.waits_),
           MapPin(folder, "tallies", k.tallies_), MapPin(folder, "traces", k.traces_),
           MapPin(folder, "queue_states", k.queue_states_), OpenInto(folder, "queues", k.queues_)});
      !status.ok()) {
    return status;
  }
  const Memory memory = {.class_info = &k.info_[0],
                         .enclaves = k.enclaves_.span(),
                         .domains = k.domains_.span(),
                         .cores = k.cores_.span(),
                         .cpu_configs = k.cpus_.span(),
                         .cpu_states = k.cpu_states_.span(),
                         .status_words = k.status_words_.span(),
                         .affinities = k.affinities_.span(),
                         .waits = k.waits_.span(),
                         .tallies = k.tallies_.span(),
                         .traces = k.traces_.span(),
                         .queue_states = k.queue_states_.span()};
  if (const absl::Status status = k.Bind(memory); !status.ok()) return status;
  for (const char* name : kPrograms) {
    absl::StatusOr<Fd> program = OpenPin(name, folder);
    if (!program.ok()) return program.status();
    k.programs_.push_back(*std::move(program));
  }
  return kernel;
}

Time BpfControlKernel::Now() const { return MonotonicNow(); }

absl::Status BpfControlKernel::CallClass(ControlCall call, void* args, size_t size) {
  return CallProgram(programs_[static_cast<size_t>(call)].get(), args, size);
}

absl::Status BpfControlKernel::MakeQueue(CoreId core) {
  const Fd ring(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "corral_queue", 0, 0, kQueueBytes, nullptr));
  const uint32_t key = core.value();
  const int fd = ring.get();
  if (fd < 0 || bpf_map_update_elem(queues_.get(), &key, &fd, BPF_ANY) != 0) {
    return absl::InternalError(
        absl::StrCat("cannot make the message queue of core ", key, ": ", strerror(errno)));
  }
  return absl::OkStatus();
}

int BpfControlKernel::PolicyOf(pid_t tid) const { return sched_getscheduler(tid); }

absl::Status BpfControlKernel::SetPolicy(pid_t tid, int policy) {
  const sched_param param = {};
  if (sched_setscheduler(tid, policy, &param) == 0) return absl::OkStatus();
  if (errno == ESRCH) return absl::NotFoundError(absl::StrCat("thread ", tid, " has ended"));
  return absl::InternalError(
      absl::StrCat("cannot set the scheduling policy of thread ", tid, ": ", strerror(errno)));
}

}  // namespace corral
