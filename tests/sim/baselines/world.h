// SPDX-License-Identifier: Apache-2.0
// The machine of the reference schedulers: CPUs, threads of domains with a load, and a clock that
// only events move. The scheduler decides who is on a CPU; the world makes work progress, measures,
// and audits every interval between two events.
//
// Siblings that are busy at once work at Costs::smt_speed each. Loads draw their numbers from seeds
// of their own, in the order of the Add calls: every scheduler meets the same arrivals and the same
// work.
//
// Units: ns; work inside is counted in 1/1000 ns, so that nothing is rounded away. Deterministic by
// seed. Not thread-safe.
#ifndef CORRAL_TESTS_SIM_BASELINES_WORLD_H_
#define CORRAL_TESTS_SIM_BASELINES_WORLD_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "kernel/sim/costs.h"
#include "kernel/sim/event_queue.h"
#include "kernel/sim/random.h"
#include "kernel/types.h"
#include "tests/sim/baselines/result.h"

namespace corral::baselines {

class World;
struct Request;
struct Source;

// For schedulers to read.
struct Thread {
  enum class State : uint8_t { kAsleep, kWaiting, kRunning };
  int id = 0;
  int domain = 0;
  int64_t weight = 1;
  State state = State::kAsleep;
  int cpu = -1;  // where it runs or ran last

  // The world's own.
  static constexpr int64_t kEndless = INT64_MAX;
  int64_t remaining = kEndless;  // in 1/1000 ns
  int64_t work = 0;              // the same unit
  Duration cpu_time{};
  std::optional<Time> woke;  // until it runs
  sim::Random random{0};
  Duration mean_run{};  // 0: CPU-bound, or a worker
  Duration mean_sleep{};
  int node = -1;                 // the only one whose CPUs it may use; -1: all of them
  int footprint = 1;             // see sim::SimThread
  Source* source = nullptr;      // of a worker's requests
  bool waits_for_disk = false;   // when it is through with its first half
  int64_t half = 0;              // and what it will have to do then
  Time arrived{};                // the present one
  std::optional<Duration> rest;  // of it, when it will have been away
};

// Who decides. Called by the world, at whose Put and Clear it acts.
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  // Once, before anything else.
  virtual void Attach(World& world) { world_ = &world; }
  // `thread` woke, or is new.
  virtual void Ready(Thread& thread) = 0;
  // `thread` went to sleep on `cpu`, which has nobody now.
  virtual void Blocked(int cpu, Thread& thread) = 0;
  // A worker took its next request without a sleep, and goes on unless it is taken off.
  virtual void JobDone(int /*cpu*/, Thread& /*thread*/) {}

 protected:
  World& world() const { return *world_; }

 private:
  World* world_ = nullptr;
};

// How long a request takes.
using Service = std::function<Duration(sim::Random&)>;
Service Exponential(Duration mean);
Service Uniform(Duration least, Duration most);
Service Bimodal(Duration usual, Duration rare, uint32_t rare_permille);

class World {
 public:
  struct Spec {
    int cores = 1;
    int siblings = 2;        // CPU n is on core n / siblings
    int cores_per_l3 = 0;    // 0: they share one
    int cores_per_node = 0;  // 0: there is one
    int smt_speed = sim::Costs().smt_speed;
    uint64_t seed = 1;
  };
  World(const Spec& spec, std::unique_ptr<Scheduler> scheduler);
  ~World();

  // ---- loads ----
  int AddDomain(int64_t weight = 1);
  void AddCpuBound(int domain, int threads);
  // Both times are exponentially distributed.
  void AddRunSleep(int domain, int threads, Duration mean_run, Duration mean_sleep);
  // Poisson arrivals, which do not wait for answers. A request waits for a free worker, and then
  // the worker for a CPU.
  struct Serving {
    Duration disk{0};  // after half of the work the worker sleeps for so long
    // After the work a request is gone for so long, while its worker goes on with others. Then it
    // is in line again, for as much work as another draw of the service says.
    Duration away{0};
    int node = -1;      // on which the workers are
    int footprint = 1;  // of the workers
  };
  void AddRequests(int domain, int workers, Duration mean_interval, Service service,
                   const Serving& serving);
  void AddRequests(int domain, int workers, Duration mean_interval, Service service) {
    AddRequests(domain, workers, mean_interval, std::move(service), Serving());
  }

  void RunFor(Duration time);
  Result GetResult();

  // ---- for schedulers ----
  Time now() const { return now_; }
  void At(Time when, sim::EventQueue::Action action);
  int nr_cpus() const { return static_cast<int>(cpus_.size()); }
  int nr_cores() const { return spec_.cores; }
  int siblings() const { return spec_.siblings; }
  int CoreOf(int cpu) const { return cpu / spec_.siblings; }
  int L3Of(int cpu) const { return spec_.cores_per_l3 > 0 ? CoreOf(cpu) / spec_.cores_per_l3 : 0; }
  int NodeOf(int cpu) const {
    return spec_.cores_per_node > 0 ? CoreOf(cpu) / spec_.cores_per_node : 0;
  }
  bool MayUse(const Thread& thread, int cpu) const {
    return thread.node < 0 || thread.node == NodeOf(cpu);
  }
  int nr_domains() const { return static_cast<int>(weights_.size()); }
  int64_t Weight(int domain) const { return weights_[domain]; }
  Thread& thread(int id) const { return *threads_[id]; }
  Thread* Running(int cpu) const { return cpus_[cpu].running; }  // nullptr: nobody
  // Up to now.
  Duration CpuTime(const Thread& thread);
  int64_t Remaining(const Thread& thread);

  // Takes whoever is there off, who then waits, and puts on one who waits. The CPU does nothing
  // for `cost` first, unless `thread` was taken off it at this very time.
  void Put(int cpu, Thread& thread, Duration cost);
  void Clear(int cpu);
  int BusySiblings(int core) const;
  // An idle CPU, of an idle core if there is one, and `near` among equals; -1: none.
  int IdleCpu(int near = -1) const;
  // Where siblings share a core while another core is idle: who should move where.
  struct Move {
    int from;
    int to;
  };
  std::optional<Move> Crowded() const;

 private:
  struct Cpu {
    Thread* running = nullptr;
    const Thread* last = nullptr;  // who came last
    Time left{};                   // and when somebody was taken off last
    Time charged{};
    Time works_from{};  // the switch is over
    int speed = 1000;
    uint64_t arming = 0;  // tells whether a job's end is still the one that is due
  };

  // world.cc
  void Charge(int cpu);
  void Replace(int cpu, Thread* next, Duration cost);
  void Arm(int cpu);
  void JobOver(int cpu, uint64_t arming);
  void SetWaiting(Thread& thread);
  void Record(int cpu, bool switched);
  void Advance(Time to);
  void Audit(int core, Duration time);
  // loads.cc
  Thread& NewThread(int domain);
  void Wake(Thread& thread);
  void BeginRun(Thread& thread);
  void Arrive(Source& source);
  void GetInLine(Source& source, const Request& request);
  void Serve(Thread& worker);
  bool NextJob(Thread& thread);

  const Spec spec_;
  const std::unique_ptr<Scheduler> scheduler_;
  sim::Random random_;
  Time now_{};
  sim::EventQueue events_;
  std::vector<Cpu> cpus_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<std::unique_ptr<Source>> sources_;
  std::vector<int64_t> weights_;     // by domain
  std::vector<int64_t> waiting_in_;  // threads, by domain
  int64_t waiting_ = 0;
  Result result_;
};

}  // namespace corral::baselines

#endif  // CORRAL_TESTS_SIM_BASELINES_WORLD_H_
