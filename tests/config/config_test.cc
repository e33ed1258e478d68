// SPDX-License-Identifier: Apache-2.0
#include "config/config.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "policies/registry.h"

namespace corral {
namespace {

std::vector<PolicyOptions> AllPolicies() {
  std::vector<PolicyOptions> policies;
  for (const PolicyInfo& policy : Policies()) policies.push_back({policy.name, policy.options});
  return policies;
}

absl::StatusOr<Config> Parse(const std::string& text) {
  return ParseConfig(text, "corral.yaml", AllPolicies());
}

std::string ErrorOf(const std::string& text) { return std::string(Parse(text).status().message()); }

TEST(Config, TheShippedFileIsValidAndTouchesNothing) {
  const absl::StatusOr<Config> config = LoadConfig(CORRAL_SHIPPED_YAML, AllPolicies());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->mode, Mode::kObserve);
  ASSERT_EQ(config->enclaves.size(), 1u);
  EXPECT_EQ(config->enclaves[0].vms, Vms::kLibvirt);
  EXPECT_FALSE(config->enclaves[0].cpus.has_value());
}

TEST(Config, ReadsWhatIsThere) {
  const absl::StatusOr<Config> config = Parse(
      "version: 1\nmode: enforce\nclass_loss: pause\nscope: host\nlibvirt: {uri: "
      "qemu:///session}\nhousekeeping: 0-1\nsamples: 1m30s\nswitch_trial: 3s\n"
      "enclaves:\n- {name: vms, cpus: \"2-5,8\", policy: secure_vm, vms: libvirt, options: "
      "{tenure: 20ms}}\n");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->mode, Mode::kEnforce);
  EXPECT_EQ(config->class_loss, ClassLoss::kPause);
  EXPECT_TRUE(config->whole_host);
  EXPECT_EQ(config->libvirt_uris, std::vector<std::string>{"qemu:///session"});
  EXPECT_EQ(config->housekeeping, "0-1");
  EXPECT_EQ(config->samples, std::chrono::seconds(90));
  EXPECT_EQ(config->switch_trial, std::chrono::seconds(3));
  EXPECT_EQ(Parse("version: 1\nswitch_trial: off")->switch_trial, Duration(0));
  EXPECT_EQ(Parse("version: 1\nsamples: off")->samples, Duration(0));
  EXPECT_EQ(config->enclaves[0].cpus->Format(), "2-5,8");
  EXPECT_EQ(config->enclaves[0].options.GetDuration("tenure"), std::chrono::milliseconds(20));
}

TEST(Config, EveryErrorAtOnceWithItsPlace) {
  const std::string error = ErrorOf(
      "version: 2\n"
      "mode: enforced\n"
      "enclaves:\n"
      "- name: VMs\n"
      "  cpus: 4-2\n"
      "  options: {tenur: 10ms}\n");
  EXPECT_NE(error.find("corral.yaml:1:10: this Corral reads version 1 only"), std::string::npos)
      << error;
  EXPECT_NE(error.find("corral.yaml:2:7: mode \"enforced\" is not observe or enforce"),
            std::string::npos)
      << error;
  EXPECT_NE(error.find("corral.yaml:4:9: name \"VMs\""), std::string::npos) << error;
  EXPECT_NE(error.find("corral.yaml:5:9: cpus: \"4-2\""), std::string::npos) << error;
  EXPECT_NE(error.find("did you mean \"tenure\"?"), std::string::npos) << error;
}

TEST(Config, RefusesWhatContradictsItself) {
  EXPECT_NE(ErrorOf("version: 1\nenclaves: [{name: a}, {name: a, cpus: 0}]\n")
                .find("two enclaves named a"),
            std::string::npos);
  EXPECT_NE(
      ErrorOf("version: 1\nenclaves: [{name: a}, {name: b}]\n").find("both have \"cpus: auto\""),
      std::string::npos);
  EXPECT_NE(ErrorOf("version: 1\nenclaves: [{name: a, cpus: 0-3}, {name: b, cpus: 3-4}]\n")
                .find("CPU 3 is in enclave a"),
            std::string::npos);
  EXPECT_NE(
      ErrorOf("version: 1\nenclaves: [{name: a, policy: no-such-policy}]\n").find("there are: "),
      std::string::npos);
  EXPECT_NE(ErrorOf("version: 1\nversion: 1\n").find("\"version\" is given twice"),
            std::string::npos);
  EXPECT_NE(ErrorOf("version: 1\nenclaves: [{name: a, isolate: all}]\n").find("is not vcpus"),
            std::string::npos);
  EXPECT_NE(
      ErrorOf("version: 1\nenclaves: [{name: a, options: {tenure: 1h}}]\n").find("a time from"),
      std::string::npos);
}

class BrokenInput : public testing::TestWithParam<std::string> {};

TEST_P(BrokenInput, IsRefusedWithAReason) {
  const absl::StatusOr<Config> config = Parse(GetParam());
  EXPECT_TRUE(absl::IsInvalidArgument(config.status())) << config.status();
  EXPECT_NE(config.status().message().find("corral.yaml"), std::string::npos) << config.status();
}

INSTANTIATE_TEST_SUITE_P(
    All, BrokenInput,
    testing::Values("", "\n", "42", "[1, 2]", "version: [1]", "version: {a: b}", ": : :", "\t- a",
                    "version: 1\nenclaves: 7", "version: 1\nenclaves: [3]",
                    "version: 1\nenclaves: [{name: [a]}]", "version: 1\nenclaves: [{}]",
                    "version: 1\nenclaves: [{name: a, cpus: [0, 1]}]",
                    "version: 1\nenclaves: [{name: a, options: 3}]", "version: 1\nlibvirt: 3",
                    "version: 1\nlibvirt: {uri: nonsense}", "version: 1\n? [complex]\n: key\n",
                    "version: 1\nenclaves: [{name: a, cpus: 99999}]",
                    "version: 1\nenclaves: *undefined\n",
                    std::string("version: 1\n\x00\xff\xfe binary", 22),
                    "version: 1\nmode: {{{{{{{{", std::string(5000, '['),
                    std::string((1 << 20) + 1, 'a'),
                    "version: 1\n" + std::string(2000, ' ') + "x: &a [*a]\n"),
    // The input itself would be the test's name, a megabyte of it.
    [](const auto& info) { return absl::StrCat("Input", info.index); });

TEST(Config, AnAliasBombCostsNothing) {
  std::string bomb = "version: 1\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 30; ++i) {
    absl::StrAppend(&bomb, "a", i, ": &a", i, " [");
    for (int k = 0; k < 10; ++k) absl::StrAppend(&bomb, k ? ", " : "", "*a", i - 1);
    absl::StrAppend(&bomb, "]\n");
  }
  EXPECT_FALSE(Parse(bomb).ok());
}

TEST(ResolveCpus, AutoIsWhatTheOthersLeave) {
  absl::StatusOr<Config> config =
      Parse("version: 1\nenclaves: [{name: a}, {name: b, cpus: 2-3}]\n");
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_TRUE(ResolveCpus(*config, {.cores = {{0, 1}, {2, 3}, {4, 5}}}).ok());
  EXPECT_EQ(config->enclaves[0].cpus->Format(), "0-1,4-5");
}

TEST(ResolveCpus, ACoreIsNotSplit) {
  absl::StatusOr<Config> config = Parse("version: 1\nenclaves: [{name: vms, cpus: 0-4}]\n");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(
      ResolveCpus(*config, {.cores = {{0, 1}, {2, 3}, {4, 5}}}).message(),
      "corral.yaml:2:30: enclave vms has CPU 4 but not its SMT sibling 5; add 5 or take 4 out");
}

TEST(ResolveCpus, NamesWhatIsNotThere) {
  absl::StatusOr<Config> config =
      Parse("version: 1\nenclaves: [{name: a, cpus: 0-9}, {name: b}]\n");
  ASSERT_TRUE(config.ok()) << config.status();
  const absl::Status status = ResolveCpus(*config, {.cores = {{0, 1}}});
  EXPECT_NE(status.message().find("CPUs 2-9 are not online"), std::string::npos) << status;
  EXPECT_NE(status.message().find("enclave b has no CPU left"), std::string::npos) << status;
}

TEST(CpuSet, ReadsAndWritesCpulists) {
  for (const char* text : {"0", "0-3", "0-3,8,10-11", "1023"})
    EXPECT_EQ(CpuSet::Parse(text)->Format(), text);
  EXPECT_EQ(CpuSet::Parse("3,2,1,0,0")->Format(), "0-3");
  EXPECT_TRUE(CpuSet::Parse("")->empty());
  for (const char* text : {",", "a", "1-", "-1", "3-2", "1024", "1,,2", "0x3", "1-2-3"})
    EXPECT_FALSE(CpuSet::Parse(text).ok()) << text;
}

}  // namespace
}  // namespace corral
