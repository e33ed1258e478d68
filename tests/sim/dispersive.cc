// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/dispersive.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "tests/sim/central_host.h"

namespace corral {

using sim::SimThread;
using sim::Step;

namespace {

// Open-loop requests on the simulated machine, drawn as baselines::World draws them.
class Requests {
 public:
  Requests(CentralHost& host, const Dispersive& load)
      : host_(host),
        interval_(load.Interval()),
        random_(sim::Random(load.seed).Fork()),
        service_(
            baselines::Bimodal(Dispersive::kShort, Dispersive::kLong, Dispersive::kLongPermille)) {}

  void Start() {
    for (int i = 0; i < Dispersive::kWorkers; ++i) {
      auto program = std::make_unique<Worker>(*this);
      Worker* const worker = program.get();
      worker->thread = &host_.AddTask(std::move(program));
    }
    // They go to sleep.
    host_.machine().RunFor(std::chrono::milliseconds(2));
    ArriveIn(random_.Exponential(interval_));
  }

  const std::vector<Duration>& responses() const { return responses_; }
  uint64_t unfinished() const { return arrived_ - responses_.size(); }

 private:
  struct Request {
    Time arrived;
    Duration work;
  };
  struct Worker final : sim::Program {
    explicit Worker(Requests& requests) : requests(requests) {}
    Step Next(SimThread&, Time now) override { return requests.Next(*this, now); }

    Requests& requests;
    SimThread* thread = nullptr;
    std::optional<Request> has;
    bool serves = false;
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
  }
  Step Next(Worker& worker, Time now) {
    if (std::exchange(worker.serves, false)) {
      responses_.push_back(now - worker.has->arrived);
      worker.has.reset();
      if (!queue_.empty()) {
        // The next request is a newcomer like any other, as it is for the reference schedulers.
        Take(worker);
        return Step::Yield();
      }
    }
    if (!worker.has.has_value()) {
      free_.push_back(&worker);
      return Step::Block();
    }
    worker.serves = true;
    return Step::Run(worker.has->work);
  }

  CentralHost& host_;
  const Duration interval_;
  sim::Random random_;
  const baselines::Service service_;
  std::deque<Request> queue_;
  std::vector<Worker*> free_;
  std::vector<Duration> responses_;
  uint64_t arrived_ = 0;
};

Duration Percentile(std::vector<Duration>& samples, int per_10000) {
  if (samples.empty()) return Duration(0);
  const size_t rank = (samples.size() * static_cast<size_t>(per_10000) + 9999) / 10000;
  const auto nth = samples.begin() + static_cast<std::ptrdiff_t>(std::max<size_t>(rank, 1) - 1);
  std::nth_element(samples.begin(), nth, samples.end());
  return *nth;
}

}  // namespace

Duration Dispersive::Interval() const {
  const Duration mean = (kShort * (1000 - kLongPermille) + kLong * kLongPermille) / 1000;
  return Duration(static_cast<int64_t>(static_cast<double>(mean.count()) / (kCpus * load)));
}

DispersiveResult RunPolicy(const Dispersive& load, const sim::Costs& costs,
                           const std::string& policy,
                           const std::vector<std::pair<std::string, std::string>>& options) {
  CentralHost host({.policy = policy,
                    .values = options,
                    .cores = Dispersive::kCpus + 1,
                    .foreign = 0,
                    .costs = costs});
  std::vector<SimThread*> batch;
  for (int i = 0; i < load.batch; ++i)
    batch.push_back(&host.AddTask(std::make_unique<Endless>(), /*weight=*/10));
  Requests requests(host, load);
  requests.Start();
  Duration batch_before{0}, work_before{0};
  for (const SimThread* thread : batch) {
    batch_before += host.machine().CpuTime(*thread);
    work_before += thread->work();
  }
  Duration tasks_before{0};
  for (const SimThread* thread : host.tasks()) tasks_before += host.machine().CpuTime(*thread);
  host.machine().RunFor(load.time);
  std::vector<Duration> responses = requests.responses();
  DispersiveResult result = {.done = responses.size(),
                             .unfinished = requests.unfinished(),
                             .p50 = Percentile(responses, 5000),
                             .p99 = Percentile(responses, 9900),
                             .p999 = Percentile(responses, 9990)};
  Duration tasks{0};
  for (const SimThread* thread : host.tasks()) tasks += host.machine().CpuTime(*thread);
  result.idle = Dispersive::kCpus * load.time - (tasks - tasks_before);
  for (const SimThread* thread : batch) {
    result.batch_time += host.machine().CpuTime(*thread);
    result.batch_work += thread->work();
  }
  result.batch_time -= batch_before;
  result.batch_work -= work_before;
  return result;
}

DispersiveResult RunBaseline(const Dispersive& load,
                             std::unique_ptr<baselines::Scheduler> scheduler) {
  baselines::World world({.cores = Dispersive::kCpus, .siblings = 1, .seed = load.seed},
                         std::move(scheduler));
  world.AddRequests(
      world.AddDomain(), Dispersive::kWorkers, load.Interval(),
      baselines::Bimodal(Dispersive::kShort, Dispersive::kLong, Dispersive::kLongPermille));
  world.RunFor(load.time);
  const baselines::Result result = world.GetResult();
  const baselines::Result::Domain& domain = result.domains[0];
  return {.done = domain.response.size(),
          .unfinished = domain.unfinished,
          .p50 = domain.response.Percentile(5000),
          .p99 = domain.response.Percentile(9900),
          .p999 = domain.response.Percentile(9990),
          .idle = result.idle};
}

}  // namespace corral
