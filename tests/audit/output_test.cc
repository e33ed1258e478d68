// SPDX-License-Identifier: Apache-2.0
// What corralctl makes of a report: the promises of audit_json.h and audit_text.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "agent/ctl/audit_json.h"
#include "agent/ctl/audit_text.h"
#include "kernel/audit/account.h"

namespace corral::ctl {
namespace {

using std::chrono::milliseconds;

AuditReport SomeReport() {
  AuditCore core;
  core.cpus = {CpuId(126), CpuId(127)};
  const AuditOnset onset{Time(milliseconds(7)),
                         {.vm = 4000, .tid = 4194303, .cpu = CpuId(126), .kind = AUDIT_VCPU},
                         {.vm = 4001, .tid = 4194302, .cpu = CpuId(127), .kind = AUDIT_VCPU}};
  core.spans[AUDIT_BUSY] = {
      .time = milliseconds(987654), .count = 3, .longest = milliseconds(5000)};
  core.spans[AUDIT_VCPU_ENFORCED] = {
      .time = milliseconds(123456), .count = 70000, .longest = milliseconds(31), .worst = onset};
  core.spans[AUDIT_VCPU_EXPOSED] = {
      .time = milliseconds(2), .count = 1, .longest = milliseconds(2), .worst = onset};
  core.spans[AUDIT_VCPU_VCPU] = {
      .time = milliseconds(123458), .count = 70001, .longest = milliseconds(31), .worst = onset};
  core.spans[AUDIT_BESIDE_HOST] = {
      .time = milliseconds(90), .count = 900, .longest = milliseconds(4), .worst = onset};
  core.beside_host[80] = 890;
  core.beside_host[82] = 10;
  core.switches = 12;
  AuditReport report;
  report.observed = milliseconds(1'000'000);
  report.cores = {core, core};
  report.total += core;
  report.total += core;
  report.threads.push_back(
      {.tid = 4194303, .tgid = 4194000, .vm = 4000, .kind = AUDIT_VCPU, .comm = "CPU 0/\xff"});
  report.vms.push_back({.id = 4000, .tgids = {4194000, 4194001}, .name = "qemu-system-x86"});
  return report;
}

TEST(AuditJson, HoldsWhatItsSchemaSays) {
  AuditReport report = SomeReport();
  report.gaps.missed_switches = 2;
  report.gaps.missed_probes = 3;
  const nlohmann::json json = nlohmann::json::parse(AuditJson(report).dump());
  const nlohmann::json& totals = json["totals"];
  EXPECT_EQ(totals["core_time_ns"], 2 * INT64_C(987654000000));
  EXPECT_EQ(totals["vcpu_vcpu"]["enforced_ns"], 2 * INT64_C(123456000000));
  EXPECT_EQ(totals["vcpu_vcpu"]["exposed_ns"], 4000000);
  EXPECT_EQ(totals["vcpu_vcpu"]["overlaps"], 140002);
  EXPECT_EQ(totals["vcpu_vcpu"]["longest_ns"], 31000000);
  EXPECT_EQ(totals["vcpu_vcpu"]["worst"]["newcomer"]["tid"], 4194303);
  EXPECT_EQ(totals["core_switches"], 24);
  EXPECT_EQ(totals["host"]["count"], 1800);
  EXPECT_EQ(totals["host"]["longest_ns"], 4000000);
  EXPECT_EQ(totals["host"]["p50_ns"], audit_length_bound(80));
  EXPECT_EQ(totals["host"]["p99_ns"], audit_length_bound(82));
  EXPECT_EQ(totals["missed_probes"], 5);
  for (const char* key :
       {"vcpu_helper_ns", "helper_helper_ns", "host_ns", "forced_idle_ns", "negative_intervals"}) {
    EXPECT_TRUE(totals.contains(key)) << key;
  }
  EXPECT_EQ(json["observed_ns"], INT64_C(1000000000000));
  EXPECT_EQ(json["complete"], false);
  EXPECT_EQ(json["cores"][1]["cpus"], nlohmann::json({126, 127}));
  EXPECT_EQ(json["threads"][0]["comm"], "CPU 0/?");
  EXPECT_EQ(json["threads"][0]["first_enrolled_ns"], nullptr);
  EXPECT_EQ(json["vms"][0]["tgids"][1], 4194001);
}

TEST(AuditText, FitsATerminalAndBeginsWithTheVerdict) {
  AuditReport report = SomeReport();
  report.gaps = {.missed_probes = 1000000000000,
                 .unmapped_switches = 1,
                 .lost_threads = 2,
                 .lost_processes = 3,
                 .unseen_cpus = {CpuId(1)}};
  const std::string text = AuditText(report);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
  EXPECT_EQ(text.rfind("BREACH", 0), 0u) << text;
  EXPECT_THAT(text, testing::HasSubstr("Beside a host task: 1800 times, p50 "));
  report.total.spans[AUDIT_VCPU_ENFORCED] = {};
  EXPECT_EQ(AuditText(report).rfind("EXPOSED", 0), 0u);
}

}  // namespace
}  // namespace corral::ctl
