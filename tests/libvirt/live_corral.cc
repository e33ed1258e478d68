// SPDX-License-Identifier: Apache-2.0
#include "tests/libvirt/live_corral.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/libvirt/virsh.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr char kLog[] = "/run/corral-host/corrald.log";

CpuSet CpusOf(const ghost_affinity& affinity) {
  CpuSet cpus;
  for (int cpu = 0; cpu < GHOST_AFFINITY_WORDS * 64; ++cpu) {
    if (affinity.cpus[cpu / 64] >> (cpu % 64) & 1) cpus.Insert(CpuId(cpu));
  }
  return cpus;
}

}  // namespace

bool Within(milliseconds patience, const std::function<bool()>& done) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!done()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

pid_t ProcessOf(const std::string& vm) {
  pid_t pid = 0;
  std::ifstream(absl::StrCat("/run/libvirt/qemu/", vm, ".pid")) >> pid;
  return pid;
}

LiveCorral::LiveCorral(const std::string& yaml, int tasks, int domains) {
  std::ofstream(kConfig) << yaml;
  // Probes run in the order of attachment, and a switch must be counted before the class acts on
  // it.
  absl::StatusOr<Auditor> auditor = Auditor::Load({});
  EXPECT_TRUE(auditor.ok()) << auditor.status();
  if (auditor.ok()) auditor_.emplace(*std::move(auditor));
  Shell(absl::StrCat(CORRAL_CLASS_PROGRAM, " start --domains ", domains, " --tasks ", tasks));
  OpenClass();
  StartDaemon();
}

LiveCorral::~LiveCorral() {
  if (testing::Test::HasFailure()) std::cout << "corrald said:\n" << Log();
  StopDaemon(SIGTERM);
  kernel_.reset();
  Shell(absl::StrCat(CORRAL_CLASS_PROGRAM, " stop"));
}

void LiveCorral::StartDaemon() {
  const std::string former = Log();
  daemon_ = std::stoi(Shell(absl::StrCat(CORRAL_CORRALD_PROGRAM, " --config ", kConfig, " --agent ",
                                         CORRAL_AGENT_PROGRAM, " >>", kLog, " 2>&1 & echo $!")));
  EXPECT_TRUE(Within(seconds(90), [&] {
    return absl::StrContains(Log().substr(former.size()), "corrald: ready");
  })) << "corrald is not ready";
}

void LiveCorral::OpenClass() {
  absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = BpfControlKernel::Open();
  EXPECT_TRUE(kernel.ok()) << kernel.status();
  if (kernel.ok()) kernel_ = *std::move(kernel);
}

void LiveCorral::StopDaemon(int signal) {
  kill(daemon_, signal);
  EXPECT_TRUE(Within(seconds(30), [&] { return kill(daemon_, 0) != 0; })) << "corrald goes on";
}

HeldTask LiveCorral::TaskIn(size_t slot) const {
  const ghost_status_word& word = kernel_->status_words()[slot];
  return {.tid = static_cast<pid_t>(word.tid),
          .vcpu = static_cast<int>(word.vcpu),
          .attributes = {.weight = word.weight,
                         .budget = FromNs(word.budget_ns),
                         .period = FromNs(word.period_ns),
                         .cap = FromNs(word.cap_ns),
                         .cap_period = FromNs(word.cap_period_ns),
                         .node = word.node},
          .granted = FromNs(word.granted_ns),
          .cpus = CpusOf(kernel_->affinities()[slot]),
          .domain = kernel_->domains()[word.domain].name};
}

HeldVm LiveCorral::Held(pid_t process) const {
  // A thread that is about to change its domain has a second word, which nobody was told of: it
  // says which, and takes over the rest once the thread is off CPU; if it sleeps, when it wakes up.
  struct Words {
    std::optional<HeldTask> present, to_come;
  };
  std::map<uint32_t, Words> threads;
  for (size_t slot = 0; slot < kernel_->status_words().size(); ++slot) {
    const ghost_status_word& word = kernel_->status_words()[slot];
    if (!(word.flags & GHOST_SW_INUSE) || word.tgid != static_cast<uint32_t>(process)) continue;
    Words& words = threads[word.tid];
    (word.flags & GHOST_SW_ANNOUNCED ? words.present : words.to_come) = TaskIn(slot);
  }
  HeldVm vm;
  for (const auto& [tid, words] : threads) {
    HeldTask task = words.present ? *words.present : *words.to_come;
    if (words.to_come) task.domain = words.to_come->domain;
    if (task.vcpu == HeldTask::kNoVcpu) {
      vm.others.push_back(std::move(task));
    } else {
      vm.vcpus[task.vcpu] = std::move(task);
    }
  }
  return vm;
}

std::vector<std::string> LiveCorral::Domains() const {
  std::vector<std::string> names;
  for (size_t id = GHOST_DOMAIN_FIRST; id < kernel_->domains().size(); ++id) {
    if (kernel_->domains()[id].in_use) names.push_back(kernel_->domains()[id].name);
  }
  return names;
}

int LiveCorral::Tasks() const {
  int tasks = 0;
  for (const ghost_status_word& word : kernel_->status_words())
    tasks += (word.flags & GHOST_SW_INUSE) != 0;
  return tasks;
}

std::map<uint32_t, uint64_t> LiveCorral::Gtids() const {
  std::map<uint32_t, uint64_t> gtids;
  for (const ghost_status_word& word : kernel_->status_words()) {
    if ((word.flags & GHOST_SW_INUSE) != 0) gtids[word.tid] = word.gtid;
  }
  return gtids;
}

std::string LiveCorral::Log() const {
  std::ostringstream log;
  log << std::ifstream(kLog).rdbuf();
  return log.str();
}

}  // namespace corral
