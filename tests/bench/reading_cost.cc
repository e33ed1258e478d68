// SPDX-License-Identifier: Apache-2.0
// What it costs to look at a host of 256 CPUs with 200 VMs: corralctl top at 10 Hz, in percent of a
// CPU, a scrape of the metrics, and what status prints, in ms of CPU time. That is, reading the
// class's memory, here a simulated class's, and writing it down. Beside them procps' top at the
// same rate, for what a user would run instead. Prints JSON.
//
//   reading_cost [--frames N]
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "agent/metrics/class_metrics.h"
#include "agent/top/model.h"
#include "agent/top/page.h"
#include "agent/top/screen.h"
#include "tests/sim/bare_vms.h"

namespace corral {
namespace {

constexpr int kCores = 128;
constexpr int kVms = 200;
constexpr int kPerSecond = 10;

Duration CpuTimeOfThis() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + Duration(time.tv_nsec);
}

double Percent(Duration cpu, int frames) {
  return 100 * std::chrono::duration<double>(cpu).count() / frames * kPerSecond;
}

double CostOfTop(BareVms& vms, int frames) {
  top::Model model(vms.control());
  // As many looks as it keeps.
  for (int i = 0; i < 30; ++i) {
    vms.machine().RunFor(std::chrono::milliseconds(100));
    model.Look();
  }
  Duration cpu{0};
  size_t letters = 0;
  for (int i = 0; i < frames; ++i) {
    vms.machine().RunFor(std::chrono::milliseconds(10));
    const Duration before = CpuTimeOfThis();
    model.Look();
    const top::Canvas canvas =
        top::Draw(model.Show(), {.details = true}, "12:00:00", top::kLeastRows, top::kLeastColumns);
    for (int row = 0; row < canvas.rows(); ++row) letters += canvas.Line(row).size();
    cpu += CpuTimeOfThis() - before;
  }
  return letters == 0 ? 100 : Percent(cpu, frames);
}

// In ms, the best of ten.
template <typename Act>
double CostOf(Act&& act) {
  Duration best = Duration::max();
  for (int i = 0; i < 10; ++i) {
    const Duration before = CpuTimeOfThis();
    const std::string text = act();
    if (!text.empty()) best = std::min(best, CpuTimeOfThis() - before);
  }
  return std::chrono::duration<double, std::milli>(best).count();
}

// -1: there is none.
double CostOfProcpsTop(int frames) {
  const pid_t child = fork();
  if (child == 0) {
    (void)!freopen("/dev/null", "w", stdout);
    execlp("top", "top", "-b", "-d", "0.1", "-n", absl::StrCat(frames).c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  rusage used{};
  if (child < 0 || wait4(child, &status, 0, &used) != child || status != 0) return -1;
  const auto time = [](const timeval& t) {
    return std::chrono::seconds(t.tv_sec) + std::chrono::microseconds(t.tv_usec);
  };
  return Percent(time(used.ru_utime) + time(used.ru_stime), frames);
}

}  // namespace
}  // namespace corral

int main(int argc, char** argv) {
  using namespace corral;
  int frames = 100;
  CLI::App app("What looking at a host costs");
  app.add_option("--frames", frames, "how many pages")->check(CLI::Range(10, 100000));
  CLI11_PARSE(app, argc, argv);
  BareVms vms(kCores, 2);
  for (int i = 0; i < kVms; ++i) vms.AddVm<Spinner>(2, absl::StrCat("vm-", i).c_str());
  const nlohmann::json json = {
      {"cpus", 2 * kCores},
      {"domains", kVms},
      {"per_second", kPerSecond},
      {"corralctl_top_percent", CostOfTop(vms, frames)},
      {"procps_top_percent", CostOfProcpsTop(frames)},
      {"scrape_ms",
       CostOf([&] { return metrics::Text(metrics::ClassFamilies(&vms.control(), TrustRules())); })},
      {"status_ms", CostOf([&] { return ToJson(ViewClass(vms.control())).dump(2); })}};
  std::cout << json.dump(2) << "\n";
}
