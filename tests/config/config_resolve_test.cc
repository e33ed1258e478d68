// SPDX-License-Identifier: Apache-2.0
// What needs the machine: which CPUs an enclave gets, and which it cannot have.
#include <gtest/gtest.h>

#include "tests/config/test_policies.h"

namespace corral {
namespace {

const std::vector<CpuSet> kCores = {{0, 1}, {2, 3}, {4, 5}, {6, 7}};

absl::StatusOr<Config> Resolve(const std::string& enclaves,
                               const std::vector<CpuSet>& cores = kCores) {
  absl::StatusOr<Config> config = ParseConfig("version: 1\n" + enclaves, "f", kTestPolicies);
  if (!config.ok()) return config;
  if (const absl::Status status = ResolveCpus(*config, {.cores = cores, .nohz_full = {2, 3, 4}});
      !status.ok())
    return status;
  return config;
}

std::string Error(const std::string& enclaves, const std::vector<CpuSet>& cores = kCores) {
  return std::string(Resolve(enclaves, cores).status().message());
}

TEST(ResolveCpus, AutoIsWhatIsLeft) {
  const Config config =
      Resolve("enclaves: [{name: a}, {name: b, cpus: 2-3}, {name: c, cpus: \"6,7\"}]").value();
  EXPECT_EQ(config.enclaves[0].cpus->Format(), "0-1,4-5");
  EXPECT_EQ(config.enclaves[1].cpus->Format(), "2-3");
  EXPECT_EQ(config.enclaves[2].cpus->Format(), "6-7");
}

TEST(ResolveCpus, EverySplitCoreIsNamed) {
  EXPECT_EQ(Error("enclaves: [{name: vms, cpus: 4}]"),
            "f:2:30: enclave vms has CPU 4 but not its SMT sibling 5; add 5 or take 4 out");
  EXPECT_EQ(Error("enclaves:\n- {name: vms, cpus: \"1-4\"}"),
            "f:3:21: enclave vms has CPU 1 but not its SMT sibling 0; add 0 or take 1 out\n"
            "f:3:21: enclave vms has CPU 4 but not its SMT sibling 5; add 5 or take 4 out");
  EXPECT_EQ(
      Error("enclaves: [{name: vms, cpus: 1-2}]", {{0, 1, 2, 3}}),
      "f:2:30: enclave vms has CPUs 1-2 but not their SMT siblings 0,3; add 0,3 or take 1-2 out");
}

// A sibling that is off line runs nothing: the core is whole without it.
TEST(ResolveCpus, AnOfflineSiblingIsNotMissed) {
  EXPECT_EQ(Resolve("enclaves: [{name: vms}]", {{0}, {2, 3}}).value().enclaves[0].cpus->Format(),
            "0,2-3");
}

TEST(ResolveCpus, CpusThatAreNotThere) {
  EXPECT_EQ(Error("enclaves: [{name: vms, cpus: 6-9}]"),
            "f:2:30: enclave vms: CPUs 8-9 are not online; online are 0-7");
  EXPECT_EQ(Error("housekeeping: 8\nenclaves: [{name: vms}]"),
            "f:2:15: housekeeping: CPU 8 is not online");
}

TEST(ResolveCpus, OnlyNohzFullCpusAreTickless) {
  EXPECT_TRUE(Resolve("enclaves: [{name: vms, cpus: 2-3, tickless: true}]").ok());
  EXPECT_TRUE(Resolve("enclaves: [{name: vms, tickless: false}]").ok());
  EXPECT_EQ(Error("enclaves: [{name: vms, cpus: 2-5, tickless: true}]"),
            "f:2:45: enclave vms: CPU 5 is not nohz_full, so the timer ticks there; boot with "
            "nohz_full=2-5 or leave tickless out");
  EXPECT_EQ(Error("enclaves: [{name: vms, cpus: 0-1, tickless: true}]"),
            "f:2:45: enclave vms: CPUs 0-1 are not nohz_full, so the timer ticks there; boot with "
            "nohz_full=0-1 or leave tickless out");
}

TEST(ResolveCpus, AnEnclaveWithoutCpus) {
  EXPECT_EQ(
      Error("enclaves: [{name: a, cpus: 0-7}, {name: b}]"),
      "f:2:34: enclave b has no CPU left; the other enclaves have them all, so take some out of "
      "one of them");
}

}  // namespace
}  // namespace corral
