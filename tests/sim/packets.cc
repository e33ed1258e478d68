// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/packets.h"

#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <utility>

#include "tests/sim/central_host.h"

namespace corral {

using sim::SimThread;
using sim::Step;

namespace {

constexpr uint32_t kWorkerWeight = 100;
constexpr uint32_t kBatchWeight = 10;

baselines::Service ServiceOf(const MessageSize& size) {
  return baselines::Uniform(size.work / 2, size.work * 3 / 2);
}

// A client's messages and its worker on the simulated machine, drawn as baselines::World draws
// them.
class Client {
 public:
  Client(CentralHost& host, const MessageSize& size, sim::Random random)
      : host_(host), size_(size), random_(random), service_(ServiceOf(size)) {
    worker_ = &host.AddTask(std::make_unique<Worker>(*this), kWorkerWeight);
  }

  void Start() { SendIn(random_.Exponential(size_.interval)); }
  void AddTo(PacketsResult::Size& result) const {
    for (const Duration round_trip : round_trips_) result.round_trips.Add(round_trip);
    result.unfinished += sent_ - round_trips_.size();
  }

 private:
  struct Message {
    Time sent;
    Duration work;
    std::optional<Duration> rest;  // to do when the answer has come
  };
  struct Worker final : sim::Program {
    explicit Worker(Client& client) : client(client) {}
    Step Next(SimThread&, Time now) override { return client.Next(now); }
    Client& client;
  };

  void SendIn(Duration time) {
    host_.machine().At(host_.machine().now() + time, [this] { Send(); });
  }
  void Send() {
    ++sent_;
    Message message = {.sent = host_.machine().now(), .work = service_(random_), .rest = {}};
    message.rest = service_(random_);
    SendIn(random_.Exponential(size_.interval));
    GetInLine(message);
  }
  void GetInLine(const Message& message) {
    queue_.push_back(message);
    if (std::exchange(sleeps_, false)) host_.machine().Wake(*worker_);
  }
  Step Next(Time now) {
    if (present_.has_value()) Done(*std::exchange(present_, std::nullopt), now);
    if (queue_.empty()) {
      sleeps_ = true;
      return Step::Block();
    }
    present_ = queue_.front();
    queue_.pop_front();
    return Step::Run(present_->work);
  }
  void Done(const Message& message, Time now) {
    if (!message.rest.has_value()) return round_trips_.push_back(now - message.sent);
    const Message answer = {.sent = message.sent, .work = *message.rest, .rest = {}};
    host_.machine().At(now + size_.away, [this, answer] { GetInLine(answer); });
  }

  CentralHost& host_;
  const MessageSize size_;
  sim::Random random_;
  const baselines::Service service_;
  SimThread* worker_;
  bool sleeps_ = false;
  std::deque<Message> queue_;
  std::optional<Message> present_;
  std::vector<Duration> round_trips_;
  uint64_t sent_ = 0;
};

}  // namespace

PacketsResult RunPolicy(const Packets& load, const sim::Costs& costs) {
  CentralHost host({.policy = "snap", .cores = Packets::kCpus, .foreign = 0, .costs = costs});
  std::vector<SimThread*> batch;
  for (int i = 0; i < load.antagonists; ++i)
    batch.push_back(&host.AddTask(std::make_unique<Endless>(), kBatchWeight));
  sim::Random random(load.seed);
  std::vector<std::pair<size_t, std::unique_ptr<Client>>> clients;
  for (size_t size = 0; size < Packets::kSizes.size(); ++size) {
    for (int i = 0; i < Packets::kClients; ++i) {
      clients.emplace_back(size,
                           std::make_unique<Client>(host, Packets::kSizes[size], random.Fork()));
      random.Fork();  // as the world has one for the worker
    }
  }
  // The workers go to sleep.
  host.machine().RunFor(std::chrono::milliseconds(20));
  PacketsResult result;
  for (const SimThread* thread : batch) result.batch_time -= host.machine().CpuTime(*thread);
  for (const auto& [size, client] : clients) client->Start();
  host.machine().RunFor(load.time);
  for (const SimThread* thread : batch) result.batch_time += host.machine().CpuTime(*thread);
  for (const auto& [size, client] : clients) client->AddTo(result.sizes[size]);
  EXPECT_EQ(host.agent().counters().repairs, 0u);
  return result;
}

PacketsResult RunBaseline(const Packets& load, std::unique_ptr<baselines::Scheduler> scheduler) {
  baselines::World world({.cores = Packets::kCpus, .siblings = 1, .seed = load.seed},
                         std::move(scheduler));
  std::array<int, 2> domains;
  for (size_t i = 0; i < Packets::kSizes.size(); ++i) {
    const MessageSize& size = Packets::kSizes[i];
    domains[i] = world.AddDomain(kWorkerWeight);
    for (int client = 0; client < Packets::kClients; ++client)
      world.AddRequests(domains[i], 1, size.interval, ServiceOf(size), {.away = size.away});
  }
  const int batch = world.AddDomain(kBatchWeight);
  world.AddCpuBound(batch, load.antagonists);
  world.RunFor(load.time);
  const baselines::Result all = world.GetResult();
  PacketsResult result = {.batch_time = all.domains[batch].cpu_time};
  for (size_t i = 0; i < domains.size(); ++i) {
    result.sizes[i] = {.round_trips = all.domains[domains[i]].response,
                       .unfinished = all.domains[domains[i]].unfinished};
  }
  return result;
}

}  // namespace corral
