// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf/bpf_control_kernel.h"

#include <bpf/bpf.h>
#include <sched.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "kernel/bpf/program_call.h"
#include "kernel/bpf/ring_queue.h"
#include "kernel/bpf/threads_by_policy.h"

namespace corral {
namespace {

// 4,096 messages: more than all tasks of a core produce while its agent is away for a tick.
constexpr uint32_t kQueueBytes = 256 * 1024;

template <typename T>
absl::Status MapPin(const char* name, MappedArray<T>& array) {
  const absl::StatusOr<Fd> fd = OpenPin(name);
  if (!fd.ok()) return fd.status();
  absl::StatusOr<MappedArray<T>> mapped = MappedArray<T>::Map(fd->get(), name);
  if (!mapped.ok()) return mapped.status();
  array = *std::move(mapped);
  return absl::OkStatus();
}

absl::Status OpenInto(const char* name, Fd& fd) {
  absl::StatusOr<Fd> pin = OpenPin(name);
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

// A struct's text field is zero-padded and need not be terminated.
template <size_t N>
void CopyName(absl::string_view from, char (&to)[N]) {
  memset(to, 0, N);
  memcpy(to, from.data(), std::min(from.size(), N - 1));
}

template <size_t N>
std::string NameOf(const char (&name)[N]) {
  return std::string(name, strnlen(name, N));
}

uint32_t FlagsOf(const EnclaveSpec& spec) {
  return (spec.deliver_ticks ? GHOST_ENCLAVE_DELIVER_TICKS : 0) |
         (spec.deliver_availability ? GHOST_ENCLAVE_DELIVER_AVAILABILITY : 0);
}

absl::Status SetPolicy(pid_t tid, int policy) {
  const sched_param param = {};
  if (sched_setscheduler(tid, policy, &param) == 0) return absl::OkStatus();
  if (errno == ESRCH) return absl::NotFoundError(absl::StrCat("thread ", tid, " has ended"));
  return absl::InternalError(
      absl::StrCat("cannot set the scheduling policy of thread ", tid, ": ", strerror(errno)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<BpfControlKernel>> BpfControlKernel::Open() {
  absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = OpenEvenIfLost();
  if (!kernel.ok() || (*kernel)->info().enabled) return kernel;
  const ghost_class_info& info = (*kernel)->info();
  return absl::FailedPreconditionError(
      absl::StrCat("the kernel put the class out of charge (", NameOf(info.exit_reason), ": ",
                   NameOf(info.exit_message), "); restart corral-class.service"));
}

absl::StatusOr<std::unique_ptr<BpfControlKernel>> BpfControlKernel::OpenEvenIfLost() {
  std::unique_ptr<BpfControlKernel> kernel(new BpfControlKernel);
  BpfControlKernel& k = *kernel;
  if (const absl::Status status = FirstError(
          {MapPin("class_info", k.info_), MapPin("enclaves", k.enclaves_),
           MapPin("domains", k.domains_), MapPin("cores", k.cores_), MapPin("cpu_configs", k.cpus_),
           MapPin("cpu_states", k.cpu_states_), MapPin("status_words", k.status_words_),
           MapPin("affinities", k.affinities_), OpenInto("task_update", k.task_update_),
           OpenInto("queues", k.queues_), OpenInto("enclave_create", k.enclave_create_),
           OpenInto("enclave_update", k.enclave_update_),
           OpenInto("enclave_destroy", k.enclave_destroy_), OpenInto("core_assign", k.core_assign_),
           OpenInto("agent_bless", k.agent_bless_), OpenInto("domain_create", k.domain_create_),
           OpenInto("domain_destroy", k.domain_destroy_), OpenInto("task_attach", k.task_attach_),
           OpenInto("task_detach", k.task_detach_)});
      !status.ok()) {
    return status;
  }
  if (k.info().abi_version != GHOST_ABI_VERSION) {
    return absl::FailedPreconditionError(
        absl::StrCat("the loaded class speaks ABI version ", k.info().abi_version,
                     ", this program ", GHOST_ABI_VERSION, "; restart corral-class.service"));
  }
  return kernel;
}

Time BpfControlKernel::Now() const { return MonotonicNow(); }

absl::StatusOr<std::vector<CoreId>> BpfControlKernel::WholeCores(const EnclaveSpec& spec) const {
  std::vector<CoreId> whole;
  for (uint32_t id = 0; id < info().nr_cores; ++id) {
    const ghost_core_state& core = cores_[id];
    int in = -1;
    int out = -1;
    for (uint32_t i = 0; i < core.nr_cpus; ++i)
      (spec.cpus.Contains(CpuId(core.cpus[i])) ? in : out) = core.cpus[i];
    if (in < 0) continue;
    if (out >= 0) {
      return absl::InvalidArgumentError(absl::StrCat("enclave ", spec.name, " has CPU ", in,
                                                     " but not its SMT sibling ", out, "; add ",
                                                     out, " or take ", in, " out"));
    }
    if (core.enclave != GHOST_NO_ENCLAVE) {
      const std::string owner = NameOf(enclaves_[core.enclave].name);
      return absl::FailedPreconditionError(
          absl::StrCat("CPU ", in, " belongs to enclave ", owner, "; remove it there first"));
    }
    whole.push_back(CoreId(id));
  }
  if (whole.empty())
    return absl::InvalidArgumentError(
        absl::StrCat("enclave ", spec.name, " has no CPU that is online"));
  return whole;
}

absl::Status BpfControlKernel::AssignCore(CoreId core, EnclaveId enclave) {
  if (enclave.value() != GHOST_NO_ENCLAVE) {
    const Fd ring(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "corral_queue", 0, 0, kQueueBytes, nullptr));
    const uint32_t key = core.value();
    const int fd = ring.get();
    if (fd < 0 || bpf_map_update_elem(queues_.get(), &key, &fd, BPF_ANY) != 0) {
      return absl::InternalError(
          absl::StrCat("cannot make the message queue of core ", key, ": ", strerror(errno)));
    }
  }
  ghost_core_assign args = {
      .core = core.value(), .enclave = enclave.value(), .queue = core.value()};
  return Call(core_assign_.get(), absl::StrCat("giving core ", core.value(), " to an enclave"),
              args);
}

absl::StatusOr<EnclaveId> BpfControlKernel::CreateEnclave(const EnclaveSpec& spec) {
  if (spec.name.empty() || spec.name.size() >= GHOST_NAME_LEN) {
    return absl::InvalidArgumentError(absl::StrCat(
        "enclave name \"", spec.name, "\" must have 1 to ", GHOST_NAME_LEN - 1, " characters"));
  }
  const absl::StatusOr<std::vector<CoreId>> cores = WholeCores(spec);
  if (!cores.ok()) return cores.status();
  ghost_enclave_create args = {
      .abi_version = GHOST_ABI_VERSION,
      .flags = FlagsOf(spec),
      .tenure_ns = static_cast<uint64_t>(spec.tenure.count()),
      .runnable_timeout_ns = static_cast<uint64_t>(spec.runnable_timeout.count()),
      .first_queue = cores->front().value()};
  CopyName(spec.name, args.name);
  if (const absl::Status status =
          Call(enclave_create_.get(), absl::StrCat("creating enclave ", spec.name), args);
      !status.ok()) {
    return status;
  }
  for (const CoreId core : *cores) {
    if (const absl::Status status = AssignCore(core, EnclaveId(args.enclave)); !status.ok()) {
      DestroyEnclave(EnclaveId(args.enclave)).IgnoreError();  // the first error is the one to tell
      return status;
    }
  }
  return EnclaveId(args.enclave);
}

absl::Status BpfControlKernel::Protect(EnclaveId enclave, const EnclaveProtection& protection) {
  ghost_enclave_update args = {.enclave = enclave.value()};
  if (protection.stop_on_loss) args.flags |= GHOST_ENCLAVE_STOP_ON_LOSS;
  if (protection.strict) args.flags |= GHOST_ENCLAVE_STRICT;
  return Call(enclave_update_.get(), absl::StrCat("changing enclave ", enclave.value()), args);
}

absl::Status BpfControlKernel::DestroyEnclave(EnclaveId enclave) {
  for (uint32_t id = 0; id < info().nr_domains; ++id) {
    if (domains_[id].in_use && domains_[id].enclave == enclave.value()) {
      if (const absl::Status status = DestroyDomain(DomainId(id)); !status.ok()) return status;
    }
  }
  for (uint32_t id = 0; id < info().nr_cores; ++id) {
    if (cores_[id].enclave != enclave.value()) continue;
    if (const absl::Status status = AssignCore(CoreId(id), EnclaveId(GHOST_NO_ENCLAVE));
        !status.ok())
      return status;
  }
  ghost_enclave_destroy args = {.enclave = enclave.value()};
  return Call(enclave_destroy_.get(), absl::StrCat("destroying enclave ", enclave.value()), args);
}

absl::Status BpfControlKernel::BlessAgent(pid_t tgid, EnclaveId enclave) {
  ghost_agent_bless args = {.tgid = static_cast<uint32_t>(tgid), .enclave = enclave.value()};
  return Call(agent_bless_.get(), absl::StrCat("making process ", tgid, " an agent"), args);
}

absl::StatusOr<DomainId> BpfControlKernel::CreateDomain(EnclaveId enclave, const DomainKey& key,
                                                        absl::string_view name) {
  ghost_domain_create args = {.enclave = enclave.value()};
  memcpy(args.key, key.data(), key.size());
  CopyName(name, args.name);
  const absl::Status status =
      Call(domain_create_.get(), absl::StrCat("making trust domain ", name), args);
  if (!status.ok()) return status;
  return DomainId(args.domain);
}

absl::Status BpfControlKernel::DestroyDomain(DomainId domain) {
  ghost_domain_destroy args = {.domain = domain.value()};
  return Call(domain_destroy_.get(), absl::StrCat("destroying trust domain ", domain.value()),
              args);
}

absl::StatusOr<Gtid> BpfControlKernel::AttachTask(pid_t tid, DomainId domain, int vcpu,
                                                  int weight) {
  const int policy = sched_getscheduler(tid);
  if (policy == SCHED_FIFO || policy == SCHED_RR || policy == SCHED_DEADLINE) {
    return absl::FailedPreconditionError(
        absl::StrCat("thread ", tid,
                     " has a real-time policy, which the class cannot isolate; take <vcpusched> "
                     "out of the domain's XML"));
  }
  ghost_task_attach args = {.tid = static_cast<uint32_t>(tid),
                            .domain = domain.value(),
                            .vcpu = static_cast<uint32_t>(vcpu),
                            .weight = static_cast<uint32_t>(weight)};
  const absl::Status status =
      Call(task_attach_.get(), absl::StrCat("attaching thread ", tid), args);
  if (absl::IsAlreadyExists(status)) return Gtid(args.gtid);
  if (!status.ok()) return status;
  if (const absl::Status entered = SetPolicy(tid, kSchedExtPolicy); !entered.ok()) {
    DetachTask(Gtid(args.gtid)).IgnoreError();  // the first error is the one to tell
    return entered;
  }
  return Gtid(args.gtid);
}

absl::Status BpfControlKernel::UpdateTask(Gtid task, const TaskAttributes& attributes) {
  if (attributes.weight == 0 || attributes.budget < Duration(0) || attributes.cap < Duration(0) ||
      attributes.period < attributes.budget) {
    return absl::InvalidArgumentError(
        absl::StrCat("weight ", attributes.weight, ", budget ", attributes.budget.count(),
                     " ns in ", attributes.period.count(),
                     " ns: a weight is at least 1, and a budget fits into its period"));
  }
  ghost_task_update args = {.gtid = task.value(),
                            .budget_ns = static_cast<uint64_t>(attributes.budget.count()),
                            .period_ns = static_cast<uint64_t>(attributes.period.count()),
                            .cap_ns = static_cast<uint64_t>(attributes.cap.count()),
                            .weight = attributes.weight};
  return Call(task_update_.get(), "changing what a task is promised", args);
}

absl::Status BpfControlKernel::DetachTask(Gtid task) {
  const uint32_t slot = GHOST_GTID_SLOT(task.value());
  if (slot >= status_words_.span().size())
    return absl::NotFoundError(absl::StrCat("no task has slot ", slot));
  const ghost_status_word sw = status_words_[slot];
  if (sw.gtid != task.value()) return absl::NotFoundError("the task has left the class already");
  const pid_t tid = static_cast<pid_t>(sw.tid);
  if (sched_getscheduler(tid) == kSchedExtPolicy)
    return SetPolicy(tid, static_cast<int>(sw.former_policy));
  ghost_task_detach args = {.gtid = task.value()};
  return Call(task_detach_.get(), absl::StrCat("detaching thread ", tid), args);
}

}  // namespace corral
