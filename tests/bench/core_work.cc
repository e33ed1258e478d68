// SPDX-License-Identifier: Apache-2.0
// What two VMs that compute all the time get done on one core that they may not share: under
// secure_vm, with several tenures, beside the kernel's own core scheduling in the same run, which
// is measured before and after each, so that the noise can be told from a difference (where the
// kernel has SCHED_CORE; Debian's have not).
//
// A process with a thread for each sibling stands for a VM. Busy: the part of the siblings' time
// that the VMs had. Root; loads the class, so it is for the test host, with one core of two
// siblings: under emulation only ratios mean anything.
#include <err.h>
#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/selftest/vm_process.h"
#include "tests/bench/corral_in_charge.h"

namespace corral::bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::seconds;

constexpr int kSiblings = 2;
constexpr const char* kTenures[] = {"5ms", "10ms", "20ms"};
constexpr const char* kDefaultTenure = "10ms";

struct Done {
  double busy = 0;
  double rounds = 0;  // of a calculation, per second
};

// Two VMs, and the memory in which they count what they did.
class Vms {
 public:
  Vms() {
    void* const memory =
        mmap(nullptr, sizeof(*rounds_), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) err(1, "no memory to share with the VMs");
    rounds_ = new (memory) std::atomic<uint64_t>(0);
    for (auto& vm : vms_) {
      vm = std::make_unique<VmProcess>(kSiblings, 0, [this] {
        volatile int work = 0;
        for (int i = 0; i < 10000; ++i) work = work + i;
        rounds_->fetch_add(1, std::memory_order_relaxed);
      });
    }
  }
  ~Vms() {
    for (auto& vm : vms_) vm.reset();
    munmap(rounds_, sizeof(*rounds_));
  }
  Vms(const Vms&) = delete;
  Vms& operator=(const Vms&) = delete;

  // Each a cookie of its own: the kernel lets them share no core.
  bool Separate() const {
    return std::all_of(std::begin(vms_), std::end(vms_), [](const auto& vm) {
      return prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, vm->pid(), PR_SCHED_CORE_SCOPE_THREAD_GROUP,
                   0) == 0;
    });
  }
  absl::Status AttachTo(CorralInCharge& corral) const {
    for (const auto& vm : vms_) {
      if (const absl::Status status = corral.Attach(vm->pid(), vm->tids()); !status.ok())
        return status;
    }
    return absl::OkStatus();
  }
  Done Measure(Duration time) const {
    std::this_thread::sleep_for(seconds(1));
    const Clock::time_point began = Clock::now();
    const Duration had = CpuTimeOfAll();
    const uint64_t rounds = *rounds_;
    std::this_thread::sleep_for(time);
    const std::chrono::duration<double> elapsed = Clock::now() - began;
    const std::chrono::duration<double> busy = CpuTimeOfAll() - had;
    return {.busy = busy / elapsed / kSiblings,
            .rounds = static_cast<double>(*rounds_ - rounds) / elapsed.count()};
  }

 private:
  Duration CpuTimeOfAll() const {
    Duration all{0};
    for (const auto& vm : vms_) {
      for (const pid_t tid : vm->tids()) all += CpuTime(tid);
    }
    return all;
  }

  std::unique_ptr<VmProcess> vms_[2];
  std::atomic<uint64_t>* rounds_ = nullptr;
};

// Nothing where the kernel has none.
std::optional<Done> UnderCoreScheduling(Duration time) {
  const Vms vms;
  if (!vms.Separate()) return std::nullopt;
  return vms.Measure(time);
}

absl::StatusOr<Done> UnderCorral(const std::string& agent, const std::string& tenure, Duration time,
                                 nlohmann::ordered_json& json) {
  const absl::StatusOr<std::unique_ptr<CorralInCharge>> corral = CorralInCharge::Make(
      {.agent = agent, .options = absl::StrCat("{\"tenure\":\"", tenure, "\"}")});
  if (!corral.ok()) return corral.status();
  const Vms vms;
  if (const absl::Status status = vms.AttachTo(**corral); !status.ok()) return status;
  const Done done = vms.Measure(time);
  json["breaches"] = (*corral)->Sum(&ghost_core_state::breaches);
  json["switches"] = (*corral)->Sum(&ghost_core_state::switches_agent);
  return done;
}

absl::StatusOr<nlohmann::ordered_json> Run(const std::string& agent, Duration time) {
  nlohmann::ordered_json json = {{"emulated", "ratios only"}};
  std::optional<Done> before = UnderCoreScheduling(time);
  json["core_scheduling"] = before.has_value();
  for (const char* const tenure : kTenures) {
    nlohmann::ordered_json line = {{"tenure", tenure},
                                   {"default", strcmp(tenure, kDefaultTenure) == 0}};
    const absl::StatusOr<Done> ours = UnderCorral(agent, tenure, time, line);
    if (!ours.ok()) return ours.status();
    line["busy"] = ours->busy;
    line["rounds_per_second"] = ours->rounds;
    if (before) {
      const std::optional<Done> after = UnderCoreScheduling(time);
      const double peer = (before->rounds + after->rounds) / 2;
      line["busy_core_scheduling"] = {before->busy, after->busy};
      line["work_ratio"] = ours->rounds / peer;
      line["noise"] = std::abs(before->rounds - after->rounds) / peer;
      before = after;
    }
    json["tenures"].push_back(line);
  }
  return json;
}

}  // namespace
}  // namespace corral::bench

int main(int argc, char** argv) {
  CLI::App app(
      "What VMs get done on a core that they may not share, beside kernel core scheduling");
  std::string file, agent = CORRAL_AGENT_PROGRAM;
  int seconds = 8;
  app.add_option("--json", file, "write the figures there, too");
  app.add_option("--agent", agent, "corral-agent")->capture_default_str();
  app.add_option("--seconds", seconds, "of each measurement")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const absl::StatusOr<nlohmann::ordered_json> json =
      corral::bench::Run(agent, std::chrono::seconds(seconds));
  if (!json.ok()) {
    std::cerr << json.status() << "\n";
    return 1;
  }
  std::cout << json->dump(2) << "\n";
  if (!file.empty()) std::ofstream(file) << json->dump(2) << "\n";
  return 0;
}
