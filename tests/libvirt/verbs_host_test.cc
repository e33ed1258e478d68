// SPDX-License-Identifier: Apache-2.0
// Every verb of virsh that changes which vCPUs a VM has, or what they are promised: the class holds
// it within a second of virsh's return. And those that change nothing: the class holds what it
// held.
//
// The tests run in this order, on one VM, alpha: what one leaves is where the next begins.
#include <signal.h>

#include <fstream>
#include <map>

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "tests/libvirt/attach_trace.h"
#include "tests/libvirt/operator_fixture.h"
#include "tests/libvirt/virsh.h"

namespace corral {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr char kSecond[] = "qemu:///system?socket=/run/second/run/libvirt-sock";
constexpr char kToSecond[] =
    "qemu+unix:///system?socket=/run/second/run/libvirt-sock --migrateuri tcp://127.0.0.1";
constexpr char kToFirst[] =
    "qemu+unix:///system?socket=/run/libvirt/libvirt-sock --migrateuri tcp://127.0.0.1";

// Puts <domain> with these children into alpha's metadata.
std::string Metadata(const std::string& children) {
  return absl::StrCat("metadata alpha urn:corral:domain:1 --live --key corral --set '<domain>",
                      children, "</domain>'");
}

class VerbsHost : public OperatorTest {
 protected:
  static void DefineAlpha(const std::string& cputune = "") {
    const std::string file = WriteDomain({.name = "alpha",
                                          .vcpus = 2,
                                          .max_vcpus = 4,
                                          .guest = absl::StrCat(CORRAL_GUEST, " sleep"),
                                          .disk = "/tmp/alpha.qcow2"});
    std::string xml = Shell("cat " + file);
    if (!uuid_.empty()) cputune_and_uuid_ = absl::StrCat("<uuid>", uuid_, "</uuid>", cputune);
    std::ofstream(file) << absl::StrReplaceAll(
        xml, {{"</name>", absl::StrCat("</name>", cputune_and_uuid_)}});
    const VirshShell::Answer answer = virsh().Run("define --validate " + file);
    ASSERT_TRUE(answer.ok) << answer.text;
    uuid_ = UuidOf("alpha");
  }

  static pid_t Alpha() { return ProcessOf("alpha"); }
  // Its vCPU 1 computes: vCPU 0 has woken it, and looks for what the host asks for from now on.
  static bool GuestIsUp() {
    return Within(seconds(60), [] {
      const auto vcpus = VcpusInProc(Alpha());
      const auto second = vcpus.find(1);
      return second != vcpus.end() && RunTime(Alpha(), second->second) > 500'000'000;
    });
  }
  // Says what ends alpha.
  static void SayTheEnd(const std::string& command) {
    const pid_t process = Alpha();
    const VirshShell::Answer answer = virsh().Run(command);
    EXPECT_TRUE(answer.ok) << command << ": " << answer.text << "\n" << QemuLog();
    ExpectGone(command, process);
  }

  static std::string uuid_, cputune_and_uuid_;
};

std::string VerbsHost::uuid_, VerbsHost::cputune_and_uuid_;

TEST_F(VerbsHost, A_DefineAndRenameConcernNobody) {
  Shell("qemu-img create -q -f qcow2 /tmp/alpha.qcow2 16M");
  ASSERT_NO_FATAL_FAILURE(DefineAlpha());
  EXPECT_TRUE(virsh().Run("domrename alpha bravo").ok);
  EXPECT_TRUE(virsh().Run("domrename bravo alpha").ok);
  EXPECT_EQ(corral().Tasks(), 0);
}

TEST_F(VerbsHost, B_PausedVmsAreHeld) {
  Say("start --paused alpha");
  Say("resume alpha");
  Say("suspend alpha");
  Say("resume alpha");
  Say("reset alpha");
  SayTheEnd("destroy alpha");
}

// No guest runs outside the class, not for an instruction.
TEST_F(VerbsHost, C_AttachedBeforeTheGuestRuns) {
  ResumeEvent resume;
  const AttachTrace trace;
  Say("start alpha");
  const Duration head_start = HeadStart(trace, resume, "alpha");
  printf("its vCPUs were in the class %lld us before QEMU continued\n",
         static_cast<long long>(head_start / microseconds(1)));
  EXPECT_GT(head_start, Duration{0});
}

TEST_F(VerbsHost, D_Schedinfo) {
  const auto set = [](const std::string& parameters) {
    return absl::StrCat("schedinfo alpha --live --set ", parameters);
  };
  wanted_.weight = 2048;
  Say(set("cpu_shares=2048"));
  SayInVain(set("cpu_shares=20000"));  // by the kernel
  SayInVain(set("cpu_shares=1"));      // by libvirt
  Say(set("vcpu_period=50000"));
  wanted_.cap = {milliseconds(20), milliseconds(50)};
  Say(set("vcpu_quota=20000"));
  wanted_.cap = {milliseconds(30), milliseconds(100)};
  Say(set("vcpu_period=100000 --set vcpu_quota=30000"));
  Say(set("global_period=200000"));
  // A fifth of a CPU for two vCPUs is less than the 30 % of each.
  wanted_.cap = {milliseconds(20), milliseconds(200)};
  Say(set("global_quota=40000"));
  wanted_.cap = {milliseconds(30), milliseconds(100)};
  Say(set("global_quota=-1"));
  wanted_.cap = {};
  Say(set("vcpu_quota=-1"));
  wanted_.emulator_cap = {milliseconds(20), milliseconds(50)};
  Say(set("emulator_period=50000 --set emulator_quota=20000"));
  wanted_.emulator_cap = {};
  Say(set("emulator_quota=-1"));
}

TEST_F(VerbsHost, E_IoThreadsAndPlaces) {
  Say("iothreadadd alpha 1 --live");
  wanted_.iothread_cap = {milliseconds(30), milliseconds(50)};
  Say("schedinfo alpha --live --set iothread_period=50000 --set iothread_quota=30000");
  Say("iothreadpin alpha 1 2-3 --live");
  Say("emulatorpin alpha 0-1 --live");
  wanted_.pins[1] = "2-3";
  Say("vcpupin alpha 1 2-3 --live");
  wanted_.pins.clear();
  Say("vcpupin alpha 1 r --live");
  wanted_.node = 1;
  Say("numatune alpha --nodeset 1 --mode restrictive --live");
  wanted_.node = GHOST_NO_NODE;
  Say("numatune alpha --nodeset 0-1 --mode restrictive --live");
}

TEST_F(VerbsHost, F_Metadata) {
  wanted_.reservation = {milliseconds(2), milliseconds(20)};
  Say(Metadata("<reservation budget=\"2ms\" period=\"20ms\"/>"));
  wanted_.reservation = {milliseconds(1), milliseconds(10)};
  wanted_.domain = "tenant";
  Say(Metadata("<reservation budget=\"1ms\" period=\"10ms\"/><trust-domain name=\"tenant\"/>"));
  wanted_.reservation = {};
  wanted_.domain = "alpha";
  Say("metadata alpha urn:corral:domain:1 --live --remove");
}

// What corralctl shows, and who said it.
TEST_F(VerbsHost, FF_TheOperatorSeesIt) {
  wanted_.reservation = {milliseconds(2), milliseconds(20)};
  Say(Metadata("<reservation budget=\"2ms\" period=\"20ms\"/>"));
  const auto shown = nlohmann::json::parse(
      Shell(absl::StrCat(CORRAL_CTL_PROGRAM, " domains --json --config ", LiveCorral::kConfig)),
      nullptr, /*allow_exceptions=*/false);
  ASSERT_EQ(shown["vms"].size(), 1u) << shown;
  const nlohmann::json& vm = shown["vms"][0];
  EXPECT_EQ(vm["name"], "alpha");
  EXPECT_EQ(vm["uuid"], uuid_);
  EXPECT_EQ(vm["settings"]["trust_domain"]["source"], "default");
  EXPECT_EQ(vm["settings"]["weight"]["value"], wanted_.weight);
  EXPECT_EQ(vm["settings"]["weight"]["source"], "schedinfo");
  EXPECT_EQ(vm["settings"]["reservation"]["source"], "metadata");
  ASSERT_EQ(vm["vcpus"].size(), 2u) << vm;
  for (const nlohmann::json& vcpu : vm["vcpus"]) {
    EXPECT_EQ(vcpu["attached"], true) << vcpu;
    EXPECT_EQ(vcpu["unprotected"], "") << vcpu;
    EXPECT_EQ(vcpu["granted_ns"], wanted_.reservation.time.count()) << vcpu;
  }
}

// What is malformed is refused as a whole and told, with the VM, the element and what to do.
TEST_F(VerbsHost, G_MalformedMetadata) {
  SayInVain("metadata alpha urn:corral:domain:1 --live --key corral --set 'no XML'");
  const struct {
    std::string children, element, remedy;
  } cases[] = {
      {"<reservation budget=\"-2ms\" period=\"20ms\"/>", "reservation", "budget=\"2ms\""},
      {"<reservation budget=\"99999999999999999h\" period=\"20ms\"/>", "reservation",
       "budget=\"2ms\""},
      {"<reservation budget=\"2\" period=\"20ms\"/>", "reservation", "budget=\"2ms\""},
      {"<reservation budget=\"1ms\" period=\"20ms\" colour=\"red\"/>", "reservation", "budget"},
      {"<reservation period=\"20ms\"/>", "reservation", "budget=\"2ms\""},
      {"<reservation budget=\"100us\" period=\"999us\"/>", "reservation", "between 1ms and 1s"},
      {"<reservation budget=\"21ms\" period=\"20ms\"/>", "reservation", "fits into its period"},
      {"<reservation budget=\"1ms\" period=\"20ms\" vcpus=\"all\"/>", "reservation",
       "vcpus=\"0-3\""},
      {"<reservation budget=\"1ms\" period=\"20ms\"/><reservation budget=\"3ms\" period=\"20ms\"/>",
       "reservation", "leave one"},
      {"<reservation budget=\"1ms\" period=\"1001ms\"/>", "reservation", "between 1ms and 1s"},
      {"<trust-domain name=\"\"/>", "trust-domain", "name=\"tenant-a\""},
      {"<trust-domain name=\"a\"/><trust-domain name=\"b\"/>", "trust-domain", "leave one"},
      {"<x:reservation xmlns:x=\"urn:other\" budget=\"1ms\" period=\"20ms\"/>", "reservation",
       "there are <reservation> and <trust-domain>"},
      {"<budget/>", "budget", "there are <reservation> and <trust-domain>"},
  };
  for (const auto& bad : cases) {
    const size_t said = corral().Log().size();
    Say(Metadata(bad.children));
    std::string log;
    EXPECT_TRUE(Within(seconds(1),
                       [&] {
                         log = corral().Log().substr(said);
                         return absl::StrContains(
                                    log, absl::StrCat("VM alpha: metadata <", bad.element, ">")) &&
                                absl::StrContains(log, bad.remedy);
                       }))
        << bad.children << ": " << log;
  }
  // Nor does a corrald that knows nothing of what was in force before.
  corral().StopDaemon(SIGKILL);
  corral().StartDaemon();
  ExpectHeld("corrald was killed and started", steady_clock::now());
  Say(Metadata("<reservation budget=\"2ms\" period=\"20ms\"/>"));
}

// virsh cannot make these, but whoever writes to libvirt's files can.
TEST_F(VerbsHost, H_MalformedStatusFiles) {
  const std::string file = "/run/libvirt/qemu/alpha.xml";
  const std::string good = Shell("cat " + file);
  const auto put = [&](const std::string& xml) {
    std::ofstream(file + ".test") << xml;
    ASSERT_EQ(rename((file + ".test").c_str(), file.c_str()), 0);
  };
  const struct {
    std::string xml, says;
  } cases[] = {
      {good.substr(0, good.size() / 2), "its settings cannot be read"},
      {"", "its settings cannot be read"},
      {absl::StrReplaceAll(
           good, {{"</metadata>", "<c:domain xmlns:c=\"urn:corral:domain:1\"/></metadata>"}}),
       "leave one element"},
  };
  for (const auto& bad : cases) {
    const size_t said = corral().Log().size();
    put(bad.xml);
    EXPECT_TRUE(Within(seconds(1), [&] {
      return absl::StrContains(corral().Log().substr(said), bad.says);
    })) << bad.says;
    ExpectHeld(absl::StrCat("a status file: ", bad.says), steady_clock::now());
  }
  put(good);
}

TEST_F(VerbsHost, I_WhatConcernsNoRunningVm) {
  Say("schedinfo alpha --config --set cpu_shares=333");
  Say("metadata alpha urn:corral:domain:1 --config --key corral --set '<domain/>'");
  Say("metadata alpha urn:other --live --key o --set '<domain/>'");
  Say("desc alpha --title --live --new-desc 'a title'");
  Say("desc alpha --live --new-desc 'a description'");
  Say("autostart alpha");
  Say("autostart alpha --disable");
  ASSERT_NO_FATAL_FAILURE(DefineAlpha("<cputune><shares>777</shares></cputune>"));
  ExpectHeld("define --validate, while it runs", steady_clock::now());
  SayInVain("domrename alpha bravo");
}

// The same QEMU begins anew, once its guest has obeyed.
TEST_F(VerbsHost, II_Reboot) {
  ASSERT_TRUE(GuestIsUp());
  const pid_t process = Alpha();
  VirshShell events;
  events.Say("qemu-monitor-event --event RESET --timeout 60");
  Say("reboot alpha");
  EXPECT_TRUE(events.AwaitReturn().ok);
  ExpectHeld("reboot has happened", steady_clock::now());
  EXPECT_EQ(Alpha(), process);
}

TEST_F(VerbsHost, J_Snapshots) {
  Say("snapshot-create-as alpha one");
  const Wanted then = wanted_;
  wanted_.weight = 50;
  Say("schedinfo alpha --live --set cpu_shares=50");
  wanted_.reservation = {};
  Say("metadata alpha urn:corral:domain:1 --live --remove");
  // In a new QEMU.
  const pid_t former = Alpha();
  wanted_ = then;
  Say("snapshot-revert alpha one");
  EXPECT_NE(Alpha(), former);
  EXPECT_TRUE(corral().Held(former).vcpus.empty());
  Say("snapshot-delete alpha one");
}

TEST_F(VerbsHost, K_SavedVmsComeBack) {
  SayTheEnd("managedsave alpha");
  Say("start alpha");
  SayTheEnd("save alpha /tmp/alpha.save");
  Say("restore /tmp/alpha.save");
}

TEST_F(VerbsHost, L_PluggedVcpus) {
  Say("setvcpus alpha 3 --live");
  EXPECT_EQ(corral().Held(Alpha()).vcpus.size(), 3u);
  Say("setvcpu alpha 3 --enable --live");
  EXPECT_EQ(corral().Held(Alpha()).vcpus.size(), 4u);
}

// Unsafe only to libvirt, which sees two hosts with the same file in a file system that it does not
// know as shared.
TEST_F(VerbsHost, M_Migration) {
  Shell(CORRAL_SECOND_HOST_SCRIPT);
  const pid_t process = Alpha();
  VirshShell second(kSecond);
  SayTheEnd(absl::StrCat("migrate --live --unsafe alpha ", kToSecond));
  EXPECT_TRUE(absl::StrContains(second.Run("domstate alpha").text, "running"));
  EXPECT_NE(Alpha(), process);
  const VirshShell::Answer back =
      second.Run(absl::StrCat("migrate --live --unsafe alpha ", kToFirst));
  EXPECT_TRUE(back.ok) << back.text;
  ExpectHeld("migrate --live, back", back.returned);
}

TEST_F(VerbsHost, N_TheLastOfIt) {
  Say("undefine alpha --managed-save --snapshots-metadata");
  // QEMU without KVM does not tell libvirt that the vCPU is gone, so virsh waits in vain. The guest
  // has let it go all the same.
  const size_t vcpus = corral().Held(Alpha()).vcpus.size();
  SayInVain(absl::StrCat("setvcpus alpha ", vcpus - 1, " --live"));
  EXPECT_EQ(corral().Held(Alpha()).vcpus.size(), vcpus - 1);
  ASSERT_TRUE(GuestIsUp());
  const pid_t process = Alpha();
  EXPECT_TRUE(virsh().Run("shutdown alpha").ok);
  EXPECT_TRUE(Within(seconds(20), [&] { return ProcessOf("alpha") == 0; })) << "it did not obey";
  ExpectGone("shutdown", process);
  EXPECT_TRUE(Within(kPromised, [] { return corral().Tasks() == 0 && corral().Domains().empty(); }))
      << corral().Tasks() << " tasks and " << corral().Domains().size() << " domains are left";
}

}  // namespace
}  // namespace corral
