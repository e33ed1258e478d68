// SPDX-License-Identifier: Apache-2.0
// What is in force, and who said it: config/show.h.
#include "config/show.h"

#include <gtest/gtest.h>

#include "tests/config/test_policies.h"

namespace corral {
namespace {

const std::vector<ConfigText> kTexts = {{"/etc/corral/corral.yaml", R"(version: 1
mode: observe
trust_domains: {rules: [{name: web, vms: ["*-web", 7]}, {name: db, vms: db}]}
enclaves:
  - name: vms
    cpus: 2-7
    vms: libvirt
    options: {tenure: 20ms, strict: true}
  - {name: batch, cpus: 8, policy: fifo}
)"},
                                        {"/etc/corral/corral.d/50-a.yaml", R"(version: 1
mode: enforce
libvirt: {uri: ["qemu:///system", "qemu:///session"]}
enclaves:
  - {name: vms, isolate: full, options: {slots: 2}}
)"}};

TEST(ShowConfig, IsYamlWithTheSourceOfEachValue) {
  EXPECT_EQ(ShowConfig(kTexts, kTestPolicies)->yaml,
            R"(version: 1                               # corral.d/50-a.yaml:1
mode: enforce                            # corral.d/50-a.yaml:2
class_loss: recover                      # default
scope: vms                               # default
switch_trial: 10s                        # default
libvirt:
  uri:                                   # corral.d/50-a.yaml:3
    - qemu:///system
    - qemu:///session
samples: 10s                             # default
trust_domains:
  nova_projects: false                   # default
  rules:                                 # corral.yaml:3
    - name: web                          # corral.yaml:3
      vms:                               # corral.yaml:3
        - "*-web"
        - 7
    - name: db                           # corral.yaml:3
      vms: db                            # corral.yaml:3
enclaves:                                # corral.yaml:5
  - name: vms                            # corral.d/50-a.yaml:5
    cpus: 2-7                            # corral.yaml:6
    policy: secure_vm                    # default
    vms: libvirt                         # corral.yaml:7
    admission: open                      # default
    isolate: full                        # corral.d/50-a.yaml:5
    strict: false                        # default
    tickless: false                      # default
    without_agent: schedule              # default
    options:
      tenure: 20ms                       # corral.yaml:8
      slots: 2                           # corral.d/50-a.yaml:5
      strict: true                       # corral.yaml:8
      place: near                        # default
  - name: batch                          # corral.yaml:9
    cpus: 8                              # corral.yaml:9
    policy: fifo                         # corral.yaml:9
    admission: open                      # default
    isolate: vcpus                       # default
    strict: false                        # default
    tickless: false                      # default
    without_agent: schedule              # default
    options: {}                          # default
)");
}

// Read again it says the same, and nothing is left to defaults.
TEST(ShowConfig, IsTheConfigurationAgain) {
  const std::string once = ShowConfig(kTexts, kTestPolicies)->yaml;
  const Config merged = ParseConfig(kTexts, kTestPolicies).value();
  const Config again = ParseConfig(once, "f", kTestPolicies).value();
  EXPECT_EQ(again.mode, merged.mode);
  EXPECT_EQ(again.libvirt_uris, merged.libvirt_uris);
  EXPECT_EQ(again.trust_rules, merged.trust_rules);
  ASSERT_EQ(again.enclaves.size(), merged.enclaves.size());
  for (size_t i = 0; i < again.enclaves.size(); ++i) {
    EXPECT_EQ(again.enclaves[i].cpus, merged.enclaves[i].cpus);
    EXPECT_EQ(again.enclaves[i].vms, merged.enclaves[i].vms);
    EXPECT_EQ(again.enclaves[i].isolate, merged.enclaves[i].isolate);
    EXPECT_EQ(again.enclaves[i].options, merged.enclaves[i].options);
  }
  const ConfigText only = {"f", once};
  const std::string twice = ShowConfig(absl::MakeConstSpan(&only, 1), kTestPolicies)->yaml;
  EXPECT_EQ(twice.find("# default"), twice.rfind("# default"))
      << "only fifo's options, of which there are none: " << twice;
}

TEST(ShowConfig, IsJsonOfTheSame) {
  const nlohmann::ordered_json json = ShowConfig(kTexts, kTestPolicies)->json;
  EXPECT_EQ(json["files"].size(), 2u);
  EXPECT_EQ(json["config"]["version"], 1);
  EXPECT_EQ(json["config"]["trust_domains"]["nova_projects"], false);
  EXPECT_EQ(json["config"]["trust_domains"]["rules"][0]["vms"],
            nlohmann::ordered_json({"*-web", "7"}));
  const nlohmann::ordered_json& vms = json["config"]["enclaves"][0];
  EXPECT_EQ(vms["options"],
            nlohmann::ordered_json(
                {{"tenure", "20ms"}, {"slots", 2}, {"strict", true}, {"place", "near"}}));
  const auto value = [&](const std::string& key) {
    for (const auto& entry : json["values"]) {
      if (entry["key"] == key) return entry;
    }
    return nlohmann::ordered_json();
  };
  EXPECT_EQ(
      value("mode"),
      nlohmann::ordered_json(
          {{"key", "mode"},
           {"value", "enforce"},
           {"source", {{"file", "/etc/corral/corral.d/50-a.yaml"}, {"line", 2}, {"column", 7}}}}));
  EXPECT_EQ(value("enclaves.vms.options.place")["source"], nullptr);
  EXPECT_EQ(value("enclaves.vms.options.slots")["source"]["line"], 5);
  EXPECT_EQ(value("trust_domains.rules.db.vms")["value"], "db");
  EXPECT_EQ(value("libvirt.uri")["value"].size(), 2u);
}

TEST(ShowConfig, DefaultsAreThoseOfTheTable) {
  const ConfigText least = {"f", "version: 1"};
  const std::string yaml = ShowConfig(absl::MakeConstSpan(&least, 1), kTestPolicies)->yaml;
  EXPECT_EQ(yaml,
            R"(version: 1                               # f:1
mode: observe                            # default
class_loss: recover                      # default
scope: vms                               # default
switch_trial: 10s                        # default
libvirt:
  uri: qemu:///system                    # default
samples: 10s                             # default
trust_domains:
  nova_projects: false                   # default
)");
}

TEST(ShowConfig, ErrorsAreThoseOfTheParser) {
  const ConfigText wrong = {"f", "version: 1\nmode: on"};
  EXPECT_EQ(ShowConfig(absl::MakeConstSpan(&wrong, 1), kTestPolicies).status().message(),
            "f:2:7: mode \"on\" is not observe or enforce");
}

// What code that makes these structures by itself starts with is what the file's table says.
TEST(Config, DefaultsOfTheStructuresAreThoseOfTheFile) {
  const Config made;
  const Config read = ParseConfig("version: 1", "f", kTestPolicies).value();
  EXPECT_EQ(made.mode, read.mode);
  EXPECT_EQ(made.class_loss, read.class_loss);
  EXPECT_EQ(made.whole_host, read.whole_host);
  EXPECT_EQ(made.libvirt_uris, read.libvirt_uris);
  EXPECT_EQ(made.samples, read.samples);
  EXPECT_EQ(made.switch_trial, read.switch_trial);
  EXPECT_EQ(made.nova_projects, read.nova_projects);
  const EnclaveConfig enclave;
  const EnclaveConfig its =
      ParseConfig("version: 1\nenclaves: [{name: a}]", "f", kTestPolicies)->enclaves[0];
  EXPECT_EQ(enclave.cpus, its.cpus);
  EXPECT_EQ(enclave.policy, its.policy);
  EXPECT_EQ(enclave.vms, its.vms);
  EXPECT_EQ(enclave.admission, its.admission);
  EXPECT_EQ(enclave.isolate, its.isolate);
  EXPECT_EQ(enclave.without_agent, its.without_agent);
  EXPECT_EQ(enclave.strict, its.strict);
}

}  // namespace
}  // namespace corral
