// SPDX-License-Identifier: Apache-2.0
// One fault after the other on a host with Corral and VMs that compute: whatever breaks, no core
// runs two VMs while the class is in charge, nobody is lost or stuck, and nobody has to help. The
// auditor judges, and the kernel says who is in charge. In the test host.
//
// CORRAL_FAULT_RUNS: how often each; once unless said otherwise.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "tests/faults/fault_list.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// An agent that hangs is given its time, and libvirt may be slow.
constexpr seconds kPatience{90};
// What takes longer is described.
constexpr seconds kSoon{2};
// For as long as it takes until the VMs are stopped where the class was lost, the emulator is slow.
constexpr seconds kMostExposed{3};

int Runs() {
  const char* const said = getenv("CORRAL_FAULT_RUNS");
  return said == nullptr ? 1 : std::stoi(said);
}

struct Row {
  std::vector<milliseconds> recoveries;
  Duration shared{0};   // by VMs, where the class was in charge
  Duration exposed{0};  // by VMs, where it was not
};

class Campaign : public testing::TestWithParam<Fault> {
 protected:
  static void SetUpTestSuite() { victim_ = new Victim; }
  static void TearDownTestSuite() {
    printf("%-28s %5s %14s %10s %12s %14s\n", "fault", "times", "recovered p50", "max (ms)",
           "exposed (us)", "shared (ns)");
    for (auto& [name, row] : *rows_) {
      if (row.recoveries.empty()) continue;  // its test says so
      std::sort(row.recoveries.begin(), row.recoveries.end());
      printf("%-28s %5zu %14lld %10lld %12lld %14lld\n", name.c_str(), row.recoveries.size(),
             static_cast<long long>(row.recoveries[row.recoveries.size() / 2].count()),
             static_cast<long long>(row.recoveries.back().count()),
             static_cast<long long>(row.exposed.count() / 1000),
             static_cast<long long>(row.shared.count()));
    }
    fflush(stdout);
    delete victim_;
  }

  void Strike();
  // What the auditor saw since the last time.
  void Judge(bool in_charge, uint64_t silent_switches, Row& row);

  static Victim* victim_;
  static std::map<std::string, Row>* rows_;
};

Victim* Campaign::victim_ = nullptr;
std::map<std::string, Row>* Campaign::rows_ = new std::map<std::string, Row>;

void Campaign::Judge(bool in_charge, uint64_t silent_switches, Row& row) {
  const absl::StatusOr<AuditReport> report = victim_->corral().auditor().Read();
  ASSERT_TRUE(report.ok()) << report.status();
  AuditGaps gaps = report->gaps;
  EXPECT_EQ(std::exchange(gaps.missed_switches, 0), silent_switches);
  EXPECT_FALSE(gaps.Any()) << "the auditor missed " << gaps.missed_probes << " probes, "
                           << gaps.unmapped_switches << " switches on new CPUs, "
                           << gaps.lost_threads << " threads, " << gaps.lost_processes
                           << " processes; unseen CPUs: " << gaps.unseen_cpus.size();
  const Duration enforced = report->total[AUDIT_VCPU_ENFORCED].time;
  const Duration exposed = report->total[AUDIT_VCPU_EXPOSED].time;
  if (in_charge) {
    row.shared += enforced + exposed;
    EXPECT_EQ(enforced.count(), 0) << "two VMs shared a core";
    EXPECT_EQ(exposed.count(), 0) << "two VMs shared a core, one of them not in the class";
  } else {
    row.exposed += enforced + exposed;
    EXPECT_LT(enforced + exposed, kMostExposed);
  }
  ASSERT_TRUE(victim_->corral().auditor().Reset().ok());
}

void Campaign::Strike() {
  Row& row = (*rows_)[GetParam().name];
  const bool stays_in_charge = GetParam().told.empty();
  const size_t said = victim_->corral().Log().size();
  ASSERT_TRUE(victim_->corral().auditor().Reset().ok());
  ASSERT_NO_FATAL_FAILURE(GetParam().strike(*victim_));
  const steady_clock::time_point begin = steady_clock::now();
  const std::map<pid_t, uint64_t> before = victim_->RunTimes();
  const auto recovered = [&] { return victim_->Whole() && victim_->EveryVcpuRan(before); };
  if (!Within(kSoon, recovered))
    printf("%s: so far %s\n", GetParam().name.c_str(), victim_->Describe().c_str());
  ASSERT_TRUE(Within(kPatience, recovered)) << victim_->Describe();
  row.recoveries.push_back(std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin));
  ASSERT_NO_FATAL_FAILURE(Judge(stays_in_charge, GetParam().silent_switches, row));
  if (!stays_in_charge) {
    EXPECT_TRUE(absl::StrContains(victim_->corral().Log().substr(said), GetParam().told))
        << "corrald does not say \"" << GetParam().told << '"';
  }
  // Nothing comes after it.
  std::this_thread::sleep_for(seconds(1));
  ASSERT_NO_FATAL_FAILURE(Judge(/*in_charge=*/true, /*silent_switches=*/0, row));
}

TEST_P(Campaign, IsSurvived) {
  for (int run = 0; run < Runs() && !HasFatalFailure(); ++run) Strike();
}

INSTANTIATE_TEST_SUITE_P(Faults, Campaign, testing::ValuesIn(AllFaults()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace corral
