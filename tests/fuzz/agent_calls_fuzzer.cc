// SPDX-License-Identifier: Apache-2.0
// libFuzzer in the place of an agent: the bytes of its calls are anything, and in them stands what
// an agent knows (tasks, barriers, the ABI's version) wherever the fuzzer puts it. The class is its
// own source, on a simulated machine. Whatever the bytes are: no core runs two VMs, nothing of
// another enclave moves, and the class's own guard lets every thread run.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernel/sim/core_audit.h"
#include "kernel/sim/sim_kernel.h"
#include "tests/fuzz/expect.h"

namespace corral {
namespace {

using sim::Machine;
using sim::SimThread;
using sim::Step;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr int kSiblings = 2;
constexpr Duration kTimeout = milliseconds(5);

class Computes final : public sim::Program {
  Step Next(SimThread&, Time) override { return Step::Run(milliseconds(1)); }
};
class Naps final : public sim::Program {
  Step Next(SimThread&, Time) override {
    awake_ = !awake_;
    return awake_ ? Step::Run(microseconds(50)) : Step::Sleep(milliseconds(1));
  }
  bool awake_ = false;
};
class Waits final : public sim::Program {
  Step Next(SimThread&, Time) override { return Step::Block(); }
};

// Past the library, which would make no such calls.
struct OpenAgent : AgentView {
  using AgentView::CallClass;
};

struct Call {
  AgentCall call;
  size_t size;
};
const Call kCalls[] = {
    {AgentCall::kCommit, SizeOfCommit(1)},
    {AgentCall::kCommitFew, SizeOfCommit(GHOST_COMMIT_FEW_CORES)},
    {AgentCall::kCommitMany, SizeOfCommit(GHOST_COMMIT_MAX_CORES)},
    {AgentCall::kEnter, sizeof(ghost_agent_enter)},
    {AgentCall::kAssociate, sizeof(ghost_associate)},
    {AgentCall::kArmTimer, sizeof(ghost_timer_arm)},
    {AgentCall::kGrant, sizeof(ghost_task_grant)},
    {AgentCall::kAccount, sizeof(ghost_task_account)},
    {AgentCall::kOffer, sizeof(ghost_task_offer)},
};

class World {
 public:
  World() {
    Machine::Spec spec;
    spec.tasks = 256;
    spec.domains = 8;
    spec.queue_messages = 32;  // so that queues overflow, too
    for (int core = 0; core < 3; ++core) {
      sim::SimCore& made = spec.cores.emplace_back();
      for (int i = 0; i < kSiblings; ++i) made.cpus.push_back(CpuId(core * kSiblings + i));
    }
    machine_ = Machine::Create(spec).value();
    audit_ = std::make_unique<sim::CoreAudit>(*machine_);
    machine_->Observe(audit_.get());
    control_ = sim::SimControlKernel::Create(*machine_).value();
    own_ = NewEnclave("own", {0, 1, 2, 3});
    foreign_ = NewEnclave("foreign", {4, 5});
    for (int i = 0; i < 2; ++i) {
      const DomainId domain = NewDomain(own_);
      AddTask<Computes>(domain);
      AddTask<Naps>(domain);
      AddTask<Computes>(domain);
    }
    busy_ = AddTask<Computes>(NewDomain(foreign_));
    asleep_ = AddTask<Waits>(NewDomain(foreign_));
    for (SimThread*& agent : agents_) {
      agent = &machine_->NewThread("agent", std::make_unique<Waits>(),
                                   agents_[0] == nullptr ? 0 : agents_[0]->tgid);
    }
    Expect(control_->BlessAgent(agents_[0]->tgid, own_).ok(), "it is not blessed");
    agent_ = sim::SimAgentKernel::Create(*machine_, *agents_[0], "own").value();
    // Until all have had a turn, and it sleeps.
    machine_->RunFor(milliseconds(10));
    asleep_barrier_ = Word(asleep_).barrier;
  }

  void Try(FuzzedDataProvider& data) {
    // Most begin with agents, or all they say is refused.
    if (data.ConsumeBool()) {
      for (size_t i = 0; i < agents_.size(); ++i) {
        agent_->ActAs(*agents_[i]);
        Expect(agent_->EnterAgent(CoreId(static_cast<int>(i))).ok(), "it cannot enter");
      }
    }
    for (int i = 0; i < 64 && data.remaining_bytes() > 0; ++i) {
      MakeCall(data);
      machine_->RunFor(microseconds(data.ConsumeIntegralInRange(0, 300)));
      Judge();
    }
    EveryoneRuns();
  }

 private:
  EnclaveId NewEnclave(const char* name, std::initializer_list<int> cpus) {
    return control_
        ->CreateEnclave(
            {.name = name, .cpus = cpus, .tenure = milliseconds(2), .runnable_timeout = kTimeout})
        .value();
  }
  DomainId NewDomain(EnclaveId enclave) {
    DomainKey key = {};
    key[0] = static_cast<uint8_t>(++vms_);
    return control_->CreateDomain(enclave, key, absl::StrCat("vm", vms_)).value();
  }
  template <typename MadeProgram>
  Gtid AddTask(DomainId domain) {
    SimThread& thread = machine_->NewThread("vcpu", std::make_unique<MadeProgram>());
    thread.vm = vms_;
    machine_->Wake(thread);
    threads_.push_back(&thread);
    tasks_.push_back(control_->AttachTask(thread.tid(), domain, 0, 100).value());
    return tasks_.back();
  }
  const ghost_status_word& Word(Gtid task) const {
    return control_->status_words()[GHOST_GTID_SLOT(task.value())];
  }

  // What an agent knows.
  uint64_t Known(FuzzedDataProvider& data) const {
    const Gtid task = tasks_[data.ConsumeIntegralInRange<size_t>(0, tasks_.size() - 1)];
    switch (data.ConsumeIntegralInRange(0, 4)) {
      case 0:
        return Word(task).barrier;
      case 1:
        return GHOST_TARGET_IDLE;
      case 2:
        return GHOST_TARGET_KEEP;
      default:
        return task.value();
    }
  }

  void MakeCall(FuzzedDataProvider& data) {
    const Call& call = kCalls[data.ConsumeIntegralInRange<size_t>(0, std::size(kCalls) - 1)];
    std::vector<unsigned char> bytes(call.size);
    data.ConsumeData(bytes.data(),
                     data.ConsumeIntegralInRange<size_t>(0, std::min<size_t>(bytes.size(), 256)));
    const bool versioned = call.size >= SizeOfCommit(1) || call.call == AgentCall::kEnter;
    if (versioned && data.ConsumeBool()) memcpy(bytes.data(), &kVersion, sizeof(kVersion));
    for (int i = data.ConsumeIntegralInRange(0, 8); i > 0; --i) {
      const uint64_t known = Known(data);
      const size_t most = std::min(bytes.size(), SizeOfCommit(2)) / sizeof(known) - 1;
      const size_t place = data.ConsumeIntegralInRange<size_t>(0, most) * sizeof(known);
      memcpy(bytes.data() + place, &known, sizeof(known));
    }
    agent_->ActAs(*agents_[data.ConsumeIntegralInRange<size_t>(0, agents_.size() - 1)]);
    const size_t size =
        data.ConsumeBool() ? bytes.size() : data.ConsumeIntegralInRange<size_t>(0, bytes.size());
    // Alone in memory, so that what reads past it is seen.
    std::vector<unsigned char> sent(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
    (static_cast<AgentView&>(*agent_).*&OpenAgent::CallClass)(call.call, sent.data(), size)
        .IgnoreError();
  }

  void Judge() const {
    Expect(audit_->enforced().times == 0, "two VMs on a core", audit_->enforced().first);
    Expect(Word(asleep_).barrier == asleep_barrier_, "a foreign task was moved");
    const CpuSet theirs{4, 5};
    Expect(theirs.Contains(CpuId(Word(busy_).cpu)), "a foreign task left its enclave");
  }

  // The guard looks every 50 ms for who waits too long (ghost_guard.bpf.h), and then makes way for
  // one on each core.
  void EveryoneRuns() {
    constexpr Duration kGuardPeriod = milliseconds(50);
    std::vector<Duration> before;
    for (const SimThread* thread : threads_) before.push_back(machine_->CpuTime(*thread));
    const auto starved = [&] {
      for (size_t i = 0; i < threads_.size(); ++i) {
        if (tasks_[i] != asleep_ && machine_->CpuTime(*threads_[i]) == before[i]) return true;
      }
      return false;
    };
    const Time end = machine_->now() + kTimeout + kGuardPeriod * static_cast<int>(threads_.size());
    while (starved() && machine_->now() < end) machine_->RunFor(milliseconds(5));
    Judge();
    Expect(!starved(), "a thread does not run any more");
  }

  static constexpr uint32_t kVersion = GHOST_ABI_VERSION;

  std::unique_ptr<Machine> machine_;
  std::unique_ptr<sim::CoreAudit> audit_;
  std::unique_ptr<sim::SimControlKernel> control_;
  std::unique_ptr<sim::SimAgentKernel> agent_;
  std::array<SimThread*, 2> agents_ = {};
  std::vector<SimThread*> threads_;
  std::vector<Gtid> tasks_;  // of threads_, one each
  EnclaveId own_, foreign_;
  Gtid busy_{0}, asleep_{0};
  uint64_t asleep_barrier_ = 0;
  uint32_t vms_ = 0;
};

}  // namespace
}  // namespace corral

// The name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(  // NOLINT(readability-identifier-naming)
    const uint8_t* data, size_t size) {
  FuzzedDataProvider provider(data, size);
  corral::World().Try(provider);
  return 0;
}
