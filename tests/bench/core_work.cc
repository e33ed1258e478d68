// SPDX-License-Identifier: Apache-2.0
// What two VMs that compute all the time get done on one core that they may not share: under
// secure_vm, with several tenures, beside the kernel's own core scheduling in the same run, which
// is measured before and after each, so that the noise can be told from a difference (where the
// kernel has SCHED_CORE; Debian's have not).
//
// A process with a thread for each sibling stands for a VM. Busy: the part of the siblings' time
// that the VMs had. Root; loads the class, so it is for the test host, with one core of two
// siblings: under emulation only ratios mean anything.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "tests/bench/bench_vm.h"
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

class Vms {
 public:
  static absl::StatusOr<Vms> Start() {
    Vms two;
    for (int i = 0; i < 2; ++i) {
      absl::StatusOr<BenchVm> vm = BenchVm::Start({.computing = kSiblings});
      if (!vm.ok()) return vm.status();
      two.vms_.push_back(*std::move(vm));
    }
    return two;
  }
  absl::Status Separate() const {
    return ForAll([](const BenchVm& vm) { return vm.Separate(); });
  }
  absl::Status AttachTo(CorralInCharge& corral) const {
    return ForAll([&](const BenchVm& vm) { return corral.Attach(vm.pid(), vm.tids()); });
  }
  Done Measure(Duration time) const {
    std::this_thread::sleep_for(seconds(1));
    const Clock::time_point began = Clock::now();
    const Duration had = CpuTimeOfAll();
    const uint64_t rounds = Rounds();
    std::this_thread::sleep_for(time);
    const std::chrono::duration<double> elapsed = Clock::now() - began;
    const std::chrono::duration<double> busy = CpuTimeOfAll() - had;
    return {.busy = busy / elapsed / kSiblings,
            .rounds = static_cast<double>(Rounds() - rounds) / elapsed.count()};
  }

 private:
  absl::Status ForAll(absl::FunctionRef<absl::Status(const BenchVm&)> act) const {
    for (const BenchVm& vm : vms_) {
      if (const absl::Status status = act(vm); !status.ok()) return status;
    }
    return absl::OkStatus();
  }
  Duration CpuTimeOfAll() const {
    Duration all{0};
    for (const BenchVm& vm : vms_) all += vm.CpuTime();
    return all;
  }
  uint64_t Rounds() const {
    uint64_t all = 0;
    for (const BenchVm& vm : vms_) all += vm.rounds();
    return all;
  }

  std::vector<BenchVm> vms_;
};

// Nothing where the kernel has none.
absl::StatusOr<std::optional<Done>> UnderCoreScheduling(Duration time) {
  const absl::StatusOr<Vms> vms = Vms::Start();
  if (!vms.ok()) return vms.status();
  const absl::Status status = vms->Separate();
  if (absl::IsUnimplemented(status)) return std::nullopt;
  if (!status.ok()) return status;
  return vms->Measure(time);
}

absl::StatusOr<Done> UnderCorral(const std::string& agent, const std::string& tenure, Duration time,
                                 nlohmann::ordered_json& json) {
  const absl::StatusOr<std::unique_ptr<CorralInCharge>> corral = CorralInCharge::Make(
      {.agent = agent, .options = absl::StrCat("{\"tenure\":\"", tenure, "\"}")});
  if (!corral.ok()) return corral.status();
  const absl::StatusOr<Vms> vms = Vms::Start();
  if (!vms.ok()) return vms.status();
  if (const absl::Status status = vms->AttachTo(**corral); !status.ok()) return status;
  const Done done = vms->Measure(time);
  json["breaches"] = (*corral)->Sum(&ghost_core_state::breaches);
  json["switches"] = (*corral)->Sum(&ghost_core_state::switches_agent);
  return done;
}

absl::StatusOr<nlohmann::ordered_json> Run(const std::string& agent, Duration time) {
  nlohmann::ordered_json json = {{"emulated", "ratios only"}};
  absl::StatusOr<std::optional<Done>> first = UnderCoreScheduling(time);
  if (!first.ok()) return first.status();
  std::optional<Done> before = *first;
  json["core_scheduling"] = before.has_value();
  for (const char* const tenure : kTenures) {
    nlohmann::ordered_json line = {{"tenure", tenure},
                                   {"default", strcmp(tenure, kDefaultTenure) == 0}};
    const absl::StatusOr<Done> ours = UnderCorral(agent, tenure, time, line);
    if (!ours.ok()) return ours.status();
    line["busy"] = ours->busy;
    line["rounds_per_second"] = ours->rounds;
    if (before) {
      const absl::StatusOr<std::optional<Done>> again = UnderCoreScheduling(time);
      if (!again.ok()) return again.status();
      const Done after = **again;
      const double peer = (before->rounds + after.rounds) / 2;
      line["busy_core_scheduling"] = {before->busy, after.busy};
      line["work_ratio"] = ours->rounds / peer;
      line["noise"] = std::abs(before->rounds - after.rounds) / peer;
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
