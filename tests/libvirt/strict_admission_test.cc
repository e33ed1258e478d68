// SPDX-License-Identifier: Apache-2.0
// Which VMs may start where admission is strict, and what the others are told.
#include "agent/ctl/admission.h"

#include <gtest/gtest.h>

#include "agent/daemon/control_socket.h"
#include "policies/registry.h"

namespace corral::ctl {
namespace {

constexpr char kStrict[] = R"(version: 1
mode: enforce
enclaves:
  - {name: batch, cpus: 0-1}
  - {name: vms, vms: libvirt, admission: strict}
)";

absl::StatusOr<std::string> Strict(const std::string& yaml, const std::string& drop_in = "") {
  std::vector<PolicyOptions> policies;
  for (const PolicyInfo& policy : Policies()) policies.push_back({policy.name, policy.options});
  std::vector<ConfigText> texts = {{"corral.yaml", yaml}};
  if (!drop_in.empty()) texts.push_back({"corral.d/a.yaml", drop_in});
  return StrictEnclave(texts, policies);
}

std::string Replace(std::string text, const std::string& what, const std::string& with) {
  return text.replace(text.find(what), what.size(), with);
}

TEST(StrictEnclave, IsInForceWhereItIsEnforced) {
  EXPECT_EQ(Strict(kStrict).value(), "vms");
  EXPECT_EQ(Strict(Replace(kStrict, "strict", "open")).value(), "");
  EXPECT_EQ(Strict(Replace(kStrict, ", admission: strict", "")).value(), "");
  EXPECT_EQ(Strict(Replace(kStrict, "enforce", "observe")).value(), "");
  EXPECT_EQ(Strict("version: 1").value(), "");
}

TEST(StrictEnclave, CountsWhatDropInsSay) {
  const std::string observed = Replace(kStrict, "enforce", "observe");
  EXPECT_EQ(Strict(observed, "version: 1\nmode: enforce\n").value(), "vms");
  EXPECT_EQ(Strict(kStrict, "version: 1\nmode: observe\n").value(), "");
  EXPECT_EQ(Strict(kStrict, "version: 1\nenclaves: [{name: vms, admission: open}]").value(), "");
  EXPECT_TRUE(absl::IsFailedPrecondition(Strict(kStrict, "version: 2").status()));
}

// A typing mistake must not let VMs in that strict admission keeps out, nor stop them without it.
TEST(StrictEnclave, OfABrokenFileIsNotKnown) {
  const std::string told =
      "corral.yaml has errors, so it may ask for strict admission; correct what \"corralctl "
      "check\" finds";
  EXPECT_EQ(Strict(Replace(kStrict, "enforce", "enforced")).status().message(), told);
  EXPECT_EQ(Strict(Replace(kStrict, "vms: libvirt,", "")).status().message(), told);
  EXPECT_EQ(Strict(std::string(kStrict) + "[").status().message(), told);
  EXPECT_EQ(Strict("version: 2\nenclaves: [{name: a, strict: true}]").value(), "");
  EXPECT_EQ(Strict("version: 2\nenclaves: [{name: a, admission: open}]").value(), "");
  EXPECT_EQ(Strict("\x01").value(), "");
}

std::string Xml(const std::string& more) {
  return "<domain type='kvm'><name>web</name><uuid>aaaaaaaa-0000-4000-8000-000000000001</uuid>" +
         more + "</domain>";
}

// A host on which a VM without wishes may start.
AdmissionFacts Facts(const std::string& xml = Xml("<vcpu>2</vcpu>")) {
  return {.enclave = "vms", .cpus = CpuSet{2, 3, 4, 5}, .vm = ParseDomainXml(xml)};
}

std::string Refusal(const AdmissionFacts& facts) { return std::string(Admit(facts).message()); }
std::string RefusalOf(const std::string& more) { return Refusal(Facts(Xml(more))); }

TEST(Admit, WhatTheEnclaveCanHold) {
  EXPECT_EQ(Refusal(Facts()), "");
  EXPECT_EQ(RefusalOf("<vcpu cpuset='0-2'>2</vcpu>"), "");
  EXPECT_EQ(RefusalOf("<vcpu>2</vcpu><cputune><vcpupin vcpu='0' cpuset='5,9'/></cputune>"), "");
  // Of a vCPU that will never be, and of all that have pins of their own.
  EXPECT_EQ(RefusalOf("<vcpu>2</vcpu><cputune><vcpupin vcpu='2' cpuset='0'/></cputune>"), "");
  EXPECT_EQ(RefusalOf("<vcpu cpuset='0'>1</vcpu><cputune><vcpupin vcpu='0' cpuset='2'/></cputune>"),
            "");
  // Neither is the class's business: not real-time, and not a vCPU.
  EXPECT_EQ(RefusalOf("<vcpu>1</vcpu><cputune><vcpusched vcpus='0' scheduler='batch'/>"
                      "<emulatorsched scheduler='fifo' priority='1'/></cputune>"),
            "");
  AdmissionFacts facts = Facts();
  facts.sched_core = "none";
  EXPECT_EQ(Refusal(facts), "");
}

TEST(Admit, NotWithoutClassDaemonOrEnclave) {
  AdmissionFacts facts = Facts();
  facts.cpus.reset();
  EXPECT_EQ(Refusal(facts),
            "there is no enclave vms in the class; restart corrald.service, whose log says why if "
            "none comes");
  facts.daemon_status = absl::UnavailableError("corrald is away; start it");
  EXPECT_EQ(Refusal(facts), "corrald is away; start it");
  // The first thing to repair is the first that is told.
  facts.class_status = absl::FailedPreconditionError("no class; load it");
  EXPECT_EQ(Refusal(facts), "no class; load it");
}

// Its hook runs as the user.
TEST(Admit, NotInAUsersOwnLibvirt) {
  AdmissionFacts facts = Facts();
  facts.class_status = absl::PermissionDeniedError("no permission to open a pin; run as root");
  EXPECT_EQ(Refusal(facts),
            "this libvirt is a user's own, which may not see whether it would be protected; start "
            "it in qemu:///system, or write \"admission: open\"");
}

TEST(Admit, NotWithCookies) {
  AdmissionFacts facts = Facts();
  facts.sched_core = "full";
  EXPECT_EQ(Refusal(facts),
            "/etc/libvirt/qemu.conf gives VMs core-scheduling cookies (sched_core = \"full\"), and "
            "the class does not take those in; set it to \"none\" and restart libvirt's daemon, or "
            "write \"admission: open\"");
}

TEST(Admit, NoRealTimeVcpus) {
  for (const std::string scheduler : {"fifo", "rr"}) {
    EXPECT_EQ(RefusalOf("<vcpu>4</vcpu><cputune><vcpusched vcpus='0-1,3' scheduler='" + scheduler +
                        "' priority='1'/></cputune>"),
              "vCPUs 0-1,3 are real-time (<vcpusched>), and the class does not take those in; take "
              "<vcpusched> out with virsh edit, or write \"admission: open\"");
  }
}

TEST(Admit, NoVcpuPinnedOutside) {
  EXPECT_EQ(RefusalOf("<vcpu>2</vcpu><cputune><vcpupin vcpu='0' cpuset='2'/>"
                      "<vcpupin vcpu='1' cpuset='0-7,^2-5'/></cputune>"),
            "vCPU 1 is pinned to CPUs 0-1,6-7, and enclave vms has 2-5; pin it to some of those "
            "with virsh vcpupin --config, or write \"admission: open\"");
  // It may be plugged later, and nobody is asked then.
  EXPECT_NE(
      RefusalOf("<vcpu current='1'>2</vcpu><cputune><vcpupin vcpu='1' cpuset='0'/></cputune>"), "");
  EXPECT_EQ(
      RefusalOf("<vcpu cpuset='0,6'>2</vcpu><cputune><vcpupin vcpu='0' cpuset='2'/></cputune>"),
      "its vCPUs may run on CPUs 0,6 (<vcpu cpuset>), and enclave vms has 2-5; write some of "
      "those with virsh edit, or write \"admission: open\"");
}

TEST(Admit, NothingThatCannotBeJudged) {
  for (const std::string& xml :
       {std::string(), std::string("<domain>"), std::string("<network><name>a</name></network>"),
        std::string("<!DOCTYPE d [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>") +
            Xml("<title>&e;</title>"),
        std::string(17 << 20, ' ')}) {
    const std::string refusal = Refusal(Facts(xml));
    EXPECT_EQ(refusal.find("libvirt's description of it cannot be judged: "), 0u) << refusal;
    EXPECT_NE(refusal.find("virsh edit, or write \"admission: open\""), std::string::npos)
        << refusal;
  }
}

TEST(RefusalLine, IsOnePrintableLine) {
  EXPECT_EQ(RefusalLine("web", absl::InternalError("a; b")), "corral: VM web is not started: a; b");
  const std::string hostile =
      RefusalLine("a\n\x1b[2J", absl::InternalError(std::string("b\n\xff\0", 4)));
  EXPECT_EQ(hostile.find_first_of(std::string("\n\x1b\xff\0", 4)), std::string::npos);
  EXPECT_EQ(hostile.find("corral: VM a"), 0u);
}

TEST(CheckDaemon, TellsADaemonFromTheSocketThatOneLeft) {
  const std::string path = testing::TempDir() + "corrald.sock";
  const auto nobody_calls = [](const nlohmann::json&) { return nlohmann::json(); };
  EXPECT_TRUE(absl::IsUnavailable(CheckDaemon(path + ".none")));
  {
    const ControlServer server = ControlServer::Listen(path, nobody_calls).value();
    // More than there is room for: it need not answer to be there.
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(CheckDaemon(path).ok());
  }
  const absl::Status gone = CheckDaemon(path);
  EXPECT_TRUE(absl::IsUnavailable(gone));
  EXPECT_NE(gone.message().find("start corrald.service"), std::string::npos) << gone;
  unlink(path.c_str());
}

}  // namespace
}  // namespace corral::ctl
