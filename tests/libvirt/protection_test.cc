// SPDX-License-Identifier: Apache-2.0
// What corrald tells and corralctl shows of vCPUs that are in the class but not as they should be,
// with the class's own source on a simulated machine.
#include "agent/views/protection.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "agent/daemon/vcpu_watch.h"
#include "kernel/sim/sim_kernel.h"

namespace corral {
namespace {

using sim::Machine;
using sim::SimThread;
using std::chrono::milliseconds;
using testing::AssertionFailure;
using testing::AssertionResult;
using testing::AssertionSuccess;

// Four cores of two siblings; the enclave has the first three.
class ProtectionTest : public testing::Test {
 protected:
  void SetUp() override {
    Machine::Spec spec;
    for (int core = 0; core < 4; ++core)
      spec.cores.push_back({.cpus = {CpuId(2 * core), CpuId(2 * core + 1)}});
    machine_ = Machine::Create(spec).value();
    control_ = sim::SimControlKernel::Create(*machine_).value();
    enclave_ = control_->CreateEnclave({.name = "vms", .cpus = {0, 1, 2, 3, 4, 5}}).value();
    watch_ = std::make_unique<VcpuWatch>(*control_);
  }
  SimThread& NewVcpu(const std::string& vm, int vcpu) {
    SimThread& thread = machine_->NewThread(vm, nullptr);
    DomainKey key = {};
    std::copy(vm.begin(), vm.end(), key.begin());
    const DomainId domain = control_->CreateDomain(enclave_, key, vm).value();
    gtid_ = control_->AttachTask(thread.tid(), domain, vcpu, 100).value();
    machine_->RunFor(milliseconds(1));
    return thread;
  }
  void Pin(SimThread& thread, const CpuSet& cpus) {
    machine_->SetAffinity(thread, cpus);
    machine_->RunFor(milliseconds(1));
  }
  AssertionResult Tells(const std::string& part) {
    const std::vector<News> news = watch_->Look();
    if (news.size() == 1 && news[0].text.find(part) != std::string::npos) return AssertionSuccess();
    AssertionResult failure = AssertionFailure();
    for (const News& one : news) failure << one.text << "\n";
    return failure;
  }

  std::unique_ptr<Machine> machine_;
  std::unique_ptr<sim::SimControlKernel> control_;
  EnclaveId enclave_;
  Gtid gtid_;  // of the last vCPU
  std::unique_ptr<VcpuWatch> watch_;
};

TEST_F(ProtectionTest, AVcpuPinnedOutsideIsToldOnceAndWhenItIsOver) {
  SimThread& web = NewVcpu("web", 1);
  EXPECT_TRUE(watch_->Look().empty());
  Pin(web, {6, 7});
  EXPECT_TRUE(
      Tells("UNPROTECTED: vCPU 1 of web: it is pinned to CPUs 6-7, and its enclave has 0-5"));
  EXPECT_TRUE(watch_->Look().empty());
  Pin(web, {5, 6});
  EXPECT_TRUE(Tells("vCPU 1 of web is no longer UNPROTECTED"));
}

TEST_F(ProtectionTest, PinsOfTwoDomainsOnOneCoreAreAConflict) {
  SimThread& web = NewVcpu("web", 0);
  SimThread& db = NewVcpu("db", 0);
  SimThread& db1 = NewVcpu("db", 1);
  Pin(web, {2});
  Pin(db, {2, 3});
  EXPECT_TRUE(
      Tells("CPUs 2-3 are one core, and vCPU 0 of web, vCPU 0 of db are pinned there alone"));
  EXPECT_TRUE(watch_->Look().empty());
  Pin(db, {3, 4});
  EXPECT_TRUE(FindPinConflicts(*control_).empty()) << "it has another core, too";
  Pin(db, {4});
  Pin(db1, {5});
  EXPECT_TRUE(FindPinConflicts(*control_).empty()) << "siblings of one domain";
  Pin(web, {3, 6});
  Pin(db, {2});
  ASSERT_EQ(FindPinConflicts(*control_).size(), 1u) << "outside the enclave does not count";
  EXPECT_NE(Describe(*control_, FindPinConflicts(*control_)[0]).find("at most 50%"),
            std::string::npos);
}

TEST_F(ProtectionTest, AnEnclaveOfOneCoreLeavesNoChoice) {
  ASSERT_TRUE(control_->DestroyEnclave(enclave_).ok());
  enclave_ = control_->CreateEnclave({.name = "one", .cpus = {0, 1}}).value();
  NewVcpu("web", 0);
  NewVcpu("db", 0);
  EXPECT_TRUE(FindPinConflicts(*control_).empty());
}

TEST_F(ProtectionTest, ARefusedBudgetIsToldWithTheNumbers) {
  NewVcpu("web", 0);
  ASSERT_TRUE(
      control_->UpdateTask(gtid_, {.budget = milliseconds(8), .period = milliseconds(10)}).ok());
  EXPECT_TRUE(watch_->Look().empty()) << "not judged yet";
  SimThread& process = machine_->NewThread("agent", nullptr);
  ASSERT_TRUE(control_->BlessAgent(process.tid(), enclave_).ok());
  const auto agent = sim::SimAgentKernel::Create(*machine_, process, "vms").value();
  ASSERT_TRUE(agent->EnterAgent(CoreId(0)).ok());
  ASSERT_TRUE(agent->Grant(gtid_, {.free = milliseconds(3), .place = CoreId(2)}).ok());
  EXPECT_TRUE(
      Tells("refused: vCPU 0 of web: 8ms of 10ms is not promised: at most 3ms is free, on core 2"));
  ASSERT_TRUE(agent->Grant(gtid_, {.granted = milliseconds(8), .place = CoreId(2)}).ok());
  EXPECT_TRUE(Tells("is no longer refused"));
}

}  // namespace
}  // namespace corral
