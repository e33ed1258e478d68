// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf/bpf_agent_kernel.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "kernel/bpf/program_call.h"
#include "kernel/bpf/ring_queue.h"

namespace corral {
namespace {

constexpr const char* kAgentMaps[] = {"class_info",  "enclaves",     "cores",      "txns",
                                      "cpu_configs", "status_words", "affinities", "queue_states"};
constexpr const char* kAgentPrograms[] = {"commit", "agent_enter", "associate", "timer_arm"};

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
        MapInto(kernel->fds_, "status_words", kernel->status_words_),
        MapInto(kernel->fds_, "affinities", kernel->affinities_),
        MapInto(kernel->fds_, "queue_states", kernel->queue_states_)}) {
    if (!status.ok()) return status;
  }
  for (const char* name : kAgentPrograms) {
    if (kernel->fds_.count(name) == 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("no descriptor named ", name, " was passed to this agent"));
    }
  }
  kernel->commit_fd_ = kernel->fds_["commit"].get();
  kernel->next_cookie_ = static_cast<uint64_t>(getpid()) << 40;
  if (kernel->info().abi_version != GHOST_ABI_VERSION) {
    return absl::FailedPreconditionError(
        absl::StrCat("the loaded class speaks ABI version ", kernel->info().abi_version,
                     ", this agent ", GHOST_ABI_VERSION, "; restart corral-class.service"));
  }
  if (const absl::Status status = kernel->FindEnclave(enclave); !status.ok()) return status;
  return kernel;
}

absl::Status BpfAgentKernel::FindEnclave(absl::string_view name) {
  for (uint32_t id = 1; id < enclaves_.span().size(); ++id) {
    const ghost_enclave& e = enclaves_[id];
    if (e.in_use && name == absl::string_view(e.name, strnlen(e.name, sizeof(e.name)))) {
      enclave_id_ = EnclaveId(id);
      return absl::OkStatus();
    }
  }
  return absl::NotFoundError(
      absl::StrCat("the class has no enclave named ", name, "; corralctl status lists them"));
}

Time BpfAgentKernel::Now() const { return MonotonicNow(); }

absl::Status BpfAgentKernel::CallEnter(CoreId core, bool leave) {
  ghost_agent_enter args = {.abi_version = GHOST_ABI_VERSION, .core = core.value(), .leave = leave};
  return Call(fds_["agent_enter"].get(), leave ? "leaving a core" : "becoming the agent of a core",
              args);
}

absl::Status BpfAgentKernel::EnterAgent(CoreId core) { return CallEnter(core, false); }
absl::Status BpfAgentKernel::LeaveAgent(CoreId core) { return CallEnter(core, true); }

absl::Status BpfAgentKernel::Commit(ghost_commit& commit) {
  if (commit.nr > GHOST_COMMIT_MAX_CORES) {
    return absl::InvalidArgumentError(absl::StrCat("a commit names ", commit.nr, " cores; at most ",
                                                   GHOST_COMMIT_MAX_CORES, " fit"));
  }
  commit.abi_version = GHOST_ABI_VERSION;
  for (uint32_t i = 0; i < commit.nr; ++i)
    commit.txn[i].cookie = next_cookie_.fetch_add(1, std::memory_order_relaxed);
  // Only what is in use crosses the boundary.
  const size_t size = offsetof(ghost_commit, txn) + commit.nr * sizeof(ghost_core_txn);
  const absl::Status status = CallProgram(commit_fd_, "commit", &commit, size);
  if (!status.ok()) return status;
  if (commit.result < 0) return StatusOfResult(commit.result, "commit");
  for (uint32_t i = 0; i < commit.nr; ++i) {
    ghost_core_txn& txn = commit.txn[i];
    txn.state = commit.states[i];
    // What the siblings came to is in the class's own memory, stamped with the caller's cookie.
    if (txn.core >= txns_.span().size()) continue;
    const ghost_core_txn& outcome = txns_[txn.core];
    if (__atomic_load_n(&outcome.cookie, __ATOMIC_ACQUIRE) == txn.cookie) txn = outcome;
  }
  return absl::OkStatus();
}

absl::StatusOr<Association> BpfAgentKernel::Associate(Gtid task, uint64_t barrier, QueueId queue) {
  ghost_associate args = {.gtid = task.value(), .barrier = barrier, .queue = queue.value()};
  const absl::Status status =
      Call(fds_["associate"].get(), "associating a task with a queue", args);
  if (!status.ok()) return status;
  return Association{.already = (args.status & GHOST_ASSOC_ALREADY) != 0,
                     .brand_new = (args.status & GHOST_ASSOC_BRAND_NEW) != 0};
}

absl::Status BpfAgentKernel::ArmTimer(CpuId cpu, Time when, uint64_t cookie) {
  if (cpu.value() < 0) return absl::InvalidArgumentError("there is no CPU below 0");
  const auto ns = static_cast<uint64_t>(std::max<int64_t>(when.time_since_epoch().count(), 1));
  ghost_timer_arm args = {.cpu = static_cast<uint32_t>(cpu.value()),
                          .when_ns = when == Time::max() ? 0 : ns,
                          .cookie = cookie};
  return Call(fds_["timer_arm"].get(), "arming a timer", args);
}

absl::StatusOr<std::unique_ptr<MessageQueue>> BpfAgentKernel::OpenQueue(QueueId queue) {
  const auto fd = fds_.find(QueueName(queue.value()));
  if (fd == fds_.end() || queue.value() >= queue_states_.span().size()) {
    return absl::PermissionDeniedError(
        absl::StrCat("queue ", queue.value(), " was not passed to this agent"));
  }
  return RingQueue::Open(fd->second.get(), &queue_states_[queue.value()]);
}

}  // namespace corral
