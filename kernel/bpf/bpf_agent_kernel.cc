// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf/bpf_agent_kernel.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "kernel/bpf/program_call.h"
#include "kernel/bpf/ring_queue.h"

namespace corral {
namespace {

constexpr const char* kAgentMaps[] = {"class_info",   "enclaves",    "cores",
                                      "txns",         "cpu_configs", "cpu_states",
                                      "status_words", "affinities",  "queue_states"};
// In the order of AgentCall.
constexpr const char* kAgentPrograms[] = {"commit",      "commit_few",   "commit_many",
                                          "agent_enter", "associate",    "timer_arm",
                                          "task_grant",  "task_account", "task_offer"};

std::string QueueName(uint32_t queue) { return absl::StrCat("queue.", queue); }

// The ring buffer behind an entry of the outer map.
absl::StatusOr<Fd> OpenRing(int queues_fd, uint32_t queue) {
  __u32 id = 0;
  if (bpf_map_lookup_elem(queues_fd, &queue, &id) != 0) {
    return absl::NotFoundError(
        absl::StrCat("the class has no queue ", queue, "; is core ", queue, " in an enclave?"));
  }
  const int fd = bpf_map_get_fd_by_id(id);
  if (fd < 0)
    return absl::InternalError(absl::StrCat("cannot open queue ", queue, ": ", strerror(errno)));
  return Fd(fd);
}

template <typename T>
absl::Status MapInto(const std::map<std::string, Fd>& fds, const char* name,
                     MappedArray<T>& array) {
  const auto fd = fds.find(name);
  if (fd == fds.end()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "no descriptor named ", name, " was passed to this agent; agents are started by corrald"));
  }
  absl::StatusOr<MappedArray<T>> mapped = MappedArray<T>::Map(fd->second.get(), name);
  if (!mapped.ok()) return mapped.status();
  array = *std::move(mapped);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<NamedFd>> DescriptorsForAgent(absl::Span<const CoreId> cores) {
  std::vector<NamedFd> fds;
  for (const char* name : kAgentMaps) {
    absl::StatusOr<Fd> fd = OpenPin(name);
    if (!fd.ok()) return fd.status();
    fds.push_back({name, *std::move(fd)});
  }
  for (const char* name : kAgentPrograms) {
    absl::StatusOr<Fd> fd = OpenPin(name);
    if (!fd.ok()) return fd.status();
    fds.push_back({name, *std::move(fd)});
  }
  const absl::StatusOr<Fd> queues = OpenPin("queues");
  if (!queues.ok()) return queues.status();
  for (const CoreId core : cores) {
    absl::StatusOr<Fd> ring = OpenRing(queues->get(), core.value());
    if (!ring.ok()) return ring.status();
    fds.push_back({QueueName(core.value()), *std::move(ring)});
  }
  return fds;
}

absl::StatusOr<std::unique_ptr<BpfAgentKernel>> BpfAgentKernel::FromInheritedFds(
    absl::string_view enclave) {
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(/*unset_environment=*/1, &names);
  if (count <= 0) {
    return absl::FailedPreconditionError(
        "no descriptors were passed to this agent; agents are started by corrald");
  }
  std::map<std::string, Fd> fds;
  for (int i = 0; i < count; ++i) {
    fds[names[i]] = Fd(SD_LISTEN_FDS_START + i);
    free(names[i]);
  }
  free(names);
  return FromDescriptors(std::move(fds), enclave);
}

absl::StatusOr<std::unique_ptr<BpfAgentKernel>> BpfAgentKernel::FromDescriptors(
    std::map<std::string, Fd> fds, absl::string_view enclave) {
  std::unique_ptr<BpfAgentKernel> kernel(new BpfAgentKernel);
  kernel->fds_ = std::move(fds);
  for (const absl::Status& status :
       {MapInto(kernel->fds_, "class_info", kernel->info_),
        MapInto(kernel->fds_, "enclaves", kernel->enclaves_),
        MapInto(kernel->fds_, "cores", kernel->cores_),
        MapInto(kernel->fds_, "txns", kernel->txns_),
        MapInto(kernel->fds_, "cpu_configs", kernel->cpus_),
        MapInto(kernel->fds_, "cpu_states", kernel->cpu_states_),
        MapInto(kernel->fds_, "status_words", kernel->status_words_),
        MapInto(kernel->fds_, "affinities", kernel->affinities_),
        MapInto(kernel->fds_, "queue_states", kernel->queue_states_)}) {
    if (!status.ok()) return status;
  }
  for (const char* name : kAgentPrograms) {
    const auto fd = kernel->fds_.find(name);
    if (fd == kernel->fds_.end()) {
      return absl::FailedPreconditionError(
          absl::StrCat("no descriptor named ", name, " was passed to this agent"));
    }
    kernel->programs_.push_back(fd->second.get());
  }
  const Memory memory = {.class_info = &kernel->info_[0],
                         .enclaves = kernel->enclaves_.span(),
                         .cores = kernel->cores_.span(),
                         .txns = kernel->txns_.span(),
                         .cpu_configs = kernel->cpus_.span(),
                         .cpu_states = kernel->cpu_states_.span(),
                         .status_words = kernel->status_words_.span(),
                         .affinities = kernel->affinities_.span(),
                         .queue_states = kernel->queue_states_.span()};
  const uint64_t first_cookie = static_cast<uint64_t>(getpid()) << 40;
  if (const absl::Status status = kernel->Bind(memory, enclave, first_cookie); !status.ok())
    return status;
  return kernel;
}

Time BpfAgentKernel::Now() const { return MonotonicNow(); }

absl::Status BpfAgentKernel::CallClass(AgentCall call, void* args, size_t size) {
  return CallProgram(programs_[static_cast<size_t>(call)], args, size);
}

absl::StatusOr<std::unique_ptr<MessageQueue>> BpfAgentKernel::OpenQueue(QueueId queue) {
  const auto fd = fds_.find(QueueName(queue.value()));
  if (fd == fds_.end() || queue.value() >= memory().queue_states.size()) {
    return absl::PermissionDeniedError(
        absl::StrCat("queue ", queue.value(), " was not passed to this agent"));
  }
  return RingQueue::Open(fd->second.get(), &memory().queue_states[queue.value()]);
}

}  // namespace corral
