// SPDX-License-Identifier: Apache-2.0
// The scheduling class as its users see it: agents through AgentKernel, the control plane through
// ControlKernel.
//
// Two implementations: kernel/bpf (the real class, sched_ext) and kernel/sim (a simulated machine).
// Whoever uses these interfaces names neither. The words and their meaning are those of
// kernel/abi/ghost.h.
//
// Errors: absl::Status with the fact and the remedy. PermissionDenied: the caller is no agent of
// the enclave, or not root. FailedPrecondition: the class is not loaded, or speaks another ABI
// version.
#ifndef CORRAL_KERNEL_GHOST_KERNEL_H_
#define CORRAL_KERNEL_GHOST_KERNEL_H_

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernel/abi/ghost.h"
#include "kernel/abi/restore.h"
#include "kernel/abi/tally.h"
#include "kernel/abi/trace.h"
#include "kernel/cpu_set.h"
#include "kernel/types.h"

namespace corral {

// One queue of messages from the class to an agent. Used by one thread, except Wake().
class MessageQueue {
 public:
  virtual ~MessageQueue() = default;

  // Hands over all messages that are there and returns how many. No allocation, no system call.
  virtual int Drain(absl::FunctionRef<void(const ghost_msg&)> handle) = 0;
  // Rises when the class found the queue full: messages were not queued, so rescan the status
  // words.
  virtual uint64_t overflows() const = 0;
  // Sleeps until a message arrives, Wake() is called, or `deadline` has come (Time::max(): no
  // deadline).
  virtual void Wait(Time deadline) = 0;
  // Ends the present or the next Wait(). Any thread.
  virtual void Wake() = 0;
};

// What a task's association with a queue was before the call that changed it.
struct Association {
  bool already = false;    // the very same
  bool brand_new = false;  // none: its messages went to the enclave's default queue
};

// What an agent promises a task that asked for a budget.
struct Verdict {
  Duration granted{0};  // per period: the budget, or nothing
  Duration free{0};     // if nothing: what `place`, which has most room, could still promise
  CoreId place{0};      // the core that keeps the promise
};

// Which cores may take a task by themselves, when it is runnable and they have nothing else to do;
// each includes those before it. As enum ghost_offer says.
enum class Offer : uint8_t {
  kNone = GHOST_OFFER_NONE,
  kCore = GHOST_OFFER_CORE,  // the one whose queue it is associated with
  kNode = GHOST_OFFER_NODE,
  kMachine = GHOST_OFFER_MACHINE,
};

// What an agent may do. It can propose; the class decides. Thread-safe unless said otherwise.
class AgentKernel {
 public:
  virtual ~AgentKernel() = default;

  virtual Time Now() const = 0;

  // Read-only views of the class's memory, valid as long as this object; other CPUs write them
  // meanwhile, so read each field once.
  virtual const ghost_class_info& info() const = 0;
  virtual const ghost_enclave& enclave() const = 0;  // the one that this agent belongs to
  virtual EnclaveId enclave_id() const = 0;
  virtual absl::Span<const ghost_core_state> cores() const = 0;  // of the whole machine, by CoreId
  virtual absl::Span<const ghost_cpu_config> cpus() const = 0;   // of the whole machine, by CpuId
  virtual absl::Span<const ghost_cpu_state> cpu_states() const = 0;      // likewise
  virtual absl::Span<const ghost_status_word> status_words() const = 0;  // by slot
  virtual absl::Span<const ghost_affinity> affinities() const = 0;       // by slot

  // The calling thread becomes (stops being) the agent of `core`. From then on the class waits for
  // its decisions there.
  virtual absl::Status EnterAgent(CoreId core) = 0;
  virtual absl::Status LeaveAgent(CoreId core) = 0;

  // Commits `commit.nr` transactions, each for one core, in one system call. What became of each
  // stands in `commit`; the status tells only whether the call was made. Where a transaction was
  // refused before its siblings were looked at, they are READY. No allocation on success.
  virtual absl::Status Commit(ghost_commit& commit) = 0;

  // Directs the messages of a task to `queue`. NotFound: gone. Aborted: its barrier moved on, so a
  // message may be on its way to the old queue; read it again.
  virtual absl::StatusOr<Association> Associate(Gtid task, uint64_t barrier, QueueId queue) = 0;

  // CPU_TIMER_EXPIRED with `cookie` comes to the queue of the CPU's core at `when`. One timer per
  // CPU: the last call counts. Time::max() disarms it.
  virtual absl::Status ArmTimer(CpuId cpu, Time when, uint64_t cookie) = 0;

  // Publishes the verdict in the task's status word, where it stays until the control plane asks
  // for something else. NotFound: gone. InvalidArgument: more than was asked for.
  virtual absl::Status Grant(Gtid task, const Verdict& verdict) = 0;

  // Adds what the task waited for, and missed of a promise, since the last call to what is known of
  // it. NotFound: gone.
  virtual absl::Status Account(Gtid task, const ghost_waits& waits) = 0;

  // Says who may take the task from now on; TASK_ON_CPU with GHOST_MSG_F_OFFERED tells when that
  // happens. NotFound: gone. FailedPrecondition: done, but at this moment it is given to a CPU, by
  // a commit or as it was offered before.
  virtual absl::Status OfferTask(Gtid task, Offer offer) = 0;

  // The messages of `queue`, which belongs to this agent's enclave. One reader at a time.
  virtual absl::StatusOr<std::unique_ptr<MessageQueue>> OpenQueue(QueueId queue) = 0;
};

struct EnclaveSpec {
  std::string name;
  CpuSet cpus;                        // whole cores only
  bool deliver_ticks = false;         // CPU_TICK
  bool deliver_availability = false;  // CPU_AVAILABLE, CPU_BUSY
  Duration tenure = std::chrono::milliseconds(10);
  Duration runnable_timeout = std::chrono::seconds(2);
};

// What an enclave's tasks are protected from, besides each other.
struct EnclaveProtection {
  // Their processes are stopped (SIGSTOP) when the kernel runs them past the class: because it
  // ejected the class, or bypasses it for a while.
  bool stop_on_loss = false;
  // They leave a core while a user task of the host runs on one of its siblings. Kernel threads and
  // agents do not count.
  bool strict = false;
};

// What a task is promised. Budget and cap are CPU time per their periods; 0 is none.
struct TaskAttributes {
  uint32_t weight = 100;
  Duration budget{0};
  Duration period{0};
  Duration cap{0};
  Duration cap_period{0};
  uint32_t node = GHOST_NO_NODE;  // the NUMA node that its memory is on

  friend bool operator==(const TaskAttributes&, const TaskAttributes&) = default;
};

using DomainKey = std::array<uint8_t, GHOST_DOMAIN_KEY_LEN>;

// What the control plane may do. Root only. Thread-safe.
class ControlKernel {
 public:
  virtual ~ControlKernel() = default;

  virtual Time Now() const = 0;
  virtual const ghost_class_info& info() const = 0;
  virtual absl::Span<const ghost_enclave> enclaves() const = 0;  // by EnclaveId; 0 is unused
  virtual absl::Span<const ghost_domain> domains() const = 0;    // by DomainId
  virtual absl::Span<const ghost_core_state> cores() const = 0;
  virtual absl::Span<const ghost_cpu_config> cpus() const = 0;
  virtual absl::Span<const ghost_cpu_state> cpu_states() const = 0;
  virtual absl::Span<const ghost_status_word> status_words() const = 0;
  virtual absl::Span<const ghost_affinity> affinities() const = 0;
  virtual absl::Span<const ghost_waits> waits() const = 0;
  virtual absl::Span<const ghost_tally> tallies() const = 0;
  virtual absl::Span<const ghost_trace_event> traces() const = 0;        // by CPU, then entry
  virtual absl::Span<const ghost_queue_state> queue_states() const = 0;  // by QueueId

  virtual absl::StatusOr<EnclaveId> CreateEnclave(const EnclaveSpec& spec) = 0;
  // At any time. NotFound: no such enclave.
  virtual absl::Status Protect(EnclaveId enclave, const EnclaveProtection& protection) = 0;
  // From now on it has these CPUs, whole cores, one at least; its tasks leave the others at once.
  // FailedPrecondition: one that it shall get belongs to another enclave, or one that it shall lose
  // has an agent. On an error some cores may have come or gone; the same call goes on from there.
  virtual absl::Status ReshapeEnclave(EnclaveId enclave, const CpuSet& cpus) = 0;
  // Its tasks must have been detached.
  virtual absl::Status DestroyEnclave(EnclaveId enclave) = 0;
  // Lets the threads of process `tgid` become agents of `enclave`.
  virtual absl::Status BlessAgent(pid_t tgid, EnclaveId enclave) = 0;

  // Finds or makes the trust domain `key` in `enclave`. The name is for displays.
  virtual absl::StatusOr<DomainId> CreateDomain(EnclaveId enclave, const DomainKey& key,
                                                absl::string_view name) = 0;
  virtual absl::Status DestroyDomain(DomainId domain) = 0;

  // Takes the thread into the class as a member of `domain`. Its former policy is remembered for
  // Detach.
  virtual absl::StatusOr<Gtid> AttachTask(pid_t tid, DomainId domain, int vcpu, int weight) = 0;
  // Changes what the task is promised; its agent hears of it.
  virtual absl::Status UpdateTask(Gtid task, const TaskAttributes& attributes) = 0;
  // Makes the task a member of another domain of its enclave. It changes over, under the gtid that
  // is returned, once it is off CPU; until then it is what it was, and the last call counts.
  // NotFound: gone. FailedPrecondition: it changes at this moment; try again.
  virtual absl::StatusOr<Gtid> RelabelTask(Gtid task, DomainId domain) = 0;
  // Gives the thread back to the class and priority that it came from.
  virtual absl::Status DetachTask(Gtid task) = 0;

  // For a class that takes another one's place: what a task, attached and not run since, or a core
  // without an agent, had done by then. Neither tells an agent. NotFound: the task has ended.
  virtual absl::Status RestoreTask(const ghost_task_restore& task) = 0;
  virtual absl::Status RestoreCore(const ghost_core_restore& core) = 0;
};

}  // namespace corral

#endif  // CORRAL_KERNEL_GHOST_KERNEL_H_
