// SPDX-License-Identifier: Apache-2.0
// Files that are right.
#include <gtest/gtest.h>

#include "policies/registry.h"
#include "tests/config/test_policies.h"

namespace corral {
namespace {

// What the daemon does with the file that is shipped.
TEST(ShippedConfig, WorksUneditedAndTouchesNothing) {
  std::vector<PolicyOptions> policies;
  for (const PolicyInfo& policy : Policies()) policies.push_back({policy.name, policy.options});
  absl::StatusOr<Config> config = LoadConfig(CORRAL_SHIPPED_YAML, policies);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->mode, Mode::kObserve);
  EXPECT_EQ(config->libvirt_uri, "qemu:///system");
  ASSERT_EQ(config->enclaves.size(), 1u);
  EXPECT_TRUE(config->enclaves[0].libvirt_vms);
  // Written out, the defaults must be the policy's.
  EXPECT_EQ(config->enclaves[0].options, OptionValues::Defaults(policies[0].options));
  ASSERT_TRUE(ResolveCpus(*config, {{0, 4}, {1, 5}, {2, 6}, {3, 7}}).ok());
  EXPECT_EQ(config->enclaves[0].cpus->Format(), "0-7");
}

TEST(ParseConfig, ReadsEverything) {
  const absl::StatusOr<Config> config = ParseConfig(R"(version: 1
mode: enforce
libvirt: {uri: ["qemu+unix:///system?socket=/run/x"]}
housekeeping: 1,0
enclaves:
  - name: vms
    cpus: 4-7,12
    policy: secure_vm
    vms: libvirt
    isolate: emulator
    strict: true
    options: {tenure: 20ms, strict: true, slots: 2, place: far}
  - {name: batch_2-x, policy: fifo, without_agent: release}
)",
                                                    "f", kTestPolicies);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->file, "f");
  EXPECT_EQ(config->mode, Mode::kEnforce);
  EXPECT_EQ(config->libvirt_uri, "qemu+unix:///system?socket=/run/x");
  EXPECT_EQ(config->housekeeping, "0-1");
  ASSERT_EQ(config->enclaves.size(), 2u);
  const EnclaveConfig& vms = config->enclaves[0];
  EXPECT_EQ(vms.name, "vms");
  EXPECT_EQ(vms.line, 6);
  EXPECT_EQ(vms.cpus->Format(), "4-7,12");
  EXPECT_TRUE(vms.libvirt_vms);
  EXPECT_EQ(vms.isolate, Isolate::kEmulator);
  EXPECT_TRUE(vms.strict);
  EXPECT_EQ(vms.options.GetDuration("tenure"), std::chrono::milliseconds(20));
  EXPECT_TRUE(vms.options.GetBool("strict"));
  EXPECT_EQ(vms.options.GetInt("slots"), 2);
  EXPECT_EQ(vms.options.GetChoice("place"), "far");
  const EnclaveConfig& batch = config->enclaves[1];
  EXPECT_FALSE(batch.cpus.has_value());
  EXPECT_EQ(batch.policy, "fifo");
  EXPECT_FALSE(batch.libvirt_vms);
  EXPECT_EQ(batch.isolate, Isolate::kVcpus);
  EXPECT_FALSE(batch.strict);
  EXPECT_EQ(batch.without_agent, WithoutAgent::kRelease);
}

TEST(ParseConfig, VersionAloneIsAConfiguration) {
  const absl::StatusOr<Config> config = ParseConfig("version: 1", "f", kTestPolicies);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->mode, Mode::kObserve);
  EXPECT_TRUE(config->enclaves.empty());
}

TEST(ParseConfig, AliasesAndCommentsAreYaml) {
  const absl::StatusOr<Config> config = ParseConfig(R"(# c
version: 1 # one
enclaves:
  - {name: a, cpus: 0-1, options: &o {tenure: 5ms}}
  - {name: b, cpus: 2-3, options: *o}
)",
                                                    "f", kTestPolicies);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->enclaves[0].options, config->enclaves[1].options);
}

}  // namespace
}  // namespace corral
