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
  EXPECT_EQ(config->libvirt_uris, std::vector<std::string>{"qemu:///system"});
  ASSERT_EQ(config->enclaves.size(), 1u);
  EXPECT_EQ(config->enclaves[0].vms, Vms::kLibvirt);
  // Written out, the defaults must be the policy's.
  EXPECT_EQ(config->enclaves[0].options, OptionValues::Defaults(policies[0].options));
  ASSERT_TRUE(ResolveCpus(*config, {.cores = {{0, 4}, {1, 5}, {2, 6}, {3, 7}}}).ok());
  EXPECT_EQ(config->enclaves[0].cpus->Format(), "0-7");
}

TEST(ParseConfig, ReadsEverything) {
  const absl::StatusOr<Config> config = ParseConfig(R"(version: 1
mode: enforce
libvirt: {uri: ["qemu+unix:///system?socket=/run/x"]}
housekeeping: 1,0
trust_domains:
  nova_projects: true
  rules:
    - {name: web, vms: web-*}
    - {name: batch_2, vms: ["*-batch", etl]}
enclaves:
  - name: vms
    cpus: 4-7,12
    policy: secure_vm
    vms: libvirt
    admission: strict
    isolate: emulator
    strict: true
    tickless: true
    options: {tenure: 20ms, strict: true, slots: 2, place: far}
  - {name: batch_2-x, policy: fifo, without_agent: release, units: a.service, processes: [b*, 17]}
)",
                                                    "f", kTestPolicies);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->files, std::vector<std::string>{"f"});
  EXPECT_EQ(config->mode, Mode::kEnforce);
  EXPECT_EQ(config->libvirt_uris, std::vector<std::string>{"qemu+unix:///system?socket=/run/x"});
  EXPECT_EQ(config->housekeeping, "0-1");
  EXPECT_TRUE(config->nova_projects);
  EXPECT_EQ(config->trust_rules,
            (std::vector<TrustRule>{{"web", {"web-*"}}, {"batch_2", {"*-batch", "etl"}}}));
  ASSERT_EQ(config->enclaves.size(), 2u);
  const EnclaveConfig& vms = config->enclaves[0];
  EXPECT_EQ(vms.name, "vms");
  EXPECT_EQ(vms.position.line, 11);
  EXPECT_EQ(vms.cpus_position.line, 12);
  EXPECT_EQ(vms.cpus->Format(), "4-7,12");
  EXPECT_EQ(vms.vms, Vms::kLibvirt);
  EXPECT_EQ(vms.admission, Admission::kStrict);
  EXPECT_EQ(vms.isolate, Isolate::kEmulator);
  EXPECT_TRUE(vms.strict);
  EXPECT_TRUE(vms.tickless);
  EXPECT_EQ(vms.tickless_position.line, 18);
  EXPECT_EQ(vms.options.GetDuration("tenure"), std::chrono::milliseconds(20));
  EXPECT_TRUE(vms.options.GetBool("strict"));
  EXPECT_EQ(vms.options.GetInt("slots"), 2);
  EXPECT_EQ(vms.options.GetChoice("place"), "far");
  const EnclaveConfig& batch = config->enclaves[1];
  EXPECT_FALSE(batch.cpus.has_value());
  EXPECT_EQ(batch.policy, "fifo");
  EXPECT_EQ(batch.vms, Vms::kNone);
  EXPECT_EQ(batch.admission, Admission::kOpen);
  EXPECT_EQ(batch.isolate, Isolate::kVcpus);
  EXPECT_FALSE(batch.strict);
  EXPECT_EQ(batch.units, std::vector<std::string>{"a.service"});
  EXPECT_EQ(batch.processes, (std::vector<std::string>{"b*", "17"}));
  EXPECT_FALSE(batch.tickless);
  EXPECT_EQ(batch.without_agent, WithoutAgent::kRelease);
}

TEST(ParseConfig, VersionAloneIsAConfiguration) {
  const absl::StatusOr<Config> config = ParseConfig("version: 1", "f", kTestPolicies);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->mode, Mode::kObserve);
  EXPECT_TRUE(config->enclaves.empty());
  EXPECT_EQ(config->libvirt_uris, std::vector<std::string>{"qemu:///system"});
  EXPECT_TRUE(config->trust_rules.empty());
  EXPECT_FALSE(config->nova_projects);
}

TEST(ParseConfig, LibvirtMayHaveSeveralUris) {
  const std::string text = "version: 1\nlibvirt: {uri: [qemu:///system, \"qemu:///session\"]}";
  EXPECT_EQ(ParseConfig(text, "f", kTestPolicies).value().libvirt_uris,
            (std::vector<std::string>{"qemu:///system", "qemu:///session"}));
}

TEST(ParseConfig, VmsOfPlainQemu) {
  const std::string text = "version: 1\nenclaves: [{name: a, vms: qemu, admission: open}]";
  EXPECT_EQ(ParseConfig(text, "f", kTestPolicies).value().enclaves[0].vms, Vms::kQemu);
}

TEST(FindTrustRule, TheFirstThatMatchesCounts) {
  const std::vector<TrustRule> rules = {
      {"web", {"web-?", "www"}}, {"dev", {"*-dev*"}}, {"rest", {"*"}}};
  const auto name = [&](const std::string& vm) { return FindTrustRule(rules, vm)->name; };
  EXPECT_EQ(name("web-1"), "web");
  EXPECT_EQ(name("www"), "web");
  EXPECT_EQ(name("web-dev"), "dev");
  EXPECT_EQ(name("web-12"), "rest");
  EXPECT_EQ(name("Web-1"), "rest");
  EXPECT_EQ(name(".hidden/name"), "rest");
  EXPECT_EQ(FindTrustRule(absl::MakeSpan(rules).first(2), "db"), nullptr);
  EXPECT_EQ(FindTrustRule({}, "db"), nullptr);
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
