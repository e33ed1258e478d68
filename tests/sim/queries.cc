// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/queries.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "tests/sim/central_host.h"

namespace corral {

using sim::SimThread;
using sim::Step;

namespace {

constexpr int kGroups = 4;  // A on each socket, B, C

struct Group {
  const QueryType* type;
  int index;
  int node;
};
std::array<Group, kGroups> Groups() {
  const auto& types = Queries::kTypes;
  return {{{types.data(), 0, 0}, {types.data(), 0, 1}, {&types[1], 1, -1}, {&types[2], 2, -1}}};
}

int WorkersOf(const Group& group) { return group.type->workers / (group.type->bound ? 2 : 1); }

baselines::Service ServiceOf(const QueryType& type) {
  return baselines::Uniform(type.work / 2, type.work * 3 / 2);
}

Duration Percentile(std::vector<Duration>& samples, int percent) {
  if (samples.empty()) return Duration(0);
  const auto nth = samples.begin() + static_cast<std::ptrdiff_t>(
                                         (samples.size() - 1) * static_cast<size_t>(percent) / 100);
  std::nth_element(samples.begin(), nth, samples.end());
  return *nth;
}

// Open-loop queries on the simulated machine, drawn as baselines::World draws them.
class Server {
 public:
  Server(CentralHost& host, const Group& group, Duration interval, uint64_t seed)
      : host_(host),
        disk_(group.type->disk),
        interval_(interval),
        random_(seed),
        service_(ServiceOf(*group.type)) {
    CpuSet there;
    host.cpus().ForEach([&](CpuId cpu) {
      if (cpu.value() / (2 * Queries::kCoresPerNode) == group.node) there.Insert(cpu);
    });
    for (int i = 0; i < WorkersOf(group); ++i) {
      auto program = std::make_unique<Worker>(*this);
      Worker* const worker = program.get();
      worker->thread = &host.AddTask(std::move(program));
      worker->thread->footprint = group.type->footprint;
      if (group.node >= 0) host.SetAffinity(*worker->thread, there);
    }
  }

  void Start() { ArriveIn(random_.Exponential(interval_)); }
  std::vector<Duration>& responses() { return responses_; }
  uint64_t unfinished() const { return arrived_ - responses_.size(); }

 private:
  enum class Stage { kNone, kFirstHalf, kDisk, kRest };
  struct Query {
    Time arrived;
    Duration work;
  };
  struct Worker final : sim::Program {
    explicit Worker(Server& server) : server(server) {}
    Step Next(SimThread&, Time now) override { return server.Next(*this, now); }

    Server& server;
    SimThread* thread = nullptr;
    std::optional<Query> has;
    Stage stage = Stage::kNone;
  };

  void ArriveIn(Duration time) {
    host_.machine().At(host_.machine().now() + time, [this] { Arrive(); });
  }
  void Arrive() {
    ++arrived_;
    queue_.push_back({host_.machine().now(), service_(random_)});
    ArriveIn(random_.Exponential(interval_));
    if (free_.empty()) return;
    Worker& worker = *free_.back();
    free_.pop_back();
    Take(worker);
    host_.machine().Wake(*worker.thread);
  }
  void Take(Worker& worker) {
    worker.has = queue_.front();
    queue_.pop_front();
    worker.stage = disk_ > Duration(0) ? Stage::kFirstHalf : Stage::kRest;
  }
  Step Next(Worker& worker, Time now) {
    if (worker.stage == Stage::kNone && worker.has.has_value()) {
      responses_.push_back(now - worker.has->arrived);
      worker.has.reset();
      if (!queue_.empty()) Take(worker);
    }
    switch (worker.stage) {
      case Stage::kFirstHalf:
        worker.stage = Stage::kDisk;
        return Step::Run(worker.has->work / 2);
      case Stage::kDisk:
        worker.stage = Stage::kRest;
        return Step::Sleep(disk_);
      case Stage::kRest:
        worker.stage = Stage::kNone;
        return Step::Run(disk_ > Duration(0) ? worker.has->work / 2 : worker.has->work);
      case Stage::kNone:
        break;
    }
    free_.push_back(&worker);
    return Step::Block();
  }

  CentralHost& host_;
  const Duration disk_;
  const Duration interval_;
  sim::Random random_;
  const baselines::Service service_;
  std::deque<Query> queue_;
  std::vector<Worker*> free_;
  std::vector<Duration> responses_;
  uint64_t arrived_ = 0;
};

}  // namespace

Duration Queries::Interval(const QueryType& type, const sim::Costs& costs) const {
  const double supply = kCores * 2 * costs.smt_speed / 1000.0;
  const double groups = type.bound ? 2 : 1;
  return Duration(static_cast<int64_t>(static_cast<double>(type.work.count()) * groups /
                                       (supply * load * type.share)));
}

QueryResult RunPolicy(const Queries& load, const sim::Costs& costs,
                      const std::vector<std::pair<std::string, std::string>>& options) {
  CentralHost host({.policy = "search",
                    .values = options,
                    .cores = Queries::kCores,
                    .siblings = 2,
                    .foreign = 0,
                    .cores_per_l3 = Queries::kCoresPerL3,
                    .cores_per_node = Queries::kCoresPerNode,
                    .costs = costs,
                    .tasks = 4096});
  std::vector<std::unique_ptr<Server>> servers;
  sim::Random seeds(load.seed);
  for (const Group& group : Groups()) {
    servers.push_back(
        std::make_unique<Server>(host, group, load.Interval(*group.type, costs), seeds.Next()));
  }
  // They go to sleep.
  host.machine().RunFor(std::chrono::milliseconds(20));
  for (const auto& server : servers) server->Start();
  host.machine().RunFor(load.time);
  EXPECT_EQ(host.agent().counters().repairs, 0u);
  QueryResult result;
  for (size_t type = 0; type < result.types.size(); ++type) {
    std::vector<Duration> all;
    for (size_t g = 0; g < kGroups; ++g) {
      if (static_cast<size_t>(Groups()[g].index) != type) continue;
      all.insert(all.end(), servers[g]->responses().begin(), servers[g]->responses().end());
      result.types[type].unfinished += servers[g]->unfinished();
    }
    result.types[type].done = all.size();
    result.types[type].p50 = Percentile(all, 50);
    result.types[type].p99 = Percentile(all, 99);
  }
  return result;
}

QueryResult RunBaseline(const Queries& load, const sim::Costs& costs,
                        std::unique_ptr<baselines::Scheduler> scheduler) {
  baselines::World world({.cores = Queries::kCores,
                          .siblings = 2,
                          .cores_per_l3 = Queries::kCoresPerL3,
                          .cores_per_node = Queries::kCoresPerNode,
                          .smt_speed = costs.smt_speed,
                          .seed = load.seed},
                         std::move(scheduler));
  std::array<int, 3> domains;
  for (int& domain : domains) domain = world.AddDomain();
  for (const Group& group : Groups()) {
    world.AddRequests(
        domains[group.index], WorkersOf(group), load.Interval(*group.type, costs),
        ServiceOf(*group.type),
        {.disk = group.type->disk, .node = group.node, .footprint = group.type->footprint});
  }
  world.RunFor(load.time);
  const baselines::Result all = world.GetResult();
  QueryResult result;
  for (size_t type = 0; type < result.types.size(); ++type) {
    const baselines::Result::Domain& domain = all.domains[domains[type]];
    result.types[type] = {.done = domain.response.size(),
                          .unfinished = domain.unfinished,
                          .p50 = domain.response.Percentile(5000),
                          .p99 = domain.response.Percentile(9900)};
  }
  return result;
}

}  // namespace corral
