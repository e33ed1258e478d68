// SPDX-License-Identifier: Apache-2.0
// What corrald writes into the audit log: of a simulated class, and of a file that says who is in
// charge.
#include "agent/daemon/ledger_keeper.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/sim/bare_vms.h"

namespace corral {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class LedgerKeeperTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    std::filesystem::create_directories(folder_ + "/sys/kernel/sched_ext/root");
    SetInCharge(true);
    vms_.AddVm<Spinner>(1, "alpha");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void SetInCharge(bool in_charge) {
    std::ofstream(folder_ + "/sys/kernel/sched_ext/state")
        << (in_charge ? "enabled" : "disabled") << "\n";
    std::ofstream(folder_ + "/sys/kernel/sched_ext/root/ops") << "corral\n";
  }
  LedgerKeeper Keeper() {
    return LedgerKeeper(
        vms_.control(), folder_ + "/state", [this](const News& news) { told_.push_back(news); },
        folder_);
  }
  void Pass(LedgerKeeper& keeper, Duration time) {
    for (const Time end = vms_.control().Now() + time; vms_.control().Now() < end;) {
      vms_.machine().RunFor(seconds(1));
      keeper.Poll(vms_.control().Now());
    }
  }
  std::vector<ledger::Entry> Entries() {
    const auto entries = ledger::Read(folder_ + "/state/audit.log");
    EXPECT_TRUE(entries.ok()) << entries.status();
    return entries.value_or(std::vector<ledger::Entry>());
  }

  std::string folder_ = "/tmp/corral-keeper.XXXXXX";
  BareVms vms_{/*cores=*/1, /*siblings=*/2};
  std::vector<News> told_;
};

TEST_F(LedgerKeeperTest, AnEntryEveryTenMinutesAndAtTheEnd) {
  {
    LedgerKeeper keeper = Keeper();
    Pass(keeper, minutes(10) + seconds(2));
    SetInCharge(false);
    Pass(keeper, minutes(1));
    SetInCharge(true);
    Pass(keeper, minutes(1));
    keeper.Finish();
  }
  const std::vector<ledger::Entry> entries = Entries();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].stretch.in_charge, minutes(10));
  EXPECT_EQ(entries[0].stretch.tenants, std::vector<std::string>{"alpha"});
  EXPECT_EQ(entries[0].stretch.watched, Duration(0)) << "there is no auditor";
  EXPECT_LE(entries[1].stretch.in_charge, minutes(1) + seconds(3));
  EXPECT_GE(entries[1].stretch.in_charge, minutes(1) - seconds(3));
  EXPECT_EQ(entries[1].stretch.begin, entries[0].stretch.end);
  ASSERT_EQ(told_.size(), 1u) << "one an hour";
  EXPECT_EQ(told_[0].event, Event::kAuditLogHead);
  EXPECT_NE(told_[0].text.find(entries[0].hash), std::string::npos);
  Keeper().Finish();
  EXPECT_EQ(Entries().size(), 3u) << "another corrald goes on there";
}

TEST_F(LedgerKeeperTest, ALogThatWasChangedIsToldOfAndLeftAlone) {
  std::filesystem::create_directories(folder_ + "/state");
  std::ofstream(folder_ + "/state/audit.log") << "nonsense\n";
  LedgerKeeper keeper = Keeper();
  Pass(keeper, minutes(11));
  keeper.Finish();
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].event, Event::kAuditLogBroken);
  EXPECT_NE(told_[0].text.find("line 1"), std::string::npos) << told_[0].text;
  EXPECT_EQ(std::filesystem::file_size(folder_ + "/state/audit.log"), 9u);
}

}  // namespace
}  // namespace corral
