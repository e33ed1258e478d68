// SPDX-License-Identifier: Apache-2.0
// What threads do: run for ever, run and sleep, or serve requests.
#include <algorithm>
#include <utility>

#include "tests/sim/baselines/source.h"
#include "tests/sim/baselines/world.h"

namespace corral::baselines {
namespace {

// A job of no length would end at the time of its beginning, before its CPU's interval is audited.
int64_t InMilliNs(Duration work) { return std::max<int64_t>(work.count(), 1) * 1000; }

}  // namespace

Service Exponential(Duration mean) {
  return [mean](sim::Random& random) { return random.Exponential(mean); };
}

Service Uniform(Duration least, Duration most) {
  return [=](sim::Random& random) { return random.Between(least, most); };
}

Service Bimodal(Duration usual, Duration rare, uint32_t rare_permille) {
  return [=](sim::Random& random) { return random.Chance(rare_permille) ? rare : usual; };
}

int World::AddDomain(int64_t weight) {
  weights_.push_back(weight);
  waiting_in_.push_back(0);
  result_.domains.emplace_back();
  return nr_domains() - 1;
}

Thread& World::NewThread(int domain) {
  Thread& thread = *threads_.emplace_back(std::make_unique<Thread>());
  thread.id = static_cast<int>(threads_.size()) - 1;
  thread.domain = domain;
  thread.weight = weights_[domain];
  thread.random = random_.Fork();
  return thread;
}

void World::AddCpuBound(int domain, int threads) {
  for (int i = 0; i < threads; ++i) Wake(NewThread(domain));
}

void World::AddRunSleep(int domain, int threads, Duration mean_run, Duration mean_sleep) {
  for (int i = 0; i < threads; ++i) {
    Thread& thread = NewThread(domain);
    thread.mean_run = mean_run;
    thread.mean_sleep = mean_sleep;
    thread.remaining = 0;
    BeginRun(thread);
  }
}

void World::AddRequests(int domain, int workers, Duration mean_interval, Service service,
                        const Serving& serving) {
  Source& source = *sources_.emplace_back(std::make_unique<Source>(Source{domain,
                                                                          random_.Fork(),
                                                                          mean_interval,
                                                                          std::move(service),
                                                                          serving.disk,
                                                                          serving.away,
                                                                          {},
                                                                          {}}));
  for (int i = 0; i < workers; ++i) {
    Thread& worker = NewThread(domain);
    worker.source = &source;
    worker.node = serving.node;
    worker.footprint = serving.footprint;
    worker.remaining = 0;
    source.free.push_back(&worker);
  }
  At(now_ + source.random.Exponential(mean_interval), [this, &source] { Arrive(source); });
}

void World::Wake(Thread& thread) {
  thread.woke = now_;
  SetWaiting(thread);
  scheduler_->Ready(thread);
}

// After a sleep.
void World::BeginRun(Thread& thread) {
  At(now_ + thread.random.Exponential(thread.mean_sleep), [this, &thread] {
    thread.remaining = InMilliNs(thread.random.Exponential(thread.mean_run));
    Wake(thread);
  });
}

void World::Arrive(Source& source) {
  // All numbers are drawn at the arrival: they must not depend on who schedules.
  Request request = {.arrived = now_, .work = source.service(source.random), .rest = {}};
  if (source.away > Duration(0)) request.rest = source.service(source.random);
  At(now_ + source.random.Exponential(source.mean_interval), [this, &source] { Arrive(source); });
  ++result_.domains[source.domain].unfinished;
  GetInLine(source, request);
}

void World::GetInLine(Source& source, const Request& request) {
  source.queue.push_back(request);
  if (source.free.empty()) return;
  Thread& worker = *source.free.back();
  source.free.pop_back();
  Serve(worker);
  Wake(worker);
}

void World::Serve(Thread& worker) {
  const Request request = worker.source->queue.front();
  worker.source->queue.pop_front();
  worker.arrived = request.arrived;
  worker.rest = request.rest;
  worker.waits_for_disk = worker.source->disk > Duration(0);
  worker.remaining = InMilliNs(worker.waits_for_disk ? request.work / 2 : request.work);
  worker.half = worker.remaining;
}

// `thread` is through with its job. Whether it has another one now.
bool World::NextJob(Thread& thread) {
  if (thread.source == nullptr) {
    BeginRun(thread);
    return false;
  }
  if (std::exchange(thread.waits_for_disk, false)) {
    thread.remaining = thread.half;
    At(now_ + thread.source->disk, [this, &thread] { Wake(thread); });
    return false;
  }
  if (thread.rest.has_value()) {
    const Request back = {.arrived = thread.arrived, .work = *thread.rest, .rest = {}};
    At(now_ + thread.source->away,
       [this, &source = *thread.source, back] { GetInLine(source, back); });
  } else {
    Result::Domain& domain = result_.domains[thread.domain];
    domain.response.Add(now_ - thread.arrived);
    --domain.unfinished;
  }
  if (thread.source->queue.empty()) {
    thread.source->free.push_back(&thread);
    return false;
  }
  Serve(thread);
  return true;
}

}  // namespace corral::baselines
