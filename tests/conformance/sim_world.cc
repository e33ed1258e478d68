// SPDX-License-Identifier: Apache-2.0
// The class on the simulated machine. CORRAL_SIM_SIBLINGS (2 unless it is set) is the number of
// SMT siblings of each of its four cores. Cores 1 and 2 are of two NUMA nodes, with four siblings
// of one.
#include <algorithm>
#include <cstdlib>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "kernel/sim/sim_kernel.h"
#include "tests/conformance/world.h"

namespace corral::conformance {
namespace {

using sim::Machine;
using sim::Program;
using sim::SimAgentKernel;
using sim::SimThread;
using sim::Step;

constexpr int kCores = 4;

// Always the same step, until its end.
class Endless final : public Program {
 public:
  explicit Endless(Step step) : step_(step) {}
  Step Next(SimThread&, Time) override { return over_ ? Step::Exit() : step_; }
  void End() { over_ = true; }

 private:
  const Step step_;
  bool over_ = false;
};

class HogOnce final : public Program {
 public:
  explicit HogOnce(Duration time) : time_(time) {}
  Step Next(SimThread&, Time now) override {
    if (end_ == Time::max()) end_ = now + time_;
    return now >= end_ ? Step::Exit() : Step::Run(end_ - now);
  }

 private:
  const Duration time_;
  Time end_ = Time::max();
};

// Does what it was told last.
class Orders final : public Program {
 public:
  enum Order { kSleep, kSpin, kYield, kYieldTo, kFork, kExit };
  explicit Orders(Machine& machine) : machine_(machine) {}
  void Give(Order order) { order_ = order; }
  void GiveYieldTo(SimThread& other) {
    order_ = kYieldTo;
    other_ = &other;
    yielded_.reset();
  }
  std::optional<int> yielded() const { return yielded_; }
  SimThread* child() const { return child_; }
  Endless* child_program() const { return child_program_; }

  Step Next(SimThread& self, Time) override {
    switch (order_) {
      case kSleep:
        return Step::Block();
      case kYield:
        order_ = kSpin;
        return Step::Yield();
      case kYieldTo:
        order_ = kSpin;
        yielded_ = machine_.YieldTo(self, *other_);
        return Step::RunForever();
      case kFork:
        order_ = kSpin;
        child_program_ = new Endless(Step::RunForever());
        child_ = &machine_.Fork(self, "child", std::unique_ptr<Program>(child_program_));
        return Step::RunForever();
      case kExit:
        return Step::Exit();
      case kSpin:
        break;
    }
    return Step::RunForever();
  }

 private:
  Machine& machine_;
  Order order_ = kSleep;
  SimThread* other_ = nullptr;  // of kYieldTo
  std::optional<int> yielded_;
  SimThread* child_ = nullptr;
  Endless* child_program_ = nullptr;
};

class SimWorldThread final : public Thread {
 public:
  explicit SimWorldThread(Machine& machine) : machine_(machine) {
    auto program = std::make_unique<Orders>(machine);
    orders_ = program.get();
    thread_ = &machine.NewThread("thread", std::move(program));
  }
  ~SimWorldThread() override {
    SimThread* const child = orders_->child();
    if (child != nullptr) orders_->child_program()->End();
    orders_->Give(Orders::kExit);
    for (SimThread* thread : {thread_, child}) {
      if (thread == nullptr || thread->dead()) continue;
      machine_.SetPolicy(*thread, 0);
      machine_.Interrupt(*thread);
      for (int i = 0; i < 1000 && !thread->dead(); ++i)
        machine_.RunFor(std::chrono::milliseconds(1));
    }
  }
  pid_t tid() const override { return thread_->tid(); }
  void Spin() override { Order(Orders::kSpin); }
  void Sleep() override { Order(Orders::kSleep); }
  void Yield() override { Order(Orders::kYield); }
  void YieldTo(Thread& other) override {
    orders_->GiveYieldTo(*dynamic_cast<SimWorldThread&>(other).thread_);
    machine_.Interrupt(*thread_);
  }
  std::optional<int> yielded() const override { return orders_->yielded(); }
  void Fork() override { Order(Orders::kFork); }
  void Exit() override { Order(Orders::kExit); }
  std::vector<pid_t> children() const override {
    SimThread* const child = orders_->child();
    return child == nullptr ? std::vector<pid_t>() : std::vector<pid_t>{child->tid()};
  }
  absl::Status SetAffinity(const CpuSet& cpus) override {
    machine_.SetAffinity(*thread_, cpus);
    return absl::OkStatus();
  }
  absl::Status SetNice(int nice) override {
    machine_.SetNice(*thread_, nice);
    return absl::OkStatus();
  }
  absl::Status SetExt(bool ext) override {
    machine_.SetPolicy(*thread_, ext ? 7 : 0);
    return absl::OkStatus();
  }
  Duration cpu_time() const override { return machine_.CpuTime(*thread_); }

 private:
  void Order(Orders::Order order) {
    orders_->Give(order);
    machine_.Interrupt(*thread_);
  }

  Machine& machine_;
  Orders* orders_;
  SimThread* thread_;
};

class SimCompanion final : public Companion {
 public:
  SimCompanion(Machine& machine, SimAgentKernel& kernel, CoreId core)
      : machine_(machine), kernel_(kernel), core_(core) {
    auto program = std::make_unique<Endless>(Step::Block());
    sleeper_ = program.get();
    thread_ = &machine.NewThread("agent", std::move(program), kernel.caller().tgid);
    entered_ = As([&] { return kernel_.EnterAgent(core_); });
  }
  ~SimCompanion() override {
    if (thread_ == nullptr) return;
    if (entered_.ok()) As([&] { return kernel_.LeaveAgent(core_); }).IgnoreError();
    Die();
  }
  absl::Status entered() const override { return entered_; }
  void Die() override {
    sleeper_->End();
    machine_.Wake(*thread_);
    for (int i = 0; i < 1000 && !thread_->dead(); ++i)
      machine_.RunFor(std::chrono::milliseconds(1));
    thread_ = nullptr;
  }

 private:
  template <typename F>
  absl::Status As(F call) {
    SimThread& before = kernel_.caller();
    kernel_.ActAs(*thread_);
    const absl::Status status = call();
    kernel_.ActAs(before);
    return status;
  }

  Machine& machine_;
  SimAgentKernel& kernel_;
  const CoreId core_;
  Endless* sleeper_;
  SimThread* thread_;
  absl::Status entered_;
};

class SimWorld final : public World {
 public:
  explicit SimWorld(std::unique_ptr<Machine> machine)
      : machine_(std::move(machine)),
        control_(sim::SimControlKernel::Create(*machine_).value()),
        test_(machine_->NewThread("test", std::make_unique<Endless>(Step::Block()))) {}

  ControlKernel& control() override { return *control_; }
  absl::StatusOr<std::unique_ptr<AgentKernel>> BecomeAgent(EnclaveId enclave,
                                                           const std::string& name) override {
    if (const absl::Status status = control_->BlessAgent(test_.tgid, enclave); !status.ok())
      return status;
    absl::StatusOr<std::unique_ptr<SimAgentKernel>> kernel =
        SimAgentKernel::Create(*machine_, test_, name);
    if (!kernel.ok()) return kernel.status();
    return std::unique_ptr<AgentKernel>(*std::move(kernel));
  }
  std::unique_ptr<Companion> RunAsAgent(AgentKernel& kernel, CoreId core) override {
    return std::make_unique<SimCompanion>(*machine_, dynamic_cast<SimAgentKernel&>(kernel), core);
  }
  std::unique_ptr<Thread> NewThread() override {
    return std::make_unique<SimWorldThread>(*machine_);
  }
  bool CanYieldTo() const override { return true; }
  void Pass(Duration time) override { machine_->RunFor(time); }
  void Hog(CpuId cpu, Duration time) override {
    SimThread& hog = machine_->NewThread("hog", std::make_unique<HogOnce>(time));
    CpuSet there;
    there.Insert(cpu);
    machine_->SetAffinity(hog, there);
    machine_->Wake(hog);
  }
  absl::Status SetOnline(CpuId cpu, bool online) override {
    machine_->SetOnline(cpu, online);
    for (int i = 0; i < 1000; ++i) {
      if (machine_->Online(cpu) == online) return absl::OkStatus();
      machine_->RunFor(std::chrono::milliseconds(1));
    }
    return absl::DeadlineExceededError(absl::StrCat("CPU ", cpu.value(), " does not change"));
  }

 private:
  std::unique_ptr<Machine> machine_;
  std::unique_ptr<sim::SimControlKernel> control_;
  SimThread& test_;
};

int Siblings() {
  const char* const text = getenv("CORRAL_SIM_SIBLINGS");
  int siblings = 2;
  if (text != nullptr && !absl::SimpleAtoi(text, &siblings)) return 0;
  return siblings;
}

}  // namespace

absl::StatusOr<std::unique_ptr<World>> World::Make() {
  Machine::Spec spec;
  const int siblings = Siblings();
  for (int core = 0; core < kCores; ++core) {
    sim::SimCore& made = spec.cores.emplace_back();
    made.node = made.l3 = siblings == 4 ? (core + 1) / 2 : core / 2;
    for (int i = 0; i < siblings; ++i) made.cpus.push_back(CpuId(core * siblings + i));
  }
  absl::StatusOr<std::unique_ptr<Machine>> machine = Machine::Create(spec);
  if (!machine.ok()) return machine.status();
  return std::make_unique<SimWorld>(*std::move(machine));
}

}  // namespace corral::conformance
