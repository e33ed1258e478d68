// SPDX-License-Identifier: Apache-2.0
#include "tests/libvirt/operator_fixture.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/libvirt/virsh.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// The emulator's threads too, so that what virsh says of them can be seen in the class.
constexpr char kConfig[] =
    "version: 1\n"
    "mode: enforce\n"
    "enclaves:\n"
    "  - {name: vms, cpus: auto, vms: libvirt, isolate: emulator}\n";

// Few, because what the class holds is read from end to end again and again.
constexpr int kTasks = 512;

std::unique_ptr<LiveCorral> the_corral;
std::unique_ptr<VirshShell> the_virsh;

class Environment : public testing::Environment {
 public:
  void SetUp() override {
    Shell(absl::StrCat(CORRAL_LIBVIRTD_SCRIPT, " restart"));
    the_corral = std::make_unique<LiveCorral>(kConfig, kTasks);
    the_virsh = std::make_unique<VirshShell>();
  }
  void TearDown() override {
    the_virsh.reset();
    the_corral.reset();
  }
};
const testing::Environment* const environment = testing::AddGlobalTestEnvironment(new Environment);

std::string Text(const TimeShare& share) {
  return absl::StrCat(absl::FormatDuration(absl::FromChrono(share.time)), " of ",
                      absl::FormatDuration(absl::FromChrono(share.period)));
}

std::string Text(const TaskAttributes& attributes) {
  return absl::StrCat("weight ", attributes.weight, ", reservation ",
                      Text(TimeShare{attributes.budget, attributes.period}), ", cap ",
                      Text(TimeShare{attributes.cap, attributes.cap_period}), ", node ",
                      static_cast<int>(attributes.node));
}

TaskAttributes AttributesOf(const Wanted& wanted, const TimeShare& cap,
                            const TimeShare& reservation) {
  return {.weight = wanted.weight,
          .budget = reservation.time,
          .period = reservation.period,
          .cap = cap.time,
          .cap_period = cap.period,
          .node = wanted.node};
}

std::string NameOfThread(pid_t process, pid_t tid) {
  std::string name;
  std::getline(std::ifstream(absl::StrCat("/proc/", process, "/task/", tid, "/comm")), name);
  return name;
}

size_t ThreadsOf(pid_t process) {
  std::error_code error;
  const auto tasks =
      std::filesystem::directory_iterator(absl::StrCat("/proc/", process, "/task"), error);
  return static_cast<size_t>(std::distance(begin(tasks), end(tasks)));
}

std::string DifferenceOf(const HeldTask& task, const TaskAttributes& wanted,
                         const std::string& domain) {
  if (task.domain != domain) return absl::StrCat("is in domain ", task.domain, ", not in ", domain);
  if (!(task.attributes == wanted))
    return absl::StrCat("has ", Text(task.attributes), ", not ", Text(wanted));
  if (task.granted != wanted.budget)
    return absl::StrCat("is promised ", absl::FormatDuration(absl::FromChrono(task.granted)));
  return "";
}

std::string DifferenceOfVcpu(int vcpu, const HeldTask& task, const Wanted& wanted) {
  const auto pin = wanted.pins.find(vcpu);
  const std::string cpus = pin != wanted.pins.end()
                               ? pin->second
                               : absl::StrCat("0-", sysconf(_SC_NPROCESSORS_ONLN) - 1);
  if (task.cpus.Format() != cpus)
    return absl::StrCat("may use CPUs ", task.cpus.Format(), ", not ", cpus);
  return DifferenceOf(task, AttributesOf(wanted, wanted.cap, wanted.reservation), wanted.domain);
}

}  // namespace

std::string Difference(const LiveCorral& corral, pid_t process, const Wanted& wanted) {
  const HeldVm held = corral.Held(process);
  std::map<int, pid_t> vcpus;
  for (const auto& [vcpu, task] : held.vcpus) vcpus[vcpu] = task.tid;
  if (const std::map<int, pid_t> there = VcpusInProc(process); vcpus != there || there.empty())
    return absl::StrCat("the class has ", vcpus.size(), " of its ", there.size(), " vCPUs");
  for (const auto& [vcpu, task] : held.vcpus) {
    const std::string difference = DifferenceOfVcpu(vcpu, task, wanted);
    if (!difference.empty()) return absl::StrCat("vCPU ", vcpu, " ", difference);
  }
  for (const HeldTask& task : held.others) {
    const std::string name = NameOfThread(process, task.tid);
    const TimeShare& cap =
        absl::StartsWith(name, "IO iothread") ? wanted.iothread_cap : wanted.emulator_cap;
    const std::string difference = DifferenceOf(task, AttributesOf(wanted, cap, {}), wanted.domain);
    if (!difference.empty()) return absl::StrCat("thread \"", name, "\" ", difference);
  }
  if (held.vcpus.size() + held.others.size() != ThreadsOf(process))
    return absl::StrCat("the class has ", held.others.size(), " threads that are no vCPUs of ",
                        ThreadsOf(process) - held.vcpus.size());
  return "";
}

Wanted OperatorTest::wanted_{.domain = "alpha"};

LiveCorral& OperatorTest::corral() { return *the_corral; }
VirshShell& OperatorTest::virsh() { return *the_virsh; }

void OperatorTest::ExpectHeld(const std::string& what, steady_clock::time_point since,
                              milliseconds patience) {
  std::string difference;
  const auto end = since + patience;
  Within(std::chrono::ceil<milliseconds>(end - steady_clock::now()), [&] {
    const pid_t process = ProcessOf("alpha");
    difference = process == 0 ? "it does not run" : Difference(*the_corral, process, wanted_);
    return difference.empty();
  });
  printf("[%4lld ms] %s\n", static_cast<long long>((steady_clock::now() - since) / milliseconds(1)),
         what.c_str());
  fflush(stdout);
  EXPECT_EQ(difference, "") << what;
}

void OperatorTest::ExpectGone(const std::string& what, pid_t process) {
  const auto since = steady_clock::now();
  EXPECT_TRUE(Within(kPromised, [&] {
    const HeldVm held = the_corral->Held(process);
    return held.vcpus.empty() && held.others.empty();
  })) << what;
  printf("[%4lld ms] %s\n", static_cast<long long>((steady_clock::now() - since) / milliseconds(1)),
         what.c_str());
  // Its pid file may be there still: a libvirtd that was killed did not remove it.
  EXPECT_TRUE(process <= 0 || kill(process, 0) != 0) << what;
}

std::string OperatorTest::QemuLog() { return Shell("tail -n 20 /var/log/libvirt/qemu/alpha.log"); }

void OperatorTest::Say(const std::string& command) {
  const VirshShell::Answer answer = the_virsh->Run(command);
  EXPECT_TRUE(answer.ok) << command << ": " << answer.text << "\n" << QemuLog();
  ExpectHeld(command, answer.returned);
}

void OperatorTest::SayInVain(const std::string& command) {
  const VirshShell::Answer answer = the_virsh->Run(command);
  EXPECT_FALSE(answer.ok) << command << ": " << answer.text;
  ExpectHeld(command + " (refused)", answer.returned);
}

}  // namespace corral
