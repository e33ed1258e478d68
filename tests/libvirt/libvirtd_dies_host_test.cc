// SPDX-License-Identifier: Apache-2.0
// libvirtd is killed in the middle of each verb and started again. Whatever became of the verb: in
// the end the class holds what virsh then says of the VM.
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>

#include <cmath>
#include <fstream>
#include <optional>
#include <regex>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/libvirt/operator_fixture.h"
#include "tests/libvirt/virsh.h"
#include "vmm-integration/domain_xml.h"

namespace corral {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// What Corral's source needs to look at everything again, and to find libvirt again.
constexpr seconds kSettled{5};

// "name : value" lines, as schedinfo and numatune print them; and those of vcpupin, without colon.
std::map<std::string, std::string> Table(const std::string& text) {
  std::map<std::string, std::string> table;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" :"), absl::SkipEmpty());
    if (words.size() == 2) table[words[0]] = words[1];
  }
  return table;
}

int64_t Number(const std::map<std::string, std::string>& table, const std::string& name) {
  int64_t number = 0;
  const auto row = table.find(name);
  EXPECT_TRUE(row != table.end() && absl::SimpleAtoi(row->second, &number)) << name;
  return number;
}

TimeShare Cap(const std::map<std::string, std::string>& table, const std::string& what) {
  const int64_t period = Number(table, what + "_period"), quota = Number(table, what + "_quota");
  if (quota <= 0 || quota >= period) return {};
  return {microseconds(quota), microseconds(period)};
}

// Calls back when libvirt begins to write a VM's status down: it has done then what was asked for,
// but has not told anybody.
class StatusWrites {
 public:
  StatusWrites() : inotify_(inotify_init1(IN_CLOEXEC)) {
    EXPECT_GE(inotify_add_watch(inotify_.get(), "/run/libvirt/qemu", IN_CREATE), 0);
  }
  // Returns after a while even if it writes less often.
  void AwaitNext(const std::string& vm, int times) {
    const auto end = steady_clock::now() + seconds(20);
    while (times > 0 && steady_clock::now() < end) {
      pollfd fd = {.fd = inotify_.get(), .events = POLLIN};
      if (poll(&fd, 1, 100) <= 0) continue;
      alignas(inotify_event) char buffer[4096];
      const ssize_t got = read(inotify_.get(), buffer, sizeof(buffer));
      for (ssize_t at = 0; at < got;) {
        const auto* const event = reinterpret_cast<const inotify_event*>(buffer + at);
        times -= event->len > 0 && event->name == vm + ".xml.new";
        at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      }
    }
  }

 private:
  const Fd inotify_;
};

class LibvirtdDies : public OperatorTest {
 protected:
  static std::string Ask(const std::string& command) {
    const VirshShell::Answer answer = virsh().Run(command);
    EXPECT_TRUE(answer.ok) << command << ": " << answer.text;
    return answer.text;
  }
  static bool Runs() {
    const std::string state = Ask("domstate alpha");
    return state == "running" || state == "paused";
  }
  // A libvirtd that has come back may say that a VM runs whose start it then takes back.
  static bool RunsInTheEnd() {
    for (bool runs = Runs();; runs = !runs) {
      if (!Within(seconds(2), [&] { return Runs() != runs; })) return runs;
    }
  }
  // Killed in the middle of managedsave, it may not, however long one waits.
  static bool KnowsItsCgroup() {
    return Within(seconds(10), [] { return virsh().Run("schedinfo alpha --live").ok; });
  }
  // Killed after it bound a vCPU and before it wrote that down, libvirtd does not know of it any
  // more; the kernel does, and nobody else.
  static std::string InForce(int vcpu, const std::string& said) {
    const pid_t process = ProcessOf("alpha");
    const std::map<int, pid_t> vcpus = VcpusInProc(process);
    if (!vcpus.contains(vcpu)) return said;
    const std::string bound = Shell(absl::StrCat("sed -n 's/^Cpus_allowed_list:\\t//p' /proc/",
                                                 process, "/task/", vcpus.at(vcpu), "/status"));
    if (bound == said) return said;
    printf("libvirtd says that vCPU %d may use CPUs %s, and has bound it to %s\n", vcpu,
           said.c_str(), bound.c_str());
    return bound;
  }
  static Wanted WhatVirshSays() {
    Wanted wanted{.domain = "alpha"};
    const auto schedinfo = Table(Ask("schedinfo alpha --live"));
    wanted.weight = static_cast<uint32_t>(Number(schedinfo, "cpu_shares"));
    wanted.cap = Cap(schedinfo, "vcpu");
    wanted.emulator_cap = Cap(schedinfo, "emulator");
    wanted.iothread_cap = Cap(schedinfo, "iothread");
    for (const auto& [vcpu, cpus] : Table(Ask("vcpupin alpha --live"))) {
      if (int number; absl::SimpleAtoi(vcpu, &number)) wanted.pins[number] = InForce(number, cpus);
    }
    const auto numatune = Table(Ask("numatune alpha --live"));
    if (const auto nodes = numatune.find("numa_nodeset"); nodes != numatune.end())
      if (int node; absl::SimpleAtoi(nodes->second, &node)) wanted.node = node;
    const VirshShell::Answer metadata = virsh().Run("metadata alpha urn:corral:domain:1 --live");
    std::smatch found;
    if (std::regex_search(metadata.text, found,
                          std::regex("budget=\"(\\d+)ms\" period=\"(\\d+)ms\"")))
      wanted.reservation = {milliseconds(std::stoi(found[1])), milliseconds(std::stoi(found[2]))};
    if (std::regex_search(metadata.text, found, std::regex("trust-domain name=\"(\\w+)\"")))
      wanted.domain = found[1];
    return wanted;
  }

  // Says it, and kills libvirtd when it begins for the `write`th time to write the VM down.
  static void DieAmid(const std::string& command, int write) {
    const pid_t process = ProcessOf("alpha");
    StatusWrites writes;
    virsh().Say(command);
    writes.AwaitNext("alpha", write);
    ASSERT_NO_FATAL_FAILURE(KillLibvirtd());
    const bool done = virsh().AwaitReturn().ok;
    Shell("libvirtd -d");
    ASSERT_TRUE(Within(seconds(60), [] { return virsh().Run("list").ok; })) << "no libvirtd";
    const bool runs = RunsInTheEnd();
    const std::string what = absl::StrCat(command, " (libvirtd killed at write ", write,
                                          done ? ", it was done" : "", runs ? ")" : "; it is off)");
    if (!runs) return ExpectGone(what, process);
    if (KnowsItsCgroup()) {
      wanted_ = WhatVirshSays();
    } else {
      printf("libvirtd does not find alpha's cgroup again: what was in force stays\n");
    }
    ExpectHeld(what, steady_clock::now(), kSettled);
    EXPECT_EQ(std::to_string(corral().Held(ProcessOf("alpha")).vcpus.size()),
              Ask("vcpucount alpha --live --current"));
  }
  static void DieAmidEach(const std::vector<std::pair<std::string, int>>& verbs) {
    for (const auto& [command, write] : verbs) {
      const bool starts =
          absl::StartsWith(command, "start") || absl::StartsWith(command, "restore");
      if (starts && Runs()) Ask("destroy alpha");
      if (!starts && !Runs()) Ask("start alpha");
      ASSERT_NO_FATAL_FAILURE(DieAmid(command, write));
    }
  }
};

TEST_F(LibvirtdDies, WhatItHadDoneIsHeldAllTheSame) {
  Shell("qemu-img create -q -f qcow2 /tmp/alpha.qcow2 16M");
  Ask("define " + WriteDomain({.name = "alpha",
                               .vcpus = 2,
                               .max_vcpus = 4,
                               .guest = absl::StrCat(CORRAL_GUEST, " sleep"),
                               .disk = "/tmp/alpha.qcow2"}));
  const std::string reserve =
      "metadata alpha urn:corral:domain:1 --live --key corral --set '<domain><reservation "
      "budget=\"2ms\" period=\"20ms\"/><trust-domain name=\"tenant\"/></domain>'";
  ASSERT_NO_FATAL_FAILURE(DieAmidEach({{"schedinfo alpha --live --set cpu_shares=500", 1},
                                       {"schedinfo alpha --live --set vcpu_quota=30000", 1},
                                       {reserve, 1},
                                       {"setvcpus alpha 3 --live", 1}}));
  if (getenv("CORRAL_EVERY_VERB") != nullptr) {
    ASSERT_NO_FATAL_FAILURE(
        DieAmidEach({{"numatune alpha --nodeset 1 --mode restrictive --live", 1},
                     {"vcpupin alpha 0 2-3 --live", 1},
                     {"emulatorpin alpha 0-1 --live", 1},
                     {"iothreadadd alpha 1 --live", 1},
                     {"iothreadpin alpha 1 2-3 --live", 1},
                     {"suspend alpha", 1},
                     {"resume alpha", 1},
                     {"reset alpha", 1},
                     {"reboot alpha", 1},
                     {"destroy alpha", 2},
                     {"snapshot-create-as alpha one", 1},
                     {"snapshot-create-as alpha two", 3},
                     {"snapshot-revert alpha one", 1},
                     {"snapshot-revert alpha one", 4},
                     {"save alpha /tmp/alpha.save", 1},
                     {"start --paused alpha", 4},
                     {"shutdown alpha", 1}}));
    if (!Runs()) Ask("start alpha");
    Ask("save alpha /tmp/alpha.whole");
    ASSERT_NO_FATAL_FAILURE(DieAmidEach({{"restore /tmp/alpha.whole", 3}}));
    if (Runs()) Ask("destroy alpha");
  }
  ASSERT_NO_FATAL_FAILURE(DieAmidEach(
      {{"managedsave alpha", 1}, {"start alpha", 3}, {"start alpha", 5}, {"destroy alpha", 1}}));
  if (Runs()) Ask("destroy alpha");
  Ask("undefine alpha --managed-save --snapshots-metadata");
  EXPECT_TRUE(Within(kSettled, [] { return corral().Tasks() == 0 && corral().Domains().empty(); }));
}

}  // namespace
}  // namespace corral
