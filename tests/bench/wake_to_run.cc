// SPDX-License-Identifier: Apache-2.0
// How long a vCPU that wakes up waits for its CPU: under secure_vm, with and without its fast path
// (the class takes what its agent offered), beside the default scheduler in the same run, which is
// measured at the beginning and at the end, so that the noise can be told from a difference.
//
// A thread stands for a vCPU; it sleeps until a moment, and what passes after that until it runs is
// the wait. Root; loads the class, so it is for the test host: under emulation only ratios mean
// anything.
#include <err.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/bench/corral_in_charge.h"

namespace corral::bench {
namespace {

using std::chrono::milliseconds;

constexpr int kWakeUps = 1500;

// What a process that stands for a VM tells of itself, in memory that it shares with us.
struct Shared {
  std::atomic<int> next;
  std::atomic<int> threads;  // that have announced themselves
  std::array<std::atomic<pid_t>, 8> tids;
  std::atomic<bool> go;
  std::atomic<int> done;
  std::array<int64_t, kWakeUps> waited_ns;
};

// One thread that sleeps and wakes up, or none, and some that compute.
class Vm {
 public:
  Vm(bool sleeper, int spinners) : expected_(spinners + (sleeper ? 1 : 0)) {
    void* const memory =
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) err(1, "no memory to share with a process that stands for a VM");
    shared_ = new (memory) Shared{};
    pid_ = fork();
    if (pid_ == 0) Be(sleeper, spinners);
    while (shared_->threads < expected_) std::this_thread::sleep_for(milliseconds(1));
  }
  ~Vm() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    munmap(shared_, sizeof(Shared));
  }
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;

  pid_t pid() const { return pid_; }
  std::vector<pid_t> tids() const {
    return {shared_->tids.begin(), shared_->tids.begin() + expected_};
  }
  // Of the sleeper, sorted.
  std::vector<int64_t> Measure() {
    shared_->go = true;
    while (shared_->done < kWakeUps) std::this_thread::sleep_for(milliseconds(20));
    std::vector<int64_t> waited(shared_->waited_ns.begin(), shared_->waited_ns.end());
    std::sort(waited.begin(), waited.end());
    return waited;
  }

 private:
  [[noreturn]] void Be(bool sleeper, int spinners) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < spinners; ++i) {
      std::thread([this] {
        Announce();
        for (volatile unsigned work = 0;;) work = work + 1;
      }).detach();
    }
    if (sleeper) std::thread(&Vm::SleepAndWake, this).detach();
    for (;;) pause();
  }
  void Announce() {
    shared_->tids[shared_->next++] = static_cast<pid_t>(syscall(SYS_gettid));
    ++shared_->threads;
  }
  void SleepAndWake() {
    Announce();
    prctl(PR_SET_TIMERSLACK, 1);
    while (!shared_->go) std::this_thread::sleep_for(milliseconds(1));
    std::mt19937 random(1);
    for (int i = 0; i < kWakeUps; ++i) {
      timespec until;
      clock_gettime(CLOCK_MONOTONIC, &until);
      const int64_t at = until.tv_sec * 1'000'000'000LL + until.tv_nsec + 1'500'000 +
                         static_cast<int64_t>(random() % 2'000'000);
      until = {.tv_sec = at / 1'000'000'000, .tv_nsec = at % 1'000'000'000};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
      timespec now;
      clock_gettime(CLOCK_MONOTONIC, &now);
      shared_->waited_ns[i] = now.tv_sec * 1'000'000'000LL + now.tv_nsec - at;
      ++shared_->done;
    }
    for (;;) pause();
  }

  const int expected_;
  Shared* shared_ = nullptr;
  pid_t pid_ = 0;
};

struct Load {
  const char* name;
  int own_spinners;      // in the domain of the one that sleeps
  int foreign_spinners;  // in another
};
constexpr Load kLoads[] = {{"idle", 0, 0}, {"foreign", 0, 2}, {"own", 2, 0}};

struct Waits {
  double p50 = 0, p99 = 0, max = 0;  // us
};

Waits Summarize(const std::vector<int64_t>& sorted) {
  const auto at = [&](size_t percent) {
    return static_cast<double>(sorted[(sorted.size() - 1) * percent / 100]) / 1e3;
  };
  return {.p50 = at(50), .p99 = at(99), .max = at(100)};
}

absl::StatusOr<std::vector<Waits>> MeasureAll(CorralInCharge* corral) {
  std::vector<Waits> results;
  for (const Load& load : kLoads) {
    Vm sleeper(true, load.own_spinners);
    std::optional<Vm> foreign;
    if (load.foreign_spinners > 0) foreign.emplace(false, load.foreign_spinners);
    if (corral != nullptr) {
      absl::Status status = corral->Attach(sleeper.pid(), sleeper.tids());
      if (status.ok() && foreign) status = corral->Attach(foreign->pid(), foreign->tids());
      if (!status.ok()) return status;
    }
    std::this_thread::sleep_for(milliseconds(500));
    results.push_back(Summarize(sleeper.Measure()));
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
