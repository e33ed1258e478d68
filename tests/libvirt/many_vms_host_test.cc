// SPDX-License-Identifier: Apache-2.0
// A host full of VMs: all of them are held, once each, whoever restarts meanwhile; and nothing is
// left when they are gone, at once. They are paused: it is about who is held, not about time.
//
// CORRAL_VMS: how many; 200 unless said otherwise. CORRAL_REFERENCE_JOB: what reference_job says on
// the machine that emulates this one.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/libvirt/live_corral.h"
#include "tests/libvirt/reference_job.h"
#include "tests/libvirt/virsh.h"
#include "tests/libvirt/virsh_shell.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// The class gives each domain slots by 64.
constexpr int kSlots = 64;

class ManyVms : public testing::Test {
 protected:
  void SetUp() override {
    const char* const said = getenv("CORRAL_VMS");
    vms_ = said == nullptr ? 200 : std::stoi(said);
    Shell(absl::StrCat(CORRAL_LIBVIRTD_SCRIPT, " restart"));
    corral_ = std::make_unique<LiveCorral>(LiveCorral::kAllVms, vms_ * kSlots, vms_ + 8);
    virsh_ = std::make_unique<VirshShell>();
  }
  bool AllHeld(int vms) const {
    return corral_->Tasks() == vms && static_cast<int>(corral_->Domains().size()) == vms;
  }
  void ExpectAllHeld(const std::string& after, int vms, seconds patience) {
    const auto begin = steady_clock::now();
    EXPECT_TRUE(Within(patience, [&] { return AllHeld(vms); }))
        << after << ": " << corral_->Tasks() << " tasks, " << corral_->Domains().size()
        << " domains";
    printf("%s: %d VMs held after %lld ms\n", after.c_str(), vms,
           static_cast<long long>((steady_clock::now() - begin) / milliseconds(1)));
    fflush(stdout);
  }

  // A host is at rest most of the time. How much slower emulation is says a job that was done on
  // this machine before.
  void ExpectNextToNoCpuTimeAtRest() const {
    std::this_thread::sleep_for(seconds(5));
    const std::map<pid_t, Duration> before = CpuTimesOf(corral_->daemon());
    const auto begin = steady_clock::now();
    std::this_thread::sleep_for(seconds(180));
    const std::chrono::duration<double> window = steady_clock::now() - begin;
    double sum = 0;
    for (const auto& [tid, spent] : CpuTimesOf(corral_->daemon())) {
      const auto former = before.find(tid);
      const Duration since = spent - (former == before.end() ? Duration(0) : former->second);
      const double percent = 100 * std::chrono::duration<double>(since) / window;
      printf("  thread %d of corrald: %.2f %%\n", tid, percent);
      sum += percent;
    }
    const char* const there = getenv("CORRAL_REFERENCE_JOB");
    ASSERT_NE(there, nullptr);
    const double slower = static_cast<double>(ReferenceJob().count()) / std::stod(there);
    printf(
        "corrald at rest, with %d VMs: %.2f %% of an emulated CPU, which is %.1f times slower: "
        "%.2f %% of one of this machine's\n",
        vms_, sum, slower, sum / slower);
    fflush(stdout);
    EXPECT_LT(sum / slower, 1.0);
  }
  static std::map<pid_t, Duration> CpuTimesOf(pid_t process) {
    std::map<pid_t, Duration> times;
    for (const auto& task :
         std::filesystem::directory_iterator(absl::StrCat("/proc/", process, "/task"))) {
      int64_t ns = 0;
      std::ifstream(task.path() / "schedstat") >> ns;
      times[std::stoi(task.path().filename())] = Duration(ns);
    }
    return times;
  }

  int vms_ = 0;
  std::unique_ptr<LiveCorral> corral_;
  std::unique_ptr<VirshShell> virsh_;
};

TEST_F(ManyVms, AreHeldOnceEach) {
  for (int i = 0; i < vms_; ++i) {
    const std::string name = absl::StrCat("vm", i);
    const VirshShell::Answer answer =
        virsh_->Run("create --paused " + WriteDomain({.name = name, .vcpus = 1, .max_vcpus = 1}));
    ASSERT_TRUE(answer.ok) << name << ": " << answer.text;
  }
  ExpectAllHeld("the last start", vms_, seconds(1));
  ExpectNextToNoCpuTimeAtRest();
  const std::map<uint32_t, uint64_t> before = corral_->Gtids();

  corral_->StopDaemon(SIGKILL);
  corral_->StartDaemon();
  ExpectAllHeld("a restart of corrald", vms_, seconds(5));
  EXPECT_EQ(corral_->Gtids(), before) << "somebody was attached again";

  ASSERT_NO_FATAL_FAILURE(KillLibvirtd());
  Shell("libvirtd -d");
  ASSERT_TRUE(Within(seconds(180), [&] { return virsh_->Run("list").ok; })) << "no libvirtd";
  ExpectAllHeld("a restart of libvirtd", vms_, seconds(5));
  EXPECT_EQ(corral_->Gtids(), before) << "somebody was attached again";

  // Half of them die while nobody looks, the others while somebody does.
  corral_->StopDaemon(SIGTERM);
  for (int i = 0; i < vms_ / 2; ++i) kill(ProcessOf(absl::StrCat("vm", i)), SIGKILL);
  corral_->StartDaemon();
  ExpectAllHeld("the death of half of them", vms_ - vms_ / 2, seconds(30));
  for (int i = vms_ / 2; i < vms_; ++i) kill(ProcessOf(absl::StrCat("vm", i)), SIGKILL);
  ExpectAllHeld("the death of the others", 0, seconds(30));
}

}  // namespace
}  // namespace corral
