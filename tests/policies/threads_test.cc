// SPDX-License-Identifier: Apache-2.0
// The agent's real threads on a fake class behind a lock: hand-overs between loops, waking,
// stopping. Made for ThreadSanitizer.
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>

#include "agent/runtime/agent_threads.h"
#include "agent/runtime/central_agents.h"
#include "agent/runtime/per_core_agents.h"
#include "policies/fifo/centralized.h"
#include "policies/secure_vm/policy.h"
#include "tests/policies/fake_kernel.h"

namespace corral::testing {
namespace {

using std::chrono::milliseconds;

Time RealNow() {
  return Time(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

// FakeKernel made safe for threads: one lock, and status words that are published as the real class
// does, field by field.
class LockedKernel final : public AgentKernel {
 public:
  LockedKernel(const Topology& topology, const FakeKernel::Options& options)
      : fake_(topology, options), words_(options.slots), affinities_(options.slots) {
    Publish();
  }

  // Does something to the world, and wakes whoever got a message.
  template <typename F>
  auto Do(F&& f) {
    std::lock_guard<std::mutex> lock(mutex_);
    fake_.SetTime(RealNow());
    struct Finish {
      LockedKernel* kernel;
      ~Finish() {
        kernel->Publish();
        kernel->changed_.notify_all();
      }
    } finish{this};
    return f(fake_);
  }

  Time Now() const override { return RealNow(); }
  const ghost_class_info& info() const override { return fake_.info(); }
  const ghost_enclave& enclave() const override { return fake_.enclave(); }
  EnclaveId enclave_id() const override { return fake_.enclave_id(); }
  absl::Span<const ghost_core_state> cores() const override { return fake_.cores(); }
  absl::Span<const ghost_cpu_config> cpus() const override { return fake_.cpus(); }
  absl::Span<const ghost_status_word> status_words() const override { return words_; }
  absl::Span<const ghost_cpu_state> cpu_states() const override { return fake_.cpu_states(); }
  absl::Span<const ghost_affinity> affinities() const override { return affinities_; }
  absl::Status EnterAgent(CoreId core) override {
    return Do([&](FakeKernel& k) { return k.EnterAgent(core); });
  }
  absl::Status LeaveAgent(CoreId core) override {
    return Do([&](FakeKernel& k) { return k.LeaveAgent(core); });
  }
  absl::Status Commit(ghost_commit& commit) override {
    return Do([&](FakeKernel& k) { return k.Commit(commit); });
  }
  absl::StatusOr<Association> Associate(Gtid task, uint64_t barrier, QueueId queue) override {
    return Do([&](FakeKernel& k) { return k.Associate(task, barrier, queue); });
  }
  absl::Status Grant(Gtid task, const Verdict& verdict) override {
    return Do([&](FakeKernel& k) { return k.Grant(task, verdict); });
  }
  absl::Status Account(Gtid task, const ghost_waits& waits) override {
    return Do([&](FakeKernel& k) { return k.Account(task, waits); });
  }
  absl::Status OfferTask(Gtid task, Offer offer) override {
    return Do([&](FakeKernel& k) { return k.OfferTask(task, offer); });
  }
  absl::Status ArmTimer(CpuId cpu, Time when, uint64_t cookie) override {
    return Do([&](FakeKernel& k) { return k.ArmTimer(cpu, when, cookie); });
  }
  absl::StatusOr<std::unique_ptr<MessageQueue>> OpenQueue(QueueId queue) override;

 private:
  friend class LockedQueue;

  void Publish() {
    for (size_t i = 0; i < words_.size(); ++i) {
      const ghost_status_word& from = fake_.status_words()[i];
      ghost_status_word& to = words_[i];
      const auto copy = [](auto& target, auto value) {
        __atomic_store_n(&target, value, __ATOMIC_RELAXED);
      };
      copy(to.gtid, from.gtid);
      copy(to.runtime_ns, from.runtime_ns);
      copy(to.switch_time_ns, from.switch_time_ns);
      copy(to.on_since_ns, from.on_since_ns);
      copy(to.granted_ns, from.granted_ns);
      copy(to.free_ns, from.free_ns);
      copy(to.place, from.place);
      copy(to.cpu, from.cpu);
      copy(to.tid, from.tid);
      copy(to.tgid, from.tgid);
      copy(to.domain, from.domain);
      copy(to.enclave, from.enclave);
      copy(to.queue, from.queue);
      copy(to.weight, from.weight);
      copy(to.priority, from.priority);
      copy(to.budget_ns, from.budget_ns);
      copy(to.period_ns, from.period_ns);
      copy(to.flags, from.flags);
      for (size_t k = 0; k < GHOST_AFFINITY_WORDS; ++k)
        copy(affinities_[i].cpus[k], fake_.affinities()[i].cpus[k]);
      __atomic_store_n(&to.barrier, from.barrier, __ATOMIC_RELEASE);
    }
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  FakeKernel fake_;
  std::vector<ghost_status_word> words_;
  std::vector<ghost_affinity> affinities_;
};

class LockedQueue final : public MessageQueue {
 public:
  LockedQueue(LockedKernel& kernel, QueueId id, std::unique_ptr<MessageQueue> queue)
      : kernel_(kernel), id_(id), queue_(std::move(queue)) {}

  int Drain(absl::FunctionRef<void(const ghost_msg&)> handle) override {
    std::vector<ghost_msg> messages;
    {
      std::lock_guard<std::mutex> lock(kernel_.mutex_);
      queue_->Drain([&](const ghost_msg& m) { messages.push_back(m); });
    }
    for (const ghost_msg& m : messages) handle(m);
    return static_cast<int>(messages.size());
  }
  uint64_t overflows() const override {
    std::lock_guard<std::mutex> lock(kernel_.mutex_);
    return queue_->overflows();
  }
  void Wait(Time deadline) override {
    std::unique_lock<std::mutex> lock(kernel_.mutex_);
    const Duration left = std::min<Duration>(deadline - RealNow(), std::chrono::seconds(5));
    kernel_.changed_.wait_for(lock, std::max(left, Duration(0)), [&] {
      return kernel_.fake_.TakeWakeup(id_) || kernel_.fake_.HasMessages(id_);
    });
  }
  void Wake() override {
    std::lock_guard<std::mutex> lock(kernel_.mutex_);
    queue_->Wake();
    kernel_.changed_.notify_all();
  }

 private:
  LockedKernel& kernel_;
  const QueueId id_;
  const std::unique_ptr<MessageQueue> queue_;
};

absl::StatusOr<std::unique_ptr<MessageQueue>> LockedKernel::OpenQueue(QueueId queue) {
  absl::StatusOr<std::unique_ptr<MessageQueue>> inner = fake_.OpenQueue(queue);
  if (!inner.ok()) return inner.status();
  return std::make_unique<LockedQueue>(*this, queue, *std::move(inner));
}

constexpr int kCores = 4;

void CarryOutAll(FakeKernel& kernel) {
  for (uint32_t c = 0; c < kCores; ++c) kernel.CarryOut(CoreId(c));
}

// Blocks, wakes, dies, is replaced, is moved by the class, is pinned, asks for a budget.
void OneEvent(FakeKernel& kernel, std::mt19937& random) {
  const std::vector<Gtid> tasks = kernel.Tasks();
  const Gtid task = tasks[random() % tasks.size()];
  switch (random() % 12) {
    case 0:
    case 1:
      return kernel.Block(task);
    case 2:
      kernel.Die(task);
      kernel.Attach(2 + random() % 6, true);
      return;
    case 3:
      kernel.ClassRuns(task, CpuId(static_cast<int>(random() % (2 * kCores))));
      return;
    case 4: {
      const int core = static_cast<int>(random() % kCores);
      const bool anywhere = random() % 2 == 0;
      return kernel.SetAffinity(task, anywhere ? CpuSet::All() : CpuSet{2 * core, 2 * core + 1});
    }
    case 5:
      return kernel.Ask(task, milliseconds(random() % 40), milliseconds(100));
    default:
      return kernel.Wake(task);
  }
}

void RunChaos(LockedKernel& kernel, Duration span) {
  std::mt19937 random(7);
  for (const Time end = RealNow() + span; RealNow() < end;) {
    kernel.Do([&](FakeKernel& k) {
      OneEvent(k, random);
      CarryOutAll(k);
    });
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 300));
  }
}

constexpr char kMachine[] = "numa:2 core:2 pu:2";

void AttachSome(LockedKernel& kernel) {
  kernel.Do([](FakeKernel& k) {
    for (uint32_t i = 0; i < 24; ++i) k.Attach(2 + i % 6, true);
  });
}

void ExpectToLoseNobodyUnderChaos(LockedKernel& kernel, EnclaveState& state, Agents& agents) {
  std::unique_ptr<AgentThreads> threads = AgentThreads::Create(state, agents, {}).value();
  threads->Start();
  RunChaos(kernel, milliseconds(1500));
  // From now on everybody wants to run, and has to.
  std::set<uint64_t> waiting;
  kernel.Do([&](FakeKernel& k) {
    for (const Gtid t : k.Tasks()) {
      k.Wake(t);
      waiting.insert(t.value());
    }
  });
  for (const Time end = RealNow() + std::chrono::seconds(20);
       RealNow() < end && !waiting.empty();) {
    kernel.Do([&](FakeKernel& k) {
      CarryOutAll(k);
      for (const Gtid t : k.Tasks()) {
        if (k.IsRunning(t)) waiting.erase(t.value());
      }
    });
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  EXPECT_TRUE(waiting.empty()) << waiting.size() << " never ran again";
  EXPECT_TRUE(threads->Stop().ok());
  const LoopCounters totals = agents.Totals();
  EXPECT_EQ(totals.repairs, 0u) << totals.Format();
  EXPECT_GT(totals.commits, 0u);
}

TEST(AgentThreads, LoseNobodyUnderChaos) {
  const Topology topology = Topology::FromHwlocSynthetic(kMachine).value();
  LockedKernel kernel(topology, {.slots = 64, .queue_room = 20});
  AttachSome(kernel);
  std::unique_ptr<EnclaveState> state = EnclaveState::Create(kernel, topology).value();
  secure_vm::SecureVmPolicy policy(state->topology(), 64, {.tenure = milliseconds(1)});
  PerCoreAgents agents(*state, policy);
  ExpectToLoseNobodyUnderChaos(kernel, *state, agents);
}

TEST(AgentThreads, OfACentralizedAgentLoseNobodyUnderChaos) {
  const Topology topology = Topology::FromHwlocSynthetic(kMachine).value();
  LockedKernel kernel(topology, {.slots = 64, .queue_room = 20});
  AttachSome(kernel);
  std::unique_ptr<EnclaveState> state = EnclaveState::Create(kernel, topology).value();
  fifo::CentralizedFifo policy(state->topology(), 64, {.slice = milliseconds(1)});
  // The CPU that this test runs on is where it may spin.
  CentralAgents agents(*state, policy, CpuSet{0, 1});
  ExpectToLoseNobodyUnderChaos(kernel, *state, agents);
}

// In an upgrade in place.
TEST(AgentThreads, EnterACoreThatIsLeftJustAfterItWasRefused) {
  const Topology topology = Topology::FromHwlocSynthetic("numa:1 core:2 pu:2").value();
  LockedKernel kernel(topology, {.slots = 8});
  std::unique_ptr<EnclaveState> state = EnclaveState::Create(kernel, topology).value();
  secure_vm::SecureVmPolicy policy(state->topology(), 8, {});
  PerCoreAgents agents(*state, policy);
  kernel.Do([](FakeKernel& k) { k.OccupyUntilRefusal(CoreId(1)); });
  std::unique_ptr<AgentThreads> threads =
      AgentThreads::Create(*state, agents, {.housekeeping = CpuSet{0}}).value();
  threads->Start();
  const auto entered = [&] {
    return kernel.Do([](FakeKernel& k) { return k.cores()[1].agent_tid == 1; });
  };
  for (const Time end = RealNow() + std::chrono::seconds(20); RealNow() < end && !entered();)
    std::this_thread::sleep_for(milliseconds(5));
  EXPECT_TRUE(entered());
  EXPECT_TRUE(threads->Stop().ok());
}

// A loop that nobody wakes sleeps until its self-check, a second later. The machine may be busy
// with something else once, but not each time.
TEST(AgentThreads, StopsWhileItWaits) {
  const Topology topology = Topology::FromHwlocSynthetic("numa:1 core:2 pu:2").value();
  LockedKernel kernel(topology, {.slots = 8});
  std::unique_ptr<EnclaveState> state = EnclaveState::Create(kernel, topology).value();
  secure_vm::SecureVmPolicy policy(state->topology(), 8, {});
  Duration least = Duration::max();
  for (int i = 0; i < 5 && least >= milliseconds(500); ++i) {
    PerCoreAgents agents(*state, policy);
    std::unique_ptr<AgentThreads> threads =
        AgentThreads::Create(*state, agents, {.housekeeping = CpuSet{0}}).value();
    threads->Start();
    std::this_thread::sleep_for(milliseconds(20));
    const Time before = RealNow();
    EXPECT_TRUE(threads->Stop().ok());
    least = std::min(least, RealNow() - before);
  }
  EXPECT_LT(least, milliseconds(500));
}

}  // namespace
}  // namespace corral::testing
