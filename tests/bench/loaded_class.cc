// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/loaded_class.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernel/bpf/class_maps.h"
#include "kernel/bpf/program_call.h"
#include "kernel/call_status.h"
#include "overheads_class.skel.h"

namespace corral::bench {
namespace {

template <typename Args>
absl::Status Call(int program, absl::string_view what, Args& args) {
  return StatusOfCall(CallProgram(program, &args, sizeof(args)), args, what);
}

constexpr char kEnclave[] = "bench";
// As the control plane makes it (kernel/bpf/bpf_control_kernel.cc).
constexpr uint32_t kQueueBytes = 256 * 1024;

ClassLayout Layout() {
  std::vector<ClassCore> cores(OVERHEADS_CORES);
  for (int cpu = 0; cpu < OVERHEADS_CPUS; ++cpu)
    cores[cpu / OVERHEADS_SIBLINGS].siblings.Insert(CpuId(cpu));
  cores.emplace_back().siblings.Insert(CpuId(OVERHEADS_AGENT_CPU));
  return ClassLayout(cores, {.tasks = OVERHEADS_CORES * GHOST_BLOCK_SLOTS,
                             .domains = GHOST_DOMAIN_FIRST + OVERHEADS_CORES});
}

Fd Copy(int fd) { return Fd(fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

}  // namespace

absl::StatusOr<std::unique_ptr<LoadedClass>> LoadedClass::Load(Domains domains) {
  if (geteuid() != 0)
    return absl::PermissionDeniedError("loading BPF programs needs root; run as root");
  overheads_class* const skeleton = overheads_class::open();
  if (skeleton == nullptr)
    return absl::InternalError(absl::StrCat("cannot open the BPF object: ", strerror(errno)));
  std::unique_ptr<LoadedClass> loaded(new LoadedClass(skeleton, domains));
  const ClassLayout layout = Layout();
  if (const absl::Status status = SizeClassMaps(skeleton->obj, layout); !status.ok()) return status;
  if (const int error = overheads_class::load(skeleton); error != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("this kernel cannot load the class's programs (", strerror(-error),
                     "); what it said stands above"));
  }
  if (const absl::Status status = FillClassMaps(skeleton->obj, layout); !status.ok()) return status;
  for (absl::Status (LoadedClass::*step)() :
       {&LoadedClass::Enable, &LoadedClass::MakeEnclave, &LoadedClass::MakeTasks,
        &LoadedClass::MakeQueues, &LoadedClass::BecomeAgent}) {
    if (const absl::Status status = (loaded.get()->*step)(); !status.ok()) return status;
  }
  return loaded;
}

LoadedClass::~LoadedClass() {
  queue_.reset();
  agent_.reset();
  overheads_class::destroy(skeleton_);
}

// As the class's `init` does it: agents give up when the class is not in charge.
absl::Status LoadedClass::Enable() {
  ghost_class_info info = Layout().info();
  info.enabled = 1;
  const uint32_t key = 0;
  if (bpf_map_update_elem(bpf_map__fd(skeleton_->maps.class_info), &key, &info, BPF_ANY) != 0)
    return absl::InternalError(absl::StrCat("cannot fill map class_info: ", strerror(errno)));
  return absl::OkStatus();
}

// One enclave with all cores but the last; the messages of all tasks go to the first core's queue.
absl::Status LoadedClass::MakeEnclave() {
  const auto& progs = skeleton_->progs;
  ghost_enclave_create create = {.abi_version = GHOST_ABI_VERSION};
  memcpy(create.name, kEnclave, sizeof(kEnclave));
  if (const absl::Status status =
          Call(bpf_program__fd(progs.ghost_enclave_create_prog), "creating an enclave", create);
      !status.ok()) {
    return status;
  }
  enclave_ = create.enclave;
  for (uint32_t id = 0; id < OVERHEADS_CORES; ++id) {
    ghost_core_assign assign = {.core = id, .enclave = enclave_, .queue = id};
    if (const absl::Status status =
            Call(bpf_program__fd(progs.ghost_core_assign_prog), "giving a core away", assign);
        !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

// A task for each CPU.
absl::Status LoadedClass::MakeTasks() {
  const auto& progs = skeleton_->progs;
  for (uint32_t cpu = 0; cpu < OVERHEADS_CPUS; ++cpu) {
    ghost_domain_create domain = {.enclave = enclave_};
    if (domains_ == Domains::kOnePerCore)
      domain.key[0] = static_cast<uint8_t>(cpu / OVERHEADS_SIBLINGS);
    if (const absl::Status status =
            Call(bpf_program__fd(progs.ghost_domain_create_prog), "creating a domain", domain);
        !status.ok()) {
      return status;
    }
    overheads_task task = {.cpu = cpu, .domain = domain.domain};
    if (const absl::Status status =
            Call(bpf_program__fd(progs.overheads_task_prog), "making a task", task);
        !status.ok()) {
      return status;
    }
    tasks_[cpu] = Gtid(task.gtid);
  }
  return absl::OkStatus();
}

absl::Status LoadedClass::MakeQueues() {
  const int queues = bpf_map__fd(skeleton_->maps.queues);
  for (uint32_t id = 0; id < OVERHEADS_CORES; ++id) {
    rings_[id] =
        Fd(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "bench_queue", 0, 0, kQueueBytes, nullptr));
    if (!rings_[id])
      return absl::InternalError(absl::StrCat("cannot make a message queue: ", strerror(errno)));
    const int value = rings_[id].get();
    if (bpf_map_update_elem(queues, &id, &value, BPF_ANY) != 0)
      return absl::InternalError(absl::StrCat("cannot fill map queues: ", strerror(errno)));
  }
  return absl::OkStatus();
}

absl::Status LoadedClass::BecomeAgent() {
  const auto& maps = skeleton_->maps;
  const auto& progs = skeleton_->progs;
  ghost_agent_bless bless = {.tgid = static_cast<uint32_t>(getpid()), .enclave = enclave_};
  if (const absl::Status status =
          Call(bpf_program__fd(progs.ghost_agent_bless_prog), "blessing the agent", bless);
      !status.ok()) {
    return status;
  }
  std::map<std::string, Fd> fds;
  for (bpf_map* map : {maps.class_info, maps.enclaves, maps.cores, maps.txns, maps.cpu_configs,
                       maps.cpu_states, maps.status_words, maps.affinities, maps.queue_states}) {
    fds[bpf_map__name(map)] = Copy(bpf_map__fd(map));
  }
  fds["commit"] = Copy(bpf_program__fd(progs.ghost_commit_prog));
  fds["commit_few"] = Copy(bpf_program__fd(progs.ghost_commit_few_prog));
  fds["commit_many"] = Copy(bpf_program__fd(progs.ghost_commit_many_prog));
  fds["agent_enter"] = Copy(bpf_program__fd(progs.ghost_agent_enter_prog));
  fds["associate"] = Copy(bpf_program__fd(progs.ghost_associate_prog));
  fds["timer_arm"] = Copy(bpf_program__fd(progs.ghost_timer_arm_prog));
  fds["task_grant"] = Copy(bpf_program__fd(progs.ghost_task_grant_prog));
  fds["task_account"] = Copy(bpf_program__fd(progs.ghost_task_account_prog));
  fds["task_offer"] = Copy(bpf_program__fd(progs.ghost_task_offer_prog));
  for (uint32_t id = 0; id < OVERHEADS_CORES; ++id)
    fds[absl::StrCat("queue.", id)] = std::move(rings_[id]);
  absl::StatusOr<std::unique_ptr<BpfAgentKernel>> agent =
      BpfAgentKernel::FromDescriptors(std::move(fds), kEnclave);
  if (!agent.ok()) return agent.status();
  agent_ = *std::move(agent);
  for (uint32_t id = 0; id < OVERHEADS_CORES; ++id) {
    if (const absl::Status status = agent_->EnterAgent(CoreId(id)); !status.ok()) return status;
  }
  absl::StatusOr<std::unique_ptr<MessageQueue>> queue = agent_->OpenQueue(QueueId(0));
  if (!queue.ok()) return queue.status();
  queue_ = *std::move(queue);
  return absl::OkStatus();
}

absl::Status LoadedClass::Events(uint32_t count, overheads_depth depth, const Messages& messages) {
  overheads_events args = {.count = count,
                           .depth = static_cast<uint32_t>(depth),
                           .type = static_cast<uint32_t>(messages.type),
                           .loud = messages.loud};
  return Call(bpf_program__fd(skeleton_->progs.overheads_events_prog), "posting messages", args);
}

absl::Status LoadedClass::TakeBack() {
  overheads_take_back args = {};
  return Call(bpf_program__fd(skeleton_->progs.overheads_take_back_prog), "taking decisions back",
              args);
}

absl::Status LoadedClass::Transactions(overheads_txns& txns) {
  txns.enclave = enclave_;
  return Call(bpf_program__fd(skeleton_->progs.overheads_txns_prog), "committing", txns);
}

}  // namespace corral::bench
