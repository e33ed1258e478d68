// SPDX-License-Identifier: Apache-2.0
// What a VM's settings come to in the class: the keeper with the class's own source on a simulated
// machine. A thread of the VM is there for each vCPU; no agent, so the class schedules.
#include "agent/daemon/vm_keeper.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "kernel/sim/sim_kernel.h"
#include "kernel/text_field.h"

namespace corral {
namespace {

using sim::Machine;
using sim::SimThread;
using std::chrono::milliseconds;

constexpr char kUuidA[] = "aaaaaaaa-0000-4000-8000-000000000001";
constexpr char kUuidB[] = "bbbbbbbb-0000-4000-8000-000000000002";

class Spin final : public sim::Program {
 public:
  Spin(const bool& over, const bool& asleep) : over_(over), asleep_(asleep) {}
  sim::Step Next(SimThread&, Time) override {
    if (over_) return sim::Step::Exit();
    return asleep_ ? sim::Step::Block() : sim::Step::Run(milliseconds(1));
  }

 private:
  const bool& over_;
  const bool& asleep_;
};

class VmKeeperTest : public testing::Test {
 protected:
  void SetUp() override { SetUpMachine(4096); }
  // With a class for so many threads.
  void SetUpMachine(uint32_t tasks) {
    keeper_.reset();
    control_.reset();
    Machine::Spec spec{.tasks = tasks};
    for (int core = 0; core < 2; ++core)
      spec.cores.push_back({.cpus = {CpuId(2 * core), CpuId(2 * core + 1)}});
    machine_ = Machine::Create(spec).value();
    control_ = sim::SimControlKernel::Create(*machine_).value();
    enclave_ = control_->CreateEnclave({.name = "vms", .cpus = {0, 1, 2, 3}}).value();
    Restart();
  }
  // A new daemon, which knows nothing.
  void Restart() {
    keeper_ = std::make_unique<VmKeeper>(*control_, VmKeeper::Place{.enclave = enclave_},
                                         [this](const News& news) { log_.push_back(news.text); });
  }
  Vm NewVm(const std::string& name, const std::string& uuid, int vcpus) {
    Vm vm{.uuid = uuid, .name = name};
    for (int i = 0; i < vcpus; ++i) {
      SimThread& thread = machine_->NewThread(
          absl::StrCat(name, "/", i), std::make_unique<Spin>(over_[uuid], asleep_[uuid]), vm.pid);
      if (i == 0) vm.pid = thread.tid();
      threads_[{uuid, i}] = &thread;
      machine_->Wake(thread);
    }
    return vm;
  }
  void Start(const Vm& vm, int vcpus, const VmSettings& settings) {
    keeper_->OnSettings(vm, settings);
    for (int i = 0; i < vcpus; ++i)
      keeper_->OnVcpu(vm, {.tid = threads_[{vm.uuid, i}]->tid(), .vcpu = i});
    machine_->RunFor(milliseconds(50));
  }
  // The one word of that thread.
  ghost_status_word Word(const Vm& vm, int vcpu) {
    ghost_status_word found = {};
    for (const ghost_status_word& word : control_->status_words()) {
      if (word.gtid == 0 || static_cast<pid_t>(word.tid) != threads_[{vm.uuid, vcpu}]->tid())
        continue;
      EXPECT_EQ(found.gtid, 0u) << "two words for one thread";
      found = word;
    }
    EXPECT_NE(found.gtid, 0u);
    return found;
  }
  std::string DomainName(const Vm& vm, int vcpu) {
    return std::string(TextOf(control_->domains()[Word(vm, vcpu).domain].name));
  }
  bool Logged(const std::string& part) const {
    return std::any_of(log_.begin(), log_.end(), [&](const std::string& line) {
      return line.find(part) != std::string::npos;
    });
  }
  static VmSettings In(const std::string& trust) {
    VmSettings settings = DefaultSettings(kUuidA, "a");
    settings.trust = {{.uuid = UuidOfTrustDomain(trust), .name = trust}, Origin::kMetadata};
    return settings;
  }
  int DomainsInUse() const {
    int count = 0;
    for (const ghost_domain& domain : control_->domains()) count += domain.in_use != 0;
    return count;
  }

  std::unique_ptr<Machine> machine_;
  std::unique_ptr<sim::SimControlKernel> control_;
  EnclaveId enclave_;
  std::vector<std::string> log_;
  std::map<std::pair<std::string, int>, SimThread*> threads_;
  std::map<std::string, bool> over_;    // by UUID: its threads end
  std::map<std::string, bool> asleep_;  // by UUID: they sleep
  std::unique_ptr<VmKeeper> keeper_;
};

TEST_F(VmKeeperTest, SettingsHoldFromTheStartAndWhenTheyChange) {
  const Vm vm = NewVm("a", kUuidA, 2);
  VmSettings settings = DefaultSettings(kUuidA, "a");
  settings.weight = {300, Origin::kXml};
  settings.cap.value = {milliseconds(20), milliseconds(100)};
  settings.node.value = 1;
  settings.reservation = {milliseconds(2), milliseconds(10)};
  settings.reservation_of[1] = {milliseconds(3), milliseconds(20)};
  Start(vm, 2, settings);
  EXPECT_EQ(Word(vm, 0).weight, 300u);
  EXPECT_EQ(Word(vm, 0).cap_ns, 20'000'000u);
  EXPECT_EQ(Word(vm, 0).cap_period_ns, 100'000'000u);
  EXPECT_EQ(Word(vm, 0).node, 1u);
  EXPECT_EQ(Word(vm, 0).budget_ns, 2'000'000u);
  EXPECT_EQ(Word(vm, 1).budget_ns, 3'000'000u);
  EXPECT_EQ(Word(vm, 1).period_ns, 20'000'000u);
  settings.weight = {500, Origin::kSchedinfo};
  settings.cap = {};
  keeper_->OnSettings(vm, settings);
  EXPECT_EQ(Word(vm, 1).weight, 500u);
  EXPECT_EQ(Word(vm, 1).cap_ns, 0u);
  EXPECT_TRUE(Logged("VM a: weight 500 (schedinfo), cap none"));
}

// global_quota, or cpu.max of the cgroup: what a vCPU may have depends on how many there are.
TEST_F(VmKeeperTest, ACapOfTheWholeVmIsDealtOut) {
  const Vm vm = NewVm("a", kUuidA, 3);
  VmSettings settings = DefaultSettings(kUuidA, "a");
  settings.vm_cap.value = {milliseconds(60), milliseconds(100)};
  Start(vm, 2, settings);
  EXPECT_EQ(Word(vm, 0).cap_ns, 30'000'000u);
  EXPECT_EQ(Word(vm, 1).cap_period_ns, 100'000'000u);
  const VcpuThread plugged{.tid = threads_[{kUuidA, 2}]->tid(), .vcpu = 2};
  keeper_->OnVcpu(vm, plugged);
  EXPECT_EQ(Word(vm, 0).cap_ns, 20'000'000u);
  EXPECT_EQ(Word(vm, 2).cap_ns, 20'000'000u);
  keeper_->OnVcpuGone(vm, plugged);
  EXPECT_EQ(Word(vm, 0).cap_ns, 30'000'000u);
  // The lower one counts.
  settings.cap.value = {milliseconds(2), milliseconds(10)};
  keeper_->OnSettings(vm, settings);
  EXPECT_EQ(Word(vm, 0).cap_ns, 2'000'000u);
  settings.cap.value = {milliseconds(4), milliseconds(10)};
  keeper_->OnSettings(vm, settings);
  EXPECT_EQ(Word(vm, 0).cap_ns, 30'000'000u);
}

TEST_F(VmKeeperTest, MalformedMetadataLeavesWhatTheClassHas) {
  const Vm vm = NewVm("a", kUuidA, 1);
  VmSettings settings = In("tenant");
  settings.reservation = {milliseconds(2), milliseconds(10)};
  Start(vm, 1, settings);
  ASSERT_EQ(DomainName(vm, 0), "tenant");
  VmSettings malformed = DefaultSettings(kUuidA, "a");
  malformed.metadata_ok = false;
  malformed.weight.value = 700;
  for (const bool restarted : {false, true}) {
    if (restarted) Restart();
    Start(vm, 1, malformed);
    EXPECT_EQ(Word(vm, 0).budget_ns, 2'000'000u) << restarted;
    EXPECT_EQ(Word(vm, 0).weight, 700u) << "what is not metadata counts";
    EXPECT_EQ(DomainName(vm, 0), "tenant") << restarted;
  }
  malformed.metadata_ok = true;
  Start(vm, 1, malformed);
  EXPECT_EQ(Word(vm, 0).budget_ns, 0u);
  EXPECT_EQ(DomainName(vm, 0), "a");
}

TEST_F(VmKeeperTest, ARunningVmGoesToAnotherTrustDomain) {
  const Vm a = NewVm("a", kUuidA, 2), b = NewVm("b", kUuidB, 1);
  Start(a, 2, DefaultSettings(kUuidA, "a"));
  Start(b, 1, In("tenant"));
  EXPECT_EQ(DomainsInUse(), 2);
  EXPECT_NE(Word(a, 0).domain, Word(b, 0).domain);
  keeper_->OnSettings(a, In("tenant"));
  machine_->RunFor(milliseconds(200));
  EXPECT_EQ(Word(a, 0).domain, Word(b, 0).domain);
  EXPECT_EQ(Word(a, 1).domain, Word(b, 0).domain);
  EXPECT_TRUE(Logged("goes to trust domain tenant (metadata)"));
  keeper_->OnPause();
  EXPECT_EQ(DomainsInUse(), 1) << "nobody is in the former one";
  // And back, twice in a row.
  keeper_->OnSettings(a, DefaultSettings(kUuidA, "a"));
  keeper_->OnSettings(a, In("other"));
  for (int i = 0; i < 3; ++i) {
    machine_->RunFor(milliseconds(200));
    keeper_->OnPause();
  }
  EXPECT_EQ(DomainName(a, 0), "other");
  EXPECT_EQ(DomainName(a, 1), "other");
}

// A vCPU that sleeps changes its domain when it wakes up. If the operator has thought better of it
// by then, it must not.
TEST_F(VmKeeperTest, AChangeThatIsTakenBackDoesNotComeLater) {
  const Vm a = NewVm("a", kUuidA, 1);
  Start(a, 1, DefaultSettings(kUuidA, "a"));
  asleep_[kUuidA] = true;
  machine_->RunFor(milliseconds(50));
  keeper_->OnSettings(a, In("tenant"));
  keeper_->OnSettings(a, DefaultSettings(kUuidA, "a"));
  EXPECT_EQ(DomainName(a, 0), "a") << "one word again";
  asleep_[kUuidA] = false;
  machine_->Wake(*threads_[{kUuidA, 0}]);
  machine_->RunFor(milliseconds(200));
  EXPECT_EQ(DomainName(a, 0), "a");
}

TEST_F(VmKeeperTest, AVcpuThatSomebodyTookOutOfTheClassComesBack) {
  const Vm vm = NewVm("a", kUuidA, 2);
  VmSettings settings = DefaultSettings(kUuidA, "a");
  settings.weight.value = 300;
  Start(vm, 2, settings);
  machine_->SetPolicy(*threads_[{kUuidA, 1}], 0);
  machine_->RunFor(milliseconds(50));
  keeper_->OnPause();
  machine_->RunFor(milliseconds(50));
  EXPECT_EQ(Word(vm, 1).weight, 300u);
  EXPECT_EQ(Word(vm, 1).vcpu, 1u);
  EXPECT_TRUE(Logged("UNPROTECTED: vCPU 1 of a"));
  // One that has ended is nobody's business.
  const size_t told = log_.size();
  over_[kUuidA] = true;
  machine_->RunFor(milliseconds(50));
  keeper_->OnPause();
  EXPECT_EQ(log_.size(), told) << log_.back();
}

TEST_F(VmKeeperTest, WhomTheClassHasNoRoomForIsToldOnceAndTriedAgain) {
  SetUpMachine(64);  // which is room for one trust domain
  const Vm a = NewVm("a", kUuidA, 1), b = NewVm("b", kUuidB, 1);
  Start(a, 1, DefaultSettings(kUuidA, "a"));
  Start(b, 1, DefaultSettings(kUuidB, "b"));
  EXPECT_TRUE(Logged("UNPROTECTED: vCPU 0 of b"));
  const size_t told = log_.size();
  for (int i = 0; i < 3; ++i) keeper_->OnPause();
  EXPECT_EQ(log_.size(), told) << log_.back();
  over_[kUuidA] = true;
  machine_->RunFor(milliseconds(50));
  keeper_->OnVmGone(a);
  for (int i = 0; i < 2; ++i) keeper_->OnPause();
  EXPECT_EQ(DomainName(b, 0), "b");
}

TEST_F(VmKeeperTest, ADomainLivesAsLongAsOneOfItsVms) {
  const Vm a = NewVm("a", kUuidA, 1), b = NewVm("b", kUuidB, 1);
  Start(a, 1, In("tenant"));
  Start(b, 1, In("tenant"));
  EXPECT_EQ(DomainsInUse(), 1);
  for (const Vm& vm : {a, b}) {
    over_[vm.uuid] = true;
    machine_->RunFor(milliseconds(50));
    keeper_->OnVmGone(vm);
    keeper_->OnPause();
    EXPECT_EQ(DomainsInUse(), vm.uuid == kUuidA ? 1 : 0) << log_.back();
  }
}

// After a restart the class has everything already.
TEST_F(VmKeeperTest, ANewDaemonChangesNothing) {
  const Vm vm = NewVm("a", kUuidA, 1);
  VmSettings settings = In("tenant");
  settings.weight.value = 300;
  settings.reservation = {milliseconds(2), milliseconds(10)};
  Start(vm, 1, settings);
  const ghost_status_word before = Word(vm, 0);
  Restart();
  Start(vm, 1, settings);
  const ghost_status_word after = Word(vm, 0);
  EXPECT_EQ(after.gtid, before.gtid);
  EXPECT_EQ(after.domain, before.domain);
  EXPECT_EQ(after.weight, 300u);
  EXPECT_EQ(after.budget_ns, 2'000'000u);
  EXPECT_FALSE(Logged("UNPROTECTED"));
}

// While no daemon was there, somebody changed the metadata.
TEST_F(VmKeeperTest, ANewDaemonFindsAVmInAFormerDomain) {
  const Vm vm = NewVm("a", kUuidA, 1);
  Start(vm, 1, In("tenant"));
  Restart();
  Start(vm, 1, In("other"));
  machine_->RunFor(milliseconds(200));
  EXPECT_EQ(DomainName(vm, 0), "other");
  EXPECT_FALSE(Logged("UNPROTECTED"));
}

}  // namespace
}  // namespace corral
