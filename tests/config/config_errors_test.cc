// SPDX-License-Identifier: Apache-2.0
// Files with mistakes: each is told with its place, what is wrong and what would be right.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/config/test_policies.h"

namespace corral {
namespace {

std::string Errors(const std::string& text) {
  return std::string(ParseConfig(text, "f", kTestPolicies).status().message());
}

// The errors of one enclave, from its second line on.
std::string EnclaveErrors(const std::string& lines) {
  return Errors("version: 1\nenclaves:\n- name: a\n" + lines);
}

TEST(ConfigErrors, AllAtOnceAndInOrder) {
  EXPECT_EQ(Errors(R"(version: 2
mod: observe
libvirt:
  url: x
enclaves:
  - name: VMs
    cpus: 0-
    policy: secure-vm
    isolate: all
  - nam: b
    cpus: [1]
    vms: all
    options: {tenur: 1s, slots: x}
)"),
            R"(f:1:10: this Corral reads version 1 only
f:2:1: there is no key "mod" here; did you mean "mode"?
f:4:3: there is no key "url" here; did you mean "uri"?
f:6:11: name "VMs" must begin with a letter and have up to 15 small letters, digits, - and _
f:7:11: cpus: "0-" is not auto or a list of CPUs from 0 to 1023; write for example "0-3,8"
f:8:13: there is no policy "secure-vm"; did you mean "secure_vm"?
f:9:14: isolate "all" is not vcpus, emulator or full
f:10:5: there is no key "nam" here; did you mean "name"?
f:10:5: this enclave has no name; write for example "name: vms"
f:11:11: cpus must be a single value; write for example "0-3,8"
f:12:10: vms "all" is not libvirt or qemu; leave the key out if the enclave holds no VMs
f:13:15: there is no key "tenur" here; did you mean "tenure"?
f:13:33: slots: "x" is not a whole number from 1 to 8 slots)");
}

TEST(ConfigErrors, ThatIsNoConfiguration) {
  const std::string no_config = "f:1:1: this is not a corral.yaml; it begins with \"version: 1\"";
  EXPECT_EQ(Errors("hello"), no_config);
  EXPECT_EQ(Errors("- version: 1"), no_config);
  EXPECT_EQ(Errors("mode: observe"), "f:1:1: version is missing; write \"version: 1\"");
  EXPECT_EQ(Errors("version:"), "f:1:1: version has no value; write for example 1");
  EXPECT_EQ(Errors("version: 1\n---\nmode: enforce"),
            "f:2: a second document begins here; write everything in one, without \"---\"");
}

TEST(ConfigErrors, KeysFarFromAnyListAll) {
  EXPECT_EQ(Errors("version: 1\ntelemetry: on"),
            "f:2:1: there is no key \"telemetry\" here; there are: version, mode, class_loss, "
            "scope, switch_trial, libvirt, housekeeping, samples, trust_domains, enclaves");
  EXPECT_EQ(Errors("version: 1\nclass_loss: ignore"),
            "f:2:13: class_loss \"ignore\" is not recover, pause or release");
  EXPECT_EQ(Errors("version: 1\nscope: all"), "f:2:8: scope \"all\" is not vms or host");
  EXPECT_EQ(Errors("version: 1\n[a]: b"),
            "f:2:1: a key must be a single word; there are: version, mode, class_loss, "
            "scope, switch_trial, libvirt, "
            "housekeeping, samples, trust_domains, enclaves");
  EXPECT_EQ(Errors("version: 1\nmode: observe\nmode: enforce"),
            "f:3:1: \"mode\" is given twice; take one out");
}

TEST(ConfigErrors, Times) {
  for (const char* time : {"500ms", "601s", "often", "-1s", "true", "''"}) {
    const std::string text = std::string(time) == "''" ? "" : time;
    EXPECT_EQ(Errors(absl::StrCat("version: 1\nsamples: ", time)),
              absl::StrCat("f:2:10: samples \"", text,
                           "\" is not a time from 1s to 10m or off; write for example 10s"));
  }
}

TEST(ConfigErrors, Values) {
  EXPECT_EQ(Errors("version: 1\nmode: on"), "f:2:7: mode \"on\" is not observe or enforce");
  EXPECT_EQ(Errors("version: 1\nmode: enforce"),
            "f:2:7: there is nothing to enforce; add an enclave or write observe");
  EXPECT_EQ(Errors("version: 1\nmode: enforce\nenclaves: []"),
            "f:2:7: there is nothing to enforce; add an enclave or write observe");
  EXPECT_EQ(Errors("version: 1\nlibvirt: {uri: system}"),
            "f:2:16: libvirt.uri \"system\" is not a URI; write for example qemu:///system");
  EXPECT_EQ(Errors("version: 1\nlibvirt: {uri: [qemu:///system, xen:///, qemu:///system, 7]}"),
            "f:2:42: libvirt.uri \"qemu:///system\" is given twice; take one out\n"
            "f:2:58: libvirt.uri \"7\" is not a URI; write for example qemu:///system");
  EXPECT_EQ(Errors("version: 1\nlibvirt: {uri: []}"),
            "f:2:16: libvirt.uri has 0 entries; there may be 1 to 8");
  EXPECT_EQ(Errors("version: 1\nlibvirt: {uri: [[qemu:///system]]}"),
            "f:2:17: libvirt.uri must be a single value; write for example qemu:///system");
  EXPECT_EQ(Errors("version: 1\nlibvirt: qemu:///system"),
            "f:2:10: libvirt must be a map, such as {uri: qemu:///system}");
  EXPECT_EQ(Errors("version: 1\nhousekeeping: 4-1"),
            "f:2:15: housekeeping: \"4-1\" is not a list of CPUs from 0 to 1023; write for example "
            "\"0-3,8\"");
}

TEST(ConfigErrors, Enclaves) {
  EXPECT_EQ(Errors("version: 1\nenclaves: {name: a}"),
            "f:2:11: enclaves must be a list, such as [{name: vms, vms: libvirt}]");
  EXPECT_EQ(Errors("version: 1\nenclaves: [a]"),
            "f:2:12: an enclave must be a map, such as {name: vms, vms: libvirt}");
  EXPECT_EQ(EnclaveErrors("  cpus: 1024"),
            "f:4:9: cpus: \"1024\" is not auto or a list of CPUs from 0 to 1023; write for example "
            "\"0-3,8\"");
  EXPECT_EQ(EnclaveErrors("  strict: maybe"), "f:4:11: strict \"maybe\" is not true or false");
  EXPECT_EQ(EnclaveErrors("  without_agent: stop"),
            "f:4:18: without_agent \"stop\" is not schedule or release");
  EXPECT_EQ(EnclaveErrors("  vms: libvirt\n  without_agent: release"),
            "f:5:18: without_agent: release would let VMs share cores; leave it out, and the class "
            "keeps them apart");
  EXPECT_EQ(EnclaveErrors("  vms: qemu\n  without_agent: release\n  cgroup: a"),
            "f:5:18: without_agent: release would let VMs share cores; leave it out, and the class "
            "keeps them apart\n"
            "f:6:11: an enclave holds VMs or a cgroup, not both; make two enclaves");
  EXPECT_EQ(EnclaveErrors("  isolate: none"),
            "f:4:12: isolate \"none\" is not vcpus, emulator or full");
  EXPECT_EQ(EnclaveErrors("  policy: shinjuku"),
            "f:4:11: there is no policy \"shinjuku\"; there are: secure_vm, fifo");
  EXPECT_EQ(EnclaveErrors("  policy: fifo\n  options: {tenure: 1s}"),
            "f:5:13: there is no key \"tenure\" here; there are none");
  EXPECT_EQ(EnclaveErrors("  options: [tenure]"),
            "f:4:12: options must be a map, such as {tenure: 20ms}");
  EXPECT_EQ(EnclaveErrors("  strict: \"true\""),
            "f:4:11: strict \"true\" is text; write true without quotation marks");
  EXPECT_EQ(EnclaveErrors("  options: {slots: '4', strict: \"false\"}"),
            "f:4:20: slots \"4\" is text; write 4 without quotation marks\n"
            "f:4:33: strict \"false\" is text; write false without quotation marks");
  EXPECT_EQ(Errors("version: '1'"),
            "f:1:10: version \"1\" is text; write 1 without quotation marks");
  EXPECT_EQ(Errors("version: 1\nenclaves: [{name: true}]"),
            "f:2:19: name true is a switch to YAML; take another name");
  EXPECT_EQ(EnclaveErrors("  cpus: \" 1\""),
            "f:4:9: cpus: \" 1\" is not auto or a list of CPUs from 0 to 1023; write for example "
            "\"0-3,8\"");
  EXPECT_EQ(EnclaveErrors("  options: {tenure: [1s]}"),
            "f:4:21: tenure must be a single value; write for example 10ms");
}

TEST(ConfigErrors, ThreadsThatAreNoVms) {
  EXPECT_EQ(EnclaveErrors("  units: [a.service, b.timer]"),
            "f:4:22: units \"b.timer\" is not the name of a service, scope or slice; write for "
            "example mariadb.service");
  for (const std::string unit : {".slice", "a/b.slice", "web"})
    EXPECT_NE(EnclaveErrors("  units: " + unit), "") << unit;
  EXPECT_EQ(EnclaveErrors("  units: [a.slice, a.slice]").find("f:4:"), 0u);
  EXPECT_EQ(EnclaveErrors("  processes: \"redis[0-9]\""),
            "f:4:14: processes \"redis[0-9]\" is not a process's name; it may have * and ? for any "
            "characters, but no [, ] or \\");
  EXPECT_EQ(EnclaveErrors("  vms: qemu\n  units: a.slice\n  processes: a"),
            "f:5:10: an enclave holds VMs or units, not both; make two enclaves\n"
            "f:6:14: an enclave holds VMs or processes, not both; make two enclaves");
  EXPECT_EQ(EnclaveErrors("  cgroup: a\n  units: a.slice\n  processes: [a, 17, \"b-*\"]"), "");
}

TEST(ConfigErrors, Admission) {
  EXPECT_EQ(EnclaveErrors("  vms: libvirt\n  admission: closed"),
            "f:5:14: admission \"closed\" is not open or strict");
  EXPECT_EQ(EnclaveErrors("  vms: libvirt\n  admision: strict"),
            "f:5:3: there is no key \"admision\" here; did you mean \"admission\"?");
  for (const std::string vms : {"", "  vms: qemu\n", "  cgroup: a\n"}) {
    const std::string place = vms.empty() ? "f:4:14: " : "f:5:14: ";
    EXPECT_EQ(EnclaveErrors(vms + "  admission: strict"),
              place +
                  "admission: strict is kept by libvirt's hook; add \"vms: libvirt\" to this "
                  "enclave or leave it out");
  }
}

TEST(ConfigErrors, TrustDomains) {
  EXPECT_EQ(Errors("version: 1\ntrust_domains: [web]"),
            "f:2:16: trust_domains must be a map, such as {rules: [{name: web, vms: web-*}]}");
  EXPECT_EQ(Errors("version: 1\ntrust_domains: {rules: {name: web}}"),
            "f:2:24: trust_domains.rules must be a list, such as [{name: web, vms: web-*}]");
  EXPECT_EQ(Errors("version: 1\ntrust_domains: {nova_project: true}"),
            "f:2:17: there is no key \"nova_project\" here; did you mean \"nova_projects\"?");
  EXPECT_EQ(Errors(R"(version: 1
trust_domains:
  nova_projects: 1
  rules:
    - web-*
    - {nam: web, vms: web-*}
    - name: Web
      vms: []
    - {name: db}
    - {name: db, vms: ["db-[0-9]", "", {a: b}]}
)"),
            R"(f:3:18: trust_domains.nova_projects "1" is not true or false
f:5:7: a rule must be a map, such as {name: web, vms: web-*}
f:6:7: this rule has no name; write for example "name: web"
f:6:8: there is no key "nam" here; did you mean "name"?
f:7:13: name "Web" must begin with a letter and have up to 63 small letters, digits, - and _
f:8:12: vms has 0 entries; there may be 1 to 1024
f:9:7: this rule has no vms; write for example "vms: web-*"
f:10:7: there are two rules named db; the other is in line 9; make one of them, or give one another name
f:10:24: vms "db-[0-9]" is not a VM's name; it may have * and ? for any characters, but no [, ] or \
f:10:36: vms "" is not a VM's name; it may have * and ? for any characters, but no [, ] or \
f:10:40: vms must be a single value; write for example web-*)");
  const std::string longest(63, 'a');
  const auto rule = [](const std::string& name) {
    return "version: 1\ntrust_domains: {rules: [{name: " + name + ", vms: a}]}";
  };
  EXPECT_EQ(Errors(rule(longest)), "");
  EXPECT_EQ(Errors(rule("a" + longest)), "f:2:32: name \"a" + longest +
                                             "\" must begin with a letter and have up to 63 small "
                                             "letters, digits, - and _");
}

TEST(ConfigErrors, EnclavesThatCollide) {
  EXPECT_EQ(
      EnclaveErrors("- name: a\n  cpus: 1"),
      "f:4:3: there are two enclaves named a; the other is in line 3; make one of them, or give "
      "one another name");
  EXPECT_EQ(EnclaveErrors("- name: b"),
            "f:4:3: enclaves a and b both have \"cpus: auto\"; give one a cpulist");
  EXPECT_EQ(EnclaveErrors("  cpus: 0-3\n- name: b\n  cpus: 2-5"),
            "f:6:9: CPUs 2-3 are in enclave a and in enclave b; take them out of one");
  EXPECT_EQ(EnclaveErrors("  vms: libvirt\n- name: b\n  cpus: 1\n  vms: libvirt"),
            "f:7:8: enclaves a and b both hold VMs; leave \"vms\" in one");
  EXPECT_EQ(EnclaveErrors("  vms: libvirt\n- name: b\n  cpus: 1\n  vms: qemu"),
            "f:7:8: enclaves a and b both hold VMs; leave \"vms\" in one");
  std::string many = "version: 1\nenclaves:\n";
  for (int i = 0; i < 17; ++i) many += "- {name: e" + std::to_string(i) + "}\n";
  EXPECT_NE(Errors(many).find("enclaves has 17 entries; there may be 16"), std::string::npos);
}

TEST(ConfigErrors, FilesThatCannotBeRead) {
  const auto load = [](const std::string& file) {
    const absl::Status status = LoadConfig(file, kTestPolicies).status();
    EXPECT_TRUE(absl::IsNotFound(status)) << status;
    return std::string(status.message());
  };
  EXPECT_EQ(load("/nonexistent/c.yaml"),
            "cannot read /nonexistent/c.yaml: No such file or directory; give the configuration's "
            "path with --config");
  EXPECT_EQ(load("/"),
            "cannot read /: it is not a regular file; give the configuration's path with --config");
  EXPECT_NE(load("/dev/zero").find("not a regular file"), std::string::npos);
}

}  // namespace
}  // namespace corral
