// SPDX-License-Identifier: Apache-2.0
#include "agent/simulate/load_programs.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "agent/simulate/pause_loops.h"

namespace corral {

using sim::Machine;
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

// Most are simply let go.
void DomainLoad::Start(const std::vector<SimThread*>& vcpus) {
  for (SimThread* vcpu : vcpus) machine_.Wake(*vcpu);
}

namespace {

// ---- computing, and sleeping between it ----

class SpinLoad final : public DomainLoad {
 public:
  using DomainLoad::DomainLoad;
  std::unique_ptr<sim::Program> Program() override { return std::make_unique<Spin>(); }

 private:
  class Spin final : public sim::Program {
   public:
    Step Next(SimThread&, Time) override { return Step::RunForever(); }
  };
};

class MixLoad final : public DomainLoad {
 public:
  MixLoad(Machine& machine, Duration run, Duration sleep, Random& random)
      : DomainLoad(machine), run_(run), sleep_(sleep), random_(random) {}
  std::unique_ptr<sim::Program> Program() override {
    return std::make_unique<Mix>(run_, sleep_, random_.Fork());
  }

 private:
  class Mix final : public sim::Program {
   public:
    Mix(Duration run, Duration sleep, Random random) : run_(run), sleep_(sleep), random_(random) {}
    Step Next(SimThread&, Time) override {
      runs_ = !runs_;
      return runs_ ? Step::Run(random_.Exponential(run_))
                   : Step::Sleep(random_.Exponential(sleep_));
    }

   private:
    const Duration run_;
    const Duration sleep_;
    Random random_;
    bool runs_ = false;
  };

  const Duration run_;
  const Duration sleep_;
  Random& random_;
};

// ---- a spin lock ----

// Whoever wants it computes on until it is free, also while its holder has no CPU (that is what
// co-running a domain's vCPUs is for), unless KVM yields for him. First come, first served.
class LockLoad final : public DomainLoad {
 public:
  LockLoad(Machine& machine, const ScenarioLoad& load, Random& random)
      : DomainLoad(machine),
        compute_(load.run),
        hold_(load.hold),
        exits_(load.directed_yield),
        random_(random),
        loops_(machine) {}
  std::unique_ptr<sim::Program> Program() override {
    return std::make_unique<User>(*this, users_++, random_.Fork());
  }
  void Start(const std::vector<SimThread*>& vcpus) override {
    loops_.Start(vcpus);
    DomainLoad::Start(vcpus);
  }

 private:
  class User final : public sim::Program {
   public:
    User(LockLoad& lock, size_t index, Random random)
        : lock_(lock), index_(index), random_(random) {}
    Step Next(SimThread& self, Time now) override {
      if (lock_.holder_ == &self && wants_) {
        wants_ = spins_ = false;
        lock_.samples_.push_back(now - since_);
        lock_.loops_.InKernel(index_);
        return Step::Run(random_.Exponential(lock_.hold_));
      }
      if (lock_.holder_ == &self) lock_.Release();
      if (wants_) return Spin();
      if (!computed_) {
        computed_ = true;
        lock_.loops_.Compute(index_);
        return Step::Run(random_.Exponential(lock_.compute_));
      }
      computed_ = false;
      wants_ = true;
      since_ = now;
      if (lock_.holder_ == nullptr) {
        lock_.holder_ = &self;
        return Next(self, now);
      }
      lock_.spinning_.push_back(&self);
      return Spin();
    }

   private:
    Step Spin() {
      if (!lock_.exits_) return Step::RunForever();
      spins_ = !spins_;
      return spins_ ? lock_.loops_.Spin(index_) : lock_.loops_.Exit(index_);
    }

    LockLoad& lock_;
    const size_t index_;
    Random random_;
    bool computed_ = false;
    bool wants_ = false;
    bool spins_ = false;  // until the hardware ends that
    Time since_{};
  };

  void Release() {
    holder_ = nullptr;
    if (spinning_.empty()) return;
    holder_ = spinning_.front();
    spinning_.pop_front();
    machine_.Interrupt(*holder_);
  }

  const Duration compute_;
  const Duration hold_;
  const bool exits_;
  Random& random_;
  PauseLoops loops_;
  size_t users_ = 0;
  SimThread* holder_ = nullptr;
  std::deque<SimThread*> spinning_;
};

// ---- a relay ----

// The vCPUs work one after the other: each computes, wakes the next one and blocks until its turn
// comes again. The first one has the first turn.
class RelayLoad final : public DomainLoad {
 public:
  RelayLoad(Machine& machine, Duration work, Random random)
      : DomainLoad(machine), work_(work), random_(random) {}
  std::unique_ptr<sim::Program> Program() override { return std::make_unique<Runner>(*this); }
  void Start(const std::vector<SimThread*>& vcpus) override {
    runners_ = vcpus;
    DomainLoad::Start(vcpus);
  }

 private:
  class Runner final : public sim::Program {
   public:
    explicit Runner(RelayLoad& relay) : relay_(relay) {}
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
    RelayLoad& relay_;
    bool works_ = false;
  };

  void PassOn(Time now) {
    samples_.push_back(now - turn_since_);
    turn_since_ = now;
    turn_ = (turn_ + 1) % runners_.size();
    machine_.Wake(*runners_[turn_]);
  }

  const Duration work_;
  Random random_;
  std::vector<SimThread*> runners_;
  size_t turn_ = 0;
  Time turn_since_{};
};

// ---- requests ----

// In order of arrival.
class RequestLoad final : public DomainLoad {
 public:
  RequestLoad(Machine& machine, Duration every, Duration service, Random random)
      : DomainLoad(machine), every_(every), service_(service), random_(random) {}
  std::unique_ptr<sim::Program> Program() override { return std::make_unique<Server>(*this); }
  void Start(const std::vector<SimThread*>& vcpus) override {
    idle_ = vcpus;
    ArriveLater();
  }

 private:
  struct Request {
    Time arrived;
    Duration service;
  };
  class Server final : public sim::Program {
   public:
    explicit Server(RequestLoad& load) : load_(load) {}
    Step Next(SimThread& self, Time now) override {
      if (serving_) load_.samples_.push_back(now - serving_->arrived);
      serving_.reset();
      if (load_.waiting_.empty()) {
        load_.idle_.push_back(&self);
        return Step::Block();
      }
      std::erase(load_.idle_, &self);
      serving_ = load_.waiting_.front();
      load_.waiting_.pop_front();
      return Step::Run(serving_->service);
    }

   private:
    RequestLoad& load_;
    std::optional<Request> serving_;
  };

  void ArriveLater() {
    machine_.At(machine_.now() + random_.Exponential(every_), [this] { Arrive(); });
  }
  // The server that slept last is the warmest.
  void Arrive() {
    waiting_.push_back({.arrived = machine_.now(), .service = random_.Exponential(service_)});
    if (!idle_.empty()) {
      SimThread* const server = idle_.back();
      idle_.pop_back();
      machine_.Wake(*server);
    }
    ArriveLater();
  }

  const Duration every_;
  const Duration service_;
  Random random_;
  std::deque<Request> waiting_;
  std::vector<SimThread*> idle_;  // servers that sleep, the last one to sleep at the end
};

}  // namespace

std::unique_ptr<DomainLoad> MakeLoad(const ScenarioLoad& load, Machine& machine, Random& random) {
  switch (load.kind) {
    case ScenarioLoad::Kind::kSpin:
      break;
    case ScenarioLoad::Kind::kMix:
      return std::make_unique<MixLoad>(machine, load.run, load.sleep, random);
    case ScenarioLoad::Kind::kRequests:
      return std::make_unique<RequestLoad>(machine, load.every, load.service, random.Fork());
    case ScenarioLoad::Kind::kLock:
      return std::make_unique<LockLoad>(machine, load, random);
    case ScenarioLoad::Kind::kRelay:
      return std::make_unique<RelayLoad>(machine, load.run, random.Fork());
  }
  return std::make_unique<SpinLoad>(machine);
}

}  // namespace corral
