// SPDX-License-Identifier: Apache-2.0
// How long short requests to RocksDB take beside few long ones (SOSP'21 section 4.2), under the
// default scheduler, shinjuku, and first in, first out without preemption: the same requests for
// each, in turns, in one run, and the default scheduler twice in each round (A/A).
//
// As in the paper, the workers have as many CPUs under each, of whose capacity the load is a part,
// measured under the default scheduler; Corral's agent has one more for itself, and the client
// another one. The agent's CPU is busy under the default scheduler as well, because CPUs of the
// test host may be siblings of one core in the machine that emulates it, and slow each other down.
// Where that CPU comes from is a question of its own: `default_all` is the default scheduler with
// all of the CPUs for the workers, and the same requests, which are a smaller load then.
//
// Root; loads the class, so it is for the test host, whose clocks must be dilated (tests/host/run):
// then a decision takes about as long as on a real machine, and the schedulers' slices, the default
// one's and ours, are what they are there.
#include <err.h>
#include <sched.h>
#include <sys/prctl.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "kernel/bpf/threads_by_policy.h"
#include "kernel/cpu_mask.h"
#include "tests/bench/corral_in_charge.h"
#include "tests/bench/rocksdb/client.h"
#include "tests/bench/rocksdb/latency.h"
#include "tests/bench/rocksdb/server_process.h"

namespace corral::bench {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Json = nlohmann::ordered_json;
using DoubleSeconds = std::chrono::duration<double>;

constexpr Duration kWarmUp = milliseconds(10);  // not counted
constexpr Duration kSettle = milliseconds(5);
constexpr Duration kPatience = seconds(2);
constexpr int kLongPermille = 5;
// To measure what a key costs, and what the CPUs can do.
constexpr uint32_t kGets = 1000;
constexpr uint32_t kScanned = 20'000;
constexpr int kSaturating = 2000;  // requests
constexpr int kAtOncePerCpu = 4;

struct Plan {
  std::string server = CORRAL_ROCKSDB_SERVER;
  std::string agent = CORRAL_AGENT_PROGRAM;
  std::string cpus = "1-2";  // the enclave: the workers', and one for the agent
  int client_cpu = 0;
  int workers = 200;
  double load = 0.7;
  int short_us = 10;
  int long_us = 2000;
  int rounds = 3;
  int round_ms = 90;
  std::string slice = "30us";
};

struct Scheduler {
  const char* name;
  CpuSet cpus;
  const char* policy = nullptr;  // Corral's; nullptr: the default scheduler
  std::string options = "{}";
};

// Which nobody else uses, and who comes has to share.
class BusyCpu {
 public:
  explicit BusyCpu(CpuId cpu)
      : thread_([this, mask = MaskOf({cpu.value()})] {
          sched_setaffinity(0, sizeof(mask), &mask);
          while (!stop_.load(std::memory_order_relaxed)) {
          }
        }) {}
  ~BusyCpu() {
    stop_ = true;
    thread_.join();
  }
  BusyCpu(const BusyCpu&) = delete;

 private:
  std::atomic<bool> stop_ = false;
  std::thread thread_;  // last: it uses the other
};

CpuSet AllButOne(const CpuSet& cpus) { return cpus - CpuSet({cpus.First().value()}); }

Duration CpuTimeOf(pid_t process) {
  clockid_t clock;
  timespec used = {};
  if (clock_getcpuclockid(process, &clock) == 0) clock_gettime(clock, &used);
  return seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

class Bench {
 public:
  static absl::StatusOr<Json> Run(const Plan& plan) {
    const absl::StatusOr<CpuSet> cpus = CpuSet::Parse(plan.cpus);
    if (!cpus.ok()) return cpus.status();
    if (cpus->size() < 2)
      return absl::InvalidArgumentError("the agent needs a CPU, and the workers another one");
    absl::StatusOr<std::unique_ptr<ServerProcess>> server =
        ServerProcess::Start(plan.server, plan.workers, *cpus);
    if (!server.ok()) return server.status();
    return Bench(plan, *cpus, **server).Run();
  }

 private:
  Bench(const Plan& plan, const CpuSet& cpus, ServerProcess& server)
      : plan_(plan),
        workers_cpus_(AllButOne(cpus)),
        agents_cpu_(cpus.First()),
        server_(server),
        client_(server.mailboxes(), server.workers(), {}),
        schedulers_{
            {"default", workers_cpus_},
            {"shinjuku", cpus, "shinjuku", absl::StrCat("{\"slice\":\"", plan.slice, "\"}")},
            {"default_again", workers_cpus_},
            {"pool", cpus, "fifo_centralized", "{\"slice\":\"10s\"}"},
            {"default_all", cpus}} {}

  absl::StatusOr<Json> Run();
  void Calibrate();
  absl::StatusOr<double> RequestsPerSecond();
  absl::StatusOr<Json> Round(int number, double rate);
  absl::StatusOr<Json> PlayUnder(const Scheduler& scheduler, const std::vector<Arrival>& arrivals);
  absl::StatusOr<std::unique_ptr<CorralInCharge>> PutInCharge(const Scheduler& scheduler);
  absl::Status CheckPolicies(int expected) const;
  Json Compare(const std::map<std::string, double>& p99_us) const;

  const Plan& plan_;
  const CpuSet workers_cpus_;
  const CpuId agents_cpu_;  // or whoever is there instead of an agent
  ServerProcess& server_;
  Client client_;
  const std::vector<Scheduler> schedulers_;
  std::map<std::string, std::vector<Response>> all_;  // by scheduler, what counts
  Json json_;
};

absl::StatusOr<Json> Bench::Run() {
  Calibrate();
  const absl::StatusOr<double> capacity = RequestsPerSecond();
  if (!capacity.ok()) return capacity.status();
  json_["slice"] = plan_.slice;
  json_["workers"] = plan_.workers;
  json_["cpus"] = plan_.cpus;
  json_["workers_cpus"] = workers_cpus_.Format();
  json_["capacity_per_s"] = *capacity;
  json_["load"] = plan_.load;
  json_["rate_per_s"] = *capacity * plan_.load;
  for (int i = 0; i < plan_.rounds; ++i) {
    absl::StatusOr<Json> round = Round(i, *capacity * plan_.load);
    if (!round.ok()) return round.status();
    json_["rounds"].push_back(*std::move(round));
  }
  std::map<std::string, double> p99_us;
  for (const auto& [name, responses] : all_) {
    json_["all"][name] = Summarize(responses);
    p99_us[name] = ShortP99(responses);
  }
  json_["all"]["compared"] = Compare(p99_us);
  return json_;
}

void Bench::Calibrate() {
  const double get_us = Us(client_.Alone(Request::Kind::kGet, kGets)) / kGets;
  const double key_us = Us(client_.Alone(Request::Kind::kScan, kScanned)) / kScanned;
  const Sizes sizes = {.get = static_cast<uint32_t>(std::max(1.0, plan_.short_us / get_us)),
                       .scan = static_cast<uint32_t>(std::max(1.0, plan_.long_us / key_us))};
  client_.set_sizes(sizes);
  json_["short"] = {{"gets", sizes.get},
                    {"alone_us", Us(client_.Alone(Request::Kind::kGet, sizes.get))}};
  json_["long"] = {{"keys", sizes.scan},
                   {"alone_us", Us(client_.Alone(Request::Kind::kScan, sizes.scan))}};
}

// On the workers' CPUs, under the default scheduler.
absl::StatusOr<double> Bench::RequestsPerSecond() {
  if (absl::Status s = server_.Bind(workers_cpus_); !s.ok()) return s;
  const BusyCpu busy(agents_cpu_);
  const std::vector<Arrival> arrivals =
      DrawArrivals(kSaturating, kSaturating * kLongPermille / 1000, seconds(1), /*seed=*/0);
  const int at_once = kAtOncePerCpu * static_cast<int>(workers_cpus_.size());
  return kSaturating / DoubleSeconds(client_.Saturate(arrivals, at_once)).count();
}

absl::StatusOr<Json> Bench::Round(int number, double rate) {
  const Duration time = kWarmUp + milliseconds(plan_.round_ms);
  const int requests = static_cast<int>(rate * DoubleSeconds(time).count());
  const std::vector<Arrival> arrivals = DrawArrivals(requests, requests * kLongPermille / 1000,
                                                     time, static_cast<uint32_t>(number + 1));
  Json json;
  std::map<std::string, double> p99_us;
  for (const Scheduler& scheduler : schedulers_) {
    absl::StatusOr<Json> result = PlayUnder(scheduler, arrivals);
    if (!result.ok()) return result.status();
    p99_us[scheduler.name] = (*result)["short"]["p99_us"];
    std::cerr << absl::StreamFormat("round %d, %s: p50 %.0f us, p99 %.0f us", number + 1,
                                    scheduler.name, (*result)["short"]["p50_us"].get<double>(),
                                    p99_us[scheduler.name])
              << std::endl;
    json[scheduler.name] = *std::move(result);
  }
  json["compared"] = Compare(p99_us);
  return json;
}

absl::StatusOr<Json> Bench::PlayUnder(const Scheduler& scheduler,
                                      const std::vector<Arrival>& arrivals) {
  if (absl::Status s = server_.Bind(scheduler.cpus); !s.ok()) return s;
  absl::StatusOr<std::unique_ptr<CorralInCharge>> corral = PutInCharge(scheduler);
  if (!corral.ok()) return corral.status();
  if (absl::Status s = CheckPolicies(*corral ? kSchedExtPolicy : SCHED_OTHER); !s.ok()) return s;
  std::optional<BusyCpu> busy;
  if (scheduler.cpus == workers_cpus_) busy.emplace(agents_cpu_);
  std::this_thread::sleep_for(kSettle);
  const Duration before = CpuTimeOf(server_.pid());
  std::vector<Response> responses = client_.Play(arrivals, kPatience);
  const DoubleSeconds used = CpuTimeOf(server_.pid()) - before;
  if (std::any_of(responses.begin(), responses.end(), [](const Response& r) { return !r.done; })) {
    return absl::DeadlineExceededError(absl::StrCat("under ", scheduler.name,
                                                    " requests are not answered within ",
                                                    kPatience / seconds(1), " s after the last"));
  }
  std::erase_if(responses, [](const Response& r) { return r.at < kWarmUp; });
  Json json = Summarize(responses);
  json["cpus_used"] = used.count() / DoubleSeconds(arrivals.back().at).count();
  std::vector<Response>& all = all_[scheduler.name];
  all.insert(all.end(), responses.begin(), responses.end());
  if (*corral == nullptr) return json;
  json["decisions"] = (*corral)->Sum(&ghost_core_state::commits);
  json["rescues"] = (*corral)->Sum(&ghost_core_state::rescues);
  json["latch_failures"] = (*corral)->Sum(&ghost_core_state::latch_failures);
  json["switches_without_agent"] = (*corral)->Sum(&ghost_core_state::switches_class);
  return json;
}

// Nobody, for the default scheduler.
absl::StatusOr<std::unique_ptr<CorralInCharge>> Bench::PutInCharge(const Scheduler& scheduler) {
  if (scheduler.policy == nullptr) return nullptr;
  absl::StatusOr<std::unique_ptr<CorralInCharge>> corral =
      CorralInCharge::Make({.agent = plan_.agent,
                            .policy = scheduler.policy,
                            .options = scheduler.options,
                            .cpus = scheduler.cpus});
  if (!corral.ok()) return corral;
  if (absl::Status s = (*corral)->Attach(server_.pid(), server_.Threads()); !s.ok()) return s;
  return corral;
}

absl::Status Bench::CheckPolicies(int expected) const {
  for (const pid_t tid : server_.Threads()) {
    if (const int policy = PolicyOf(tid); policy != expected) {
      return absl::FailedPreconditionError(
          absl::StrCat("thread ", tid, " of the server has scheduling policy ", policy, ", not ",
                       expected, "; nobody else may attach or release threads meanwhile"));
    }
  }
  return absl::OkStatus();
}

// As parts of what the default scheduler needs; `noise` is what that differs from itself.
Json Bench::Compare(const std::map<std::string, double>& p99_us) const {
  const double base = (p99_us.at("default") + p99_us.at("default_again")) / 2;
  return {{"default_p99_us", base},
          {"noise", std::abs(p99_us.at("default") - p99_us.at("default_again")) / base},
          {"shinjuku", p99_us.at("shinjuku") / base},
          {"pool", p99_us.at("pool") / base},
          {"default_all", p99_us.at("default_all") / base}};
}

}  // namespace
}  // namespace corral::bench

int main(int argc, char** argv) try {
  corral::bench::Plan plan;
  std::string file;
  CLI::App app("p99 of short requests to RocksDB beside long ones, by scheduler");
  app.add_option("--json", file, "write the figures there, too");
  app.add_option("--server", plan.server)->capture_default_str();
  app.add_option("--agent", plan.agent, "corral-agent")->capture_default_str();
  app.add_option("--cpus", plan.cpus, "of the enclave, whole cores, at least two")
      ->capture_default_str();
  app.add_option("--client-cpu", plan.client_cpu)->capture_default_str();
  app.add_option("--workers", plan.workers)->capture_default_str();
  app.add_option("--load", plan.load, "of the workers' CPUs")->capture_default_str();
  app.add_option("--short", plan.short_us, "us")->capture_default_str();
  app.add_option("--long", plan.long_us, "us")->capture_default_str();
  app.add_option("--rounds", plan.rounds)->capture_default_str();
  app.add_option("--milliseconds", plan.round_ms, "that count in a round")->capture_default_str();
  app.add_option("--slice", plan.slice, "shinjuku's")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const cpu_set_t mine = corral::MaskOf({plan.client_cpu});
  if (sched_setaffinity(0, sizeof(mine), &mine) != 0)
    err(1, "the client cannot be bound to CPU %d", plan.client_cpu);
  prctl(PR_SET_TIMERSLACK, 1);
  const absl::StatusOr<nlohmann::ordered_json> json = corral::bench::Bench::Run(plan);
  if (!json.ok()) {
    std::cerr << json.status() << "\n";
    return 1;
  }
  std::cout << json->dump(2) << "\n";
  if (!file.empty()) std::ofstream(file) << json->dump(2) << "\n";
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
