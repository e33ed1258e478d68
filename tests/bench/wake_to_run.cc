// SPDX-License-Identifier: Apache-2.0
// How long a vCPU that wakes up waits for its CPU: under secure_vm, with and without its fast path
// (the class takes what its agent offered), beside the default scheduler in the same run, which is
// measured at the beginning and at the end, so that the noise can be told from a difference.
//
// A thread stands for a vCPU; it sleeps until a moment, and what passes after that until it runs is
// the wait. Root; loads the class, so it is for the test host: under emulation only ratios mean
// anything.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/bench/bench_vm.h"
#include "tests/bench/corral_in_charge.h"

namespace corral::bench {
namespace {

using std::chrono::milliseconds;

constexpr int kWakeUps = 1500;

struct Load {
  const char* name;
  VmShape own;      // of the VM with the vCPU that sleeps
  VmShape foreign;  // of another
};
constexpr Load kLoads[] = {{"idle", {.waking = 1}, {}},
                           {"foreign", {.waking = 1}, {.computing = 2}},
                           {"own", {.computing = 2, .waking = 1}, {}}};

// Of so many wake-ups from now on.
std::vector<Duration> Measure(BenchVm& vm) {
  vm.Begin();
  std::vector<Duration> waited;
  while (waited.size() < size_t{kWakeUps}) {
    std::this_thread::sleep_for(milliseconds(20));
    waited = vm.Waits();
  }
  waited.resize(kWakeUps);
  std::sort(waited.begin(), waited.end());
  return waited;
}

struct Waits {
  double p50 = 0, p99 = 0, max = 0;  // us
};

Waits Summarize(const std::vector<Duration>& sorted) {
  const auto at = [&](size_t percent) {
    return static_cast<double>(sorted[(sorted.size() - 1) * percent / 100].count()) / 1e3;
  };
  return {.p50 = at(50), .p99 = at(99), .max = at(100)};
}

absl::StatusOr<std::vector<Waits>> MeasureAll(CorralInCharge* corral) {
  std::vector<Waits> results;
  for (const Load& load : kLoads) {
    absl::StatusOr<BenchVm> sleeper = BenchVm::Start(load.own);
    if (!sleeper.ok()) return sleeper.status();
    // Without vCPUs it is nobody.
    const absl::StatusOr<BenchVm> foreign = BenchVm::Start(load.foreign);
    if (!foreign.ok()) return foreign.status();
    if (corral != nullptr) {
      absl::Status status = corral->Attach(sleeper->pid(), sleeper->tids());
      if (status.ok()) status = corral->Attach(foreign->pid(), foreign->tids());
      if (!status.ok()) return status;
    }
    std::this_thread::sleep_for(milliseconds(500));
    results.push_back(Summarize(Measure(*sleeper)));
  }
  return results;
}

nlohmann::ordered_json ToJson(const Waits& waits, const Waits& base) {
  return {{"p50_us", waits.p50},
          {"p99_us", waits.p99},
          {"max_us", waits.max},
          {"p50_ratio", waits.p50 / base.p50},
          {"p99_ratio", waits.p99 / base.p99}};
}

absl::StatusOr<nlohmann::ordered_json> Run(const std::string& agent) {
  const absl::StatusOr<std::vector<Waits>> first = MeasureAll(nullptr);
  if (!first.ok()) return first.status();
  std::map<std::string, std::vector<Waits>> corral;
  nlohmann::ordered_json json = {{"emulated", "ratios only"}, {"wake_ups", kWakeUps}};
  for (const char* const sharing : {"machine", "off"}) {
    absl::StatusOr<std::unique_ptr<CorralInCharge>> loaded = CorralInCharge::Make(
        {.agent = agent, .options = absl::StrCat("{\"sharing\":\"", sharing, "\"}")});
    if (!loaded.ok()) return loaded.status();
    const absl::StatusOr<std::vector<Waits>> waits = MeasureAll(loaded->get());
    if (!waits.ok()) return waits.status();
    corral[sharing] = *waits;
    json["taken"][sharing] = (*loaded)->Sum(&ghost_core_state::taken);
    json["breaches"][sharing] = (*loaded)->Sum(&ghost_core_state::breaches);
  }
  const absl::StatusOr<std::vector<Waits>> last = MeasureAll(nullptr);
  if (!last.ok()) return last.status();
  for (size_t i = 0; i < std::size(kLoads); ++i) {
    const Waits base = {.p50 = ((*first)[i].p50 + (*last)[i].p50) / 2,
                        .p99 = ((*first)[i].p99 + (*last)[i].p99) / 2};
    json["loads"].push_back({{"name", kLoads[i].name},
                             {"default", ToJson((*first)[i], base)},
                             {"default_again", ToJson((*last)[i], base)},
                             {"corral", ToJson(corral["machine"][i], base)},
                             {"corral_slow_path", ToJson(corral["off"][i], base)}});
  }
  return json;
}

}  // namespace
}  // namespace corral::bench

int main(int argc, char** argv) {
  CLI::App app("How long a vCPU that wakes up waits, beside the default scheduler");
  std::string file, agent = CORRAL_AGENT_PROGRAM;
  app.add_option("--json", file, "write the figures there, too");
  app.add_option("--agent", agent, "corral-agent")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const absl::StatusOr<nlohmann::ordered_json> json = corral::bench::Run(agent);
  if (!json.ok()) {
    std::cerr << json.status() << "\n";
    return 1;
  }
  std::cout << json->dump(2) << "\n";
  if (!file.empty()) std::ofstream(file) << json->dump(2) << "\n";
  return 0;
}
