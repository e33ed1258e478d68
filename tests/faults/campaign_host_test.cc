// SPDX-License-Identifier: Apache-2.0
// Faults in random order on a host with Corral and VMs that compute: whatever breaks, no core runs
// two VMs while the class is in charge, nobody is lost or stuck, nothing grows, and nobody has to
// help. The auditor judges, and the kernel says who is in charge. In the test host.
//
// CORRAL_FAULT_RUNS: how often each at least; once unless said otherwise. CORRAL_SOAK_SECONDS: for
// how long at least. CORRAL_SEED: another order. CORRAL_FAULTS: only those whose names have this in
// them.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "tests/environment.h"
#include "tests/faults/fault_list.h"
#include "tests/libvirt/footprint.h"

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
// A process has its memory by then; after that it may have so much more, in KiB.
constexpr seconds kSettled{20};
constexpr long kMostGrowth = 1024;

struct Row {
  std::vector<milliseconds> recoveries;
  Duration shared{0};   // by VMs, where the class was in charge
  Duration exposed{0};  // by VMs, where it was not
};

// The memory of daemons that come and go.
class Growth {
 public:
  void Look(const std::string& daemon, pid_t pid) {
    const long now = FootprintOf(pid).anonymous_kib;
    if (now == 0) return;
    const auto [seen, first] = seen_.try_emplace(pid, Life{.since = steady_clock::now()});
    Life& life = seen->second;
    if (steady_clock::now() - life.since < kSettled) return;
    if (life.at_first == 0) life.at_first = now;
    if (now - life.at_first < most_) return;
    most_ = now - life.at_first;
    whose_ = daemon;
  }
  long most() const { return most_; }
  const std::string& whose() const { return whose_; }
  size_t processes() const { return seen_.size(); }

 private:
  struct Life {
    steady_clock::time_point since;
    long at_first = 0;
  };
  std::map<pid_t, Life> seen_;
  long most_ = 0;
  std::string whose_ = "nobody";
};

class Campaign : public testing::Test {
 protected:
  // Failures are the fault's.
  void Strike(const Fault& fault);
  void PrintTable();

  Victim victim_;
  Growth growth_;

 private:
  // What the auditor saw since the last time.
  void Judge(bool in_charge, uint64_t silent_switches, Row& row);

  std::map<std::string, Row> rows_;
  uint64_t skipped_ = 0;
};

void Campaign::Judge(bool in_charge, uint64_t silent_switches, Row& row) {
  const absl::StatusOr<AuditReport> report = victim_.corral().auditor().Read();
  ASSERT_TRUE(report.ok()) << report.status();
  AuditGaps gaps = report->gaps;
  // Of programs that are executed and processes that end a probe may be skipped (report.h). Those
  // of the VMs are known since before the first fault.
  EXPECT_EQ(gaps.missed_switch_probes, 0u);
  skipped_ = std::exchange(gaps.missed_probes, 0);
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
  ASSERT_TRUE(victim_.corral().auditor().Reset().ok());
}

void Campaign::Strike(const Fault& fault) {
  SCOPED_TRACE(fault.name);
  Row& row = rows_[fault.name];
  const bool stays_in_charge = fault.told.empty();
  const size_t said = victim_.corral().Log().size();
  ASSERT_TRUE(victim_.corral().auditor().Reset().ok());
  ASSERT_NO_FATAL_FAILURE(fault.strike(victim_));
  const steady_clock::time_point begin = steady_clock::now();
  const std::map<pid_t, uint64_t> before = victim_.RunTimes();
  const auto recovered = [&] { return victim_.Whole() && victim_.EveryVcpuRan(before); };
  if (!Within(kSoon, recovered))
    printf("%s: so far %s\n", fault.name.c_str(), victim_.Describe().c_str());
  ASSERT_TRUE(Within(kPatience, recovered)) << victim_.Describe();
  row.recoveries.push_back(std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin));
  ASSERT_NO_FATAL_FAILURE(Judge(stays_in_charge, fault.silent_switches, row));
  if (!stays_in_charge) {
    // It says so when it has put things right.
    EXPECT_TRUE(Within(
        kSoon, [&] { return absl::StrContains(victim_.corral().Log().substr(said), fault.told); }))
        << "corrald does not say \"" << fault.told << '"';
  }
  // Nothing comes after it.
  std::this_thread::sleep_for(seconds(1));
  ASSERT_NO_FATAL_FAILURE(Judge(/*in_charge=*/true, /*silent_switches=*/0, row));
}

void Campaign::PrintTable() {
  printf("%-28s %5s %14s %10s %12s %14s\n", "fault", "times", "recovered p50", "max (ms)",
         "exposed (us)", "shared (ns)");
  for (auto& [name, row] : rows_) {
    if (row.recoveries.empty()) continue;  // a failure says so
    std::sort(row.recoveries.begin(), row.recoveries.end());
    printf("%-28s %5zu %14lld %10lld %12lld %14lld\n", name.c_str(), row.recoveries.size(),
           static_cast<long long>(row.recoveries[row.recoveries.size() / 2].count()),
           static_cast<long long>(row.recoveries.back().count()),
           static_cast<long long>(row.exposed.count() / 1000),
           static_cast<long long>(row.shared.count()));
  }
  printf("%zu processes of corrald and agents, which grew by %ld KiB at most (%s)\n",
         growth_.processes(), growth_.most(), growth_.whose().c_str());
  printf("%llu of the auditor's probes of exec and exit were skipped\n",
         static_cast<unsigned long long>(skipped_));
  fflush(stdout);
}

TEST_F(Campaign, EachFaultIsSurvived) {
  std::vector<Fault> faults = AllFaults();
  const std::string chosen = FromEnvironment("CORRAL_FAULTS");
  std::erase_if(faults, [&](const Fault& f) { return !absl::StrContains(f.name, chosen); });
  ASSERT_FALSE(faults.empty()) << "there is no such fault: " << chosen;
  const size_t strikes =
      faults.size() * static_cast<size_t>(FromEnvironment("CORRAL_FAULT_RUNS", 1));
  const auto end = steady_clock::now() + seconds(FromEnvironment("CORRAL_SOAK_SECONDS", 0));
  std::mt19937 random(static_cast<unsigned>(FromEnvironment("CORRAL_SEED", 1)));
  for (size_t i = 0; (i < strikes || steady_clock::now() < end) && !HasFatalFailure(); ++i) {
    if (i % faults.size() == 0) std::shuffle(faults.begin(), faults.end(), random);
    Strike(faults[i % faults.size()]);
    growth_.Look("corrald", victim_.corral().daemon());
    growth_.Look("agent", victim_.Agent());
  }
  PrintTable();
  EXPECT_LT(growth_.most(), kMostGrowth) << growth_.whose();
  EXPECT_EQ(victim_.corral().Domains().size(), victim_.vms().size()) << "one is left in the class";
  EXPECT_EQ(victim_.corral().Tasks(), static_cast<int>(victim_.VcpuThreads().size()));
}

}  // namespace
}  // namespace corral
