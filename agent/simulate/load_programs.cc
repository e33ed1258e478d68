// SPDX-License-Identifier: Apache-2.0
#include "agent/simulate/load_programs.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace corral {

using sim::Program;
using sim::Random;
using sim::SimThread;
using sim::Step;

Percentiles Percentiles::Of(std::vector<Duration> samples) {
  Percentiles result;
  result.count = samples.size();
  if (samples.empty()) return result;
  std::sort(samples.begin(), samples.end());
  const auto at = [&](uint64_t permille) {
    return samples[std::min<size_t>(samples.size() * permille / 1000, samples.size() - 1)];
  };
  result.p50 = at(500);
  result.p99 = at(990);
  result.p999 = at(999);
  result.max = samples.back();
  return result;
}

namespace {

class Spin final : public Program {
 public:
  Step Next(SimThread&, Time) override { return Step::RunForever(); }
};

class Mix final : public Program {
 public:
  Mix(Duration run, Duration sleep, Random random) : run_(run), sleep_(sleep), random_(random) {}
  Step Next(SimThread&, Time) override {
    runs_ = !runs_;
    return runs_ ? Step::Run(random_.Exponential(run_)) : Step::Sleep(random_.Exponential(sleep_));
  }

 private:
  const Duration run_;
  const Duration sleep_;
  Random random_;
  bool runs_ = false;
};

}  // namespace

std::unique_ptr<Program> SpinProgram() { return std::make_unique<Spin>(); }

std::unique_ptr<Program> MixProgram(Duration run, Duration sleep, Random random) {
  return std::make_unique<Mix>(run, sleep, random);
}

// ---- a lock ----

class SpinLock::UserProgram final : public Program {
 public:
  UserProgram(SpinLock& lock, Duration compute, Duration hold, Random random)
      : lock_(lock), compute_(compute), hold_(hold), random_(random) {}
  Step Next(SimThread& self, Time now) override {
    if (lock_.holder_ == &self && wants_) {
      wants_ = false;
      lock_.waits_.push_back(now - since_);
      return Step::Run(random_.Exponential(hold_));
    }
    if (lock_.holder_ == &self) lock_.Release();
    if (wants_) return Step::RunForever();
    if (!computed_) {
      computed_ = true;
      return Step::Run(random_.Exponential(compute_));
    }
    computed_ = false;
    wants_ = true;
    since_ = now;
    if (lock_.holder_ == nullptr) {
      lock_.holder_ = &self;
      return Next(self, now);
    }
    lock_.spinning_.push_back(&self);
    return Step::RunForever();
  }

 private:
  SpinLock& lock_;
  const Duration compute_;
  const Duration hold_;
  Random random_;
  bool computed_ = false;
  bool wants_ = false;
  Time since_{};
};

std::unique_ptr<Program> SpinLock::User(Duration compute, Duration hold, Random random) {
  return std::make_unique<UserProgram>(*this, compute, hold, random);
}

void SpinLock::Release() {
  holder_ = nullptr;
  if (spinning_.empty()) return;
  holder_ = spinning_.front();
  spinning_.pop_front();
  machine_.Interrupt(*holder_);
}

// ---- a relay ----

class Relay::RunnerProgram final : public Program {
 public:
  explicit RunnerProgram(Relay& relay) : relay_(relay) {}
  Step Next(SimThread& self, Time now) override {
    if (relay_.runners_[relay_.turn_] != &self) return Step::Block();
    if (!works_) {
      works_ = true;
      return Step::Run(relay_.random_.Exponential(relay_.work_));
    }
    works_ = false;
    relay_.PassOn(now);
    return relay_.runners_[relay_.turn_] == &self ? Next(self, now) : Step::Block();
  }

 private:
  Relay& relay_;
  bool works_ = false;
};

std::unique_ptr<Program> Relay::Runner() { return std::make_unique<RunnerProgram>(*this); }

void Relay::PassOn(Time now) {
  turns_.push_back(now - turn_since_);
  turn_since_ = now;
  turn_ = (turn_ + 1) % runners_.size();
  machine_.Wake(*runners_[turn_]);
}

// ---- requests ----

class RequestQueue::ServerProgram final : public Program {
 public:
  explicit ServerProgram(RequestQueue& queue) : queue_(queue) {}
  Step Next(SimThread& self, Time now) override {
    if (serving_) queue_.latencies_.push_back(now - serving_->arrived);
    serving_.reset();
    if (queue_.waiting_.empty()) {
      queue_.idle_.push_back(&self);
      return Step::Block();
    }
    std::erase(queue_.idle_, &self);
    serving_ = queue_.waiting_.front();
    queue_.waiting_.pop_front();
    return Step::Run(serving_->service);
  }

 private:
  RequestQueue& queue_;
  std::optional<Request> serving_;
};

std::unique_ptr<Program> RequestQueue::Server() { return std::make_unique<ServerProgram>(*this); }

void RequestQueue::Start() {
  machine_.At(machine_.now() + random_.Exponential(every_), [this] { Arrive(); });
}

// The server that slept last is the warmest.
void RequestQueue::Arrive() {
  waiting_.push_back({.arrived = machine_.now(), .service = random_.Exponential(service_)});
  if (!idle_.empty()) {
    SimThread* const server = idle_.back();
    idle_.pop_back();
    machine_.Wake(*server);
  }
  Start();
}

}  // namespace corral
