// SPDX-License-Identifier: Apache-2.0
// The reference schedulers are what they say: nothing idles beside work, no time is lost, weights
// and isolation hold where they are promised, and the ideal server agrees with queueing theory.
#include <gtest/gtest.h>

#include <cstdio>
#include <deque>
#include <ostream>
#include <string>

#include "tests/sim/baselines/baselines.h"

namespace corral::baselines {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

using Make = std::unique_ptr<Scheduler> (*)();
std::unique_ptr<Scheduler> MakeFair() { return FairPerCpu(); }
std::unique_ptr<Scheduler> MakePool() { return NonPreemptivePool(); }
std::unique_ptr<Scheduler> MakeSharing() { return IdealPreemptive(); }
std::unique_ptr<Scheduler> MakeShortest() {
  return IdealPreemptive({.order = IdealOptions::Order::kShortestRemaining});
}
std::unique_ptr<Scheduler> MakeCore() { return IdealCoreScheduler(); }

long long Us(Duration time) { return time.count() / 1000; }
// `part` in 1/1000 of `whole`.
int64_t Permille(Duration part, Duration whole) { return part.count() * 1000 / whole.count(); }

void Print(const char* name, const Result& result) {
  printf(
      "%s: busy %lld us, switching %lld, idle %lld, cross-domain %lld, forced idle %lld, "
      "unjustified %lld, %llu switches\n",
      name, Us(result.busy), Us(result.switching), Us(result.idle), Us(result.cross_domain),
      Us(result.forced_idle), Us(result.unjustified_idle),
      static_cast<unsigned long long>(result.switches));
}

void PrintTail(const char* name, const char* what, const Samples& samples) {
  const auto ns = [&](int per_10000) {
    return static_cast<long long>(samples.Percentile(per_10000).count());
  };
  printf("%s: %s mean %lld ns, p50 %lld, p99 %lld, p99.9 %lld of %zu\n", name, what,
         static_cast<long long>(samples.Mean().count()), ns(5000), ns(9900), ns(9990),
         samples.size());
}

// All kinds of load on four cores of two siblings, busy for the better part of the time.
Result RunMixed(std::unique_ptr<Scheduler> scheduler, uint64_t seed) {
  World world({.cores = 4, .seed = seed}, std::move(scheduler));
  const int batch = world.AddDomain(1);
  const int sleepy = world.AddDomain(2);
  const int server = world.AddDomain(4);
  world.AddCpuBound(batch, 1);
  world.AddRunSleep(sleepy, 7, microseconds(700), microseconds(900));
  world.AddRequests(server, 16, microseconds(60), Bimodal(microseconds(40), milliseconds(5), 5));
  world.RunFor(seconds(2));
  return world.GetResult();
}

struct Named {
  const char* name;
  Make make;
  bool has_domains;
};
void PrintTo(const Named& named, std::ostream* out) { *out << named.name; }

class EveryBaseline : public ::testing::TestWithParam<Named> {};

TEST_P(EveryBaseline, ConservesTimeAndWork) {
  const Result result = RunMixed(GetParam().make(), 1);
  Print(GetParam().name, result);
  PrintTail(GetParam().name, "wake to run", result.domains[1].wake_to_run);
  PrintTail(GetParam().name, "response", result.domains[2].response);
  EXPECT_EQ(result.busy + result.switching + result.idle, 8 * result.elapsed);
  EXPECT_GT(result.idle, milliseconds(10));
  Duration cpu_time{0};
  for (const Result::Domain& domain : result.domains) {
    EXPECT_GT(domain.work, milliseconds(10));
    EXPECT_LE(domain.work, domain.cpu_time);
    cpu_time += domain.cpu_time;
  }
  EXPECT_EQ(cpu_time, result.busy);
  // The first domain's only thread may have a core for itself all the time.
  EXPECT_LT(result.domains[1].work, result.domains[1].cpu_time) << "siblings slow each other down";
  EXPECT_EQ(result.unjustified_idle, Duration(0));
  if (GetParam().has_domains) {
    EXPECT_GT(result.forced_idle, milliseconds(10));
  } else {
    EXPECT_EQ(result.forced_idle, Duration(0));
  }
}

TEST_P(EveryBaseline, TheSameSeedIsTheSameStory) {
  const Result first = RunMixed(GetParam().make(), 1);
  const Result again = RunMixed(GetParam().make(), 1);
  const Result other = RunMixed(GetParam().make(), 2);
  EXPECT_EQ(first.fingerprint, again.fingerprint);
  EXPECT_EQ(first.switches, again.switches);
  EXPECT_EQ(first.busy, again.busy);
  EXPECT_EQ(first.domains[2].response.Percentile(9990), again.domains[2].response.Percentile(9990));
  EXPECT_NE(first.fingerprint, other.fingerprint);
}

INSTANTIATE_TEST_SUITE_P(, EveryBaseline,
                         ::testing::Values(Named{"FairPerCpu", MakeFair, false},
                                           Named{"NonPreemptivePool", MakePool, false},
                                           Named{"ProcessorSharing", MakeSharing, false},
                                           Named{"ShortestRemaining", MakeShortest, false},
                                           Named{"IdealCoreScheduler", MakeCore, true}),
                         [](const auto& info) { return std::string(info.param.name); });

// Leaves all CPUs but the first alone.
class Lazy final : public Scheduler {
 public:
  void Ready(Thread& thread) override {
    queue_.push_back(&thread);
    if (world().Running(0) == nullptr) RunNext();
  }
  void Blocked(int, Thread&) override {
    if (!queue_.empty()) RunNext();
  }

 private:
  void RunNext() {
    world().Put(0, *queue_.front(), Duration(0));
    queue_.pop_front();
  }
  std::deque<Thread*> queue_;
};

TEST(World, TheAuditSeesIdleness) {
  const Result result = RunMixed(std::make_unique<Lazy>(), 1);
  EXPECT_GT(result.forced_idle, seconds(10));
  EXPECT_GT(result.unjustified_idle, seconds(10));
  EXPECT_EQ(result.cross_domain, Duration(0)) << "there is nobody beside";
}

TEST(Samples, PercentilesAreSamples) {
  Samples samples;
  EXPECT_EQ(samples.Percentile(9900), Duration(0));
  for (int i = 1000; i >= 1; --i) samples.Add(Duration(i));
  EXPECT_EQ(samples.Percentile(5000), Duration(500));
  EXPECT_EQ(samples.Percentile(9900), Duration(990));
  EXPECT_EQ(samples.Percentile(9990), Duration(999));
  EXPECT_EQ(samples.Percentile(10000), Duration(1000));
  EXPECT_EQ(samples.Mean(), Duration(500));
}

// A thread alone on its core works at full speed, two siblings at Costs::smt_speed each.
TEST(World, SiblingsShareACore) {
  for (const int threads : {1, 2}) {
    World world({.cores = 1}, IdealPreemptive());
    world.AddCpuBound(world.AddDomain(), threads);
    world.RunFor(seconds(1));
    const Result result = world.GetResult();
    EXPECT_EQ(result.domains[0].cpu_time, threads * seconds(1));
    EXPECT_EQ(result.domains[0].work, threads == 1 ? Duration(seconds(1)) : milliseconds(1250));
  }
}

void ExpectOneToTwo(const char* name, const World::Spec& spec,
                    std::unique_ptr<Scheduler> scheduler) {
  World world(spec, std::move(scheduler));
  world.AddCpuBound(world.AddDomain(1), 2);
  world.AddCpuBound(world.AddDomain(2), 2);
  world.RunFor(seconds(10));
  const Result result = world.GetResult();
  const int64_t ratio = Permille(result.domains[1].cpu_time, result.domains[0].cpu_time);
  printf("%s: weights 1:2 give 1000:%lld\n", name, static_cast<long long>(ratio));
  EXPECT_NEAR(ratio, 2000, 60);
}

// A quarter of a worker's time is enough for all, as long as it need not wait for the answers.
TEST(World, ARequestThatIsAwayKeepsNoWorker) {
  World world({.cores = 1, .siblings = 1}, NonPreemptivePool({.context_switch = Duration(0)}));
  const int server = world.AddDomain();
  world.AddRequests(server, 1, microseconds(8), Uniform(microseconds(1), microseconds(1)),
                    {.away = milliseconds(1)});
  world.RunFor(milliseconds(500));
  const Result result = world.GetResult();
  const Samples& response = result.domains[server].response;
  EXPECT_GE(response.size(), 60'000u);
  EXPECT_GE(response.Percentile(1), microseconds(1002));
  EXPECT_LE(response.Percentile(9900), microseconds(1010));
}

TEST(MicroQuanta, HasItsQuotaOfEachPeriodAndBatchThreadsTheRest) {
  World world({.cores = 1, .siblings = 1}, MicroQuanta());
  const int batch = world.AddDomain(10);
  const int worker = world.AddDomain(100);
  world.AddCpuBound(batch, 2);
  world.AddCpuBound(worker, 1);
  world.RunFor(seconds(1));
  const Result result = world.GetResult();
  EXPECT_EQ(result.busy + result.switching + result.idle, result.elapsed);
  EXPECT_EQ(result.idle, Duration(0));
  EXPECT_EQ(Permille(result.domains[worker].cpu_time, result.elapsed), 900);
  // Two switches to each period, and an interrupt.
  EXPECT_GE(Permille(result.domains[batch].cpu_time, result.elapsed), 97);
}

// Of two workers on one CPU, each has what its own quota allows, and idle time is not saved up.
TEST(MicroQuanta, ABlackoutIsOfOneWorkerAndOfOnePeriod) {
  World world({.cores = 1, .siblings = 1}, MicroQuanta({.quota = microseconds(300)}));
  const int first = world.AddDomain(100);
  const int second = world.AddDomain(100);
  world.AddCpuBound(first, 1);
  world.AddRequests(second, 1, milliseconds(20), Uniform(milliseconds(3), milliseconds(3)));
  world.RunFor(seconds(4));
  const Result result = world.GetResult();
  EXPECT_NEAR(static_cast<double>(Permille(result.domains[first].cpu_time, result.elapsed)), 300,
              1);
  // Ten quotas, the last of them at the beginning of its period.
  EXPECT_GE(result.domains[second].response.Percentile(1), milliseconds(9));
  EXPECT_GT(result.idle, seconds(1));
}

TEST(MicroQuanta, AWorkerTakesItsLastCpuFromABatchThreadAtOnce) {
  const MicroQuantaOptions options;
  World world({.cores = 4, .siblings = 1}, MicroQuanta(options));
  const int batch = world.AddDomain(10);
  const int worker = world.AddDomain(100);
  world.AddCpuBound(batch, 8);
  world.AddRequests(worker, 1, microseconds(300), Uniform(microseconds(5), microseconds(15)));
  world.RunFor(seconds(1));
  const Result result = world.GetResult();
  const Samples& waits = result.domains[worker].wake_to_run;
  EXPECT_GT(waits.size(), 3000u);
  EXPECT_EQ(waits.Percentile(1), options.wakeup + options.context_switch);
  EXPECT_EQ(waits.Percentile(10000), options.wakeup + options.context_switch);
}

TEST(FairPerCpu, HoldsWeightsOnACpu) {
  ExpectOneToTwo("FairPerCpu", {.cores = 1, .siblings = 1}, FairPerCpu());
}

TEST(IdealCoreScheduler, HoldsWeightsOnACore) {
  ExpectOneToTwo("IdealCoreScheduler", {.cores = 1}, IdealCoreScheduler());
}

// Of 24 ms each of three has a third; of many, each has the granularity of 3 ms, which is noticed
// at a tick of 4 ms.
TEST(FairPerCpu, SwitchesAtTheEndsOfSlices) {
  const auto switches = [](int threads) {
    World world({.cores = 1, .siblings = 1}, FairPerCpu());
    world.AddCpuBound(world.AddDomain(), threads);
    world.RunFor(seconds(10));
    return world.GetResult().switches;
  };
  EXPECT_NEAR(static_cast<double>(switches(3)), 1250, 5);
  EXPECT_NEAR(static_cast<double>(switches(12)), 2500, 5);
}

// In scheduling domains CPUs idle while threads wait elsewhere, and what one L3 has too much of
// comes to another by and by.
TEST(FairPerCpu, LeavesCpusIdleInDomains) {
  const auto run = [](FairOptions::Balancing balancing) {
    World world({.cores = 16, .siblings = 1, .cores_per_l3 = 4, .cores_per_node = 8},
                FairPerCpu({.balancing = balancing}));
    const int domain = world.AddDomain();
    world.AddRunSleep(domain, 24, milliseconds(2), milliseconds(2));
    world.RunFor(seconds(2));
    return world.GetResult();
  };
  const Result at_once = run(FairOptions::Balancing::kAtOnce);
  const Result domains = run(FairOptions::Balancing::kDomains);
  Print("at once", at_once);
  Print("in domains", domains);
  EXPECT_EQ(domains.busy + domains.switching + domains.idle, 16 * domains.elapsed);
  EXPECT_EQ(at_once.forced_idle, Duration(0));
  EXPECT_GT(Permille(domains.forced_idle, domains.idle), 100);
  EXPECT_GT(domains.busy * 100, at_once.busy * 85);
}

// Four threads that compute come to be spread over both L3s, wherever they began.
TEST(FairPerCpu, BalancesDomains) {
  World world({.cores = 4, .siblings = 1, .cores_per_l3 = 2},
              FairPerCpu({.balancing = FairOptions::Balancing::kDomains}));
  const int domain = world.AddDomain();
  world.AddRunSleep(domain, 6, milliseconds(1), microseconds(10));
  world.RunFor(milliseconds(100));
  const Duration before = world.GetResult().idle;
  world.RunFor(seconds(1));
  EXPECT_LT(Permille(world.GetResult().idle - before, 4 * seconds(1)), 30);
}

// Two domains, each with as many threads as there are CPUs, as two VMs on a full host.
Result RunTwoDomains(std::unique_ptr<Scheduler> scheduler) {
  World world({.cores = 4}, std::move(scheduler));
  const int one = world.AddDomain();
  const int two = world.AddDomain();
  world.AddCpuBound(one, 3);
  world.AddCpuBound(two, 3);
  world.AddRunSleep(one, 5, milliseconds(2), milliseconds(2));
  world.AddRunSleep(two, 5, milliseconds(2), milliseconds(2));
  world.RunFor(seconds(5));
  return world.GetResult();
}

TEST(IdealCoreScheduler, KeepsDomainsApartWhereAFairOneDoesNot) {
  const Result fair = RunTwoDomains(FairPerCpu());
  const Result core = RunTwoDomains(IdealCoreScheduler());
  Print("FairPerCpu", fair);
  Print("IdealCoreScheduler", core);
  EXPECT_EQ(core.cross_domain, Duration(0));
  EXPECT_EQ(core.unjustified_idle, Duration(0));
  // Of 4 cores x 5 s.
  EXPECT_GT(fair.cross_domain, seconds(2));
  // Isolation costs something, but not much.
  EXPECT_GT(core.busy * 100, fair.busy * 80);
  const int64_t share = Permille(core.domains[0].cpu_time, core.busy);
  EXPECT_NEAR(share, 500, 25);
}

// Requests at 70 % of four CPUs: 99.5 % take 4 us, 0.5 % take 10 ms; 53.98 us in the mean.
Result RunBimodal(std::unique_ptr<Scheduler> scheduler) {
  World world({.cores = 4, .siblings = 1, .seed = 7}, std::move(scheduler));
  world.AddRequests(world.AddDomain(), 512, nanoseconds(53980 * 10 / (4 * 7)),
                    Bimodal(microseconds(4), milliseconds(10), 5));
  world.RunFor(seconds(10));
  return world.GetResult();
}

TEST(NonPreemptivePool, ShortRequestsWaitForLongOnes) {
  const Result pool = RunBimodal(MakePool());
  const Result sharing = RunBimodal(MakeSharing());
  const Result shortest = RunBimodal(MakeShortest());
  const Result fair = RunBimodal(MakeFair());
  PrintTail("NonPreemptivePool", "response", pool.domains[0].response);
  PrintTail("ProcessorSharing", "response", sharing.domains[0].response);
  PrintTail("ShortestRemaining", "response", shortest.domains[0].response);
  PrintTail("FairPerCpu", "response", fair.domains[0].response);
  EXPECT_NEAR(Permille(sharing.busy, 4 * sharing.elapsed), 700, 40);
  const auto p99 = [](const Result& r) { return r.domains[0].response.Percentile(9900); };
  EXPECT_GT(p99(pool), 50 * p99(sharing));
  EXPECT_LE(p99(shortest), p99(sharing));
  EXPECT_LT(shortest.domains[0].response.Mean(), sharing.domains[0].response.Mean());
}

Duration MeanResponse(Service service, Duration mean_interval, Duration time) {
  World world({.cores = 1, .siblings = 1, .seed = 3},
              IdealPreemptive({.quantum = microseconds(2)}));
  world.AddRequests(world.AddDomain(), 512, mean_interval, std::move(service));
  world.RunFor(time);
  return world.GetResult().domains[0].response.Mean();
}

// M/M/1-PS: 1 / (mu - lambda).
TEST(IdealPreemptive, MeanResponseAgreesWithTheory) {
  const Duration service = microseconds(100);
  for (const int load : {30, 50, 70}) {  // %
    const Duration mean =
        MeanResponse(Exponential(service), service * 100 / load, seconds(load < 70 ? 20 : 60));
    const Duration theory = service * 100 / (100 - load);
    printf("M/M/1-PS at %d %%: mean %lld ns, theory %lld ns\n", load,
           static_cast<long long>(mean.count()), static_cast<long long>(theory.count()));
    EXPECT_NEAR(Permille(mean, theory), 1000, 30);
  }
}

// Only the mean of the service time matters under processor sharing. A FIFO, which has the same
// mean as it for exponential service, would be at 2.3 times as much here (Pollaczek-Khinchine).
TEST(IdealPreemptive, IsInsensitiveToTheServiceTimesShape) {
  const Duration service = microseconds(58);  // 90 % of 20 us, 10 % of 400 us
  const Duration mean =
      MeanResponse(Bimodal(microseconds(20), microseconds(400), 100), service * 2, seconds(20));
  printf("M/G/1-PS at 50 %%: mean %lld ns, theory %lld ns\n", static_cast<long long>(mean.count()),
         static_cast<long long>(service.count() * 2));
  EXPECT_NEAR(Permille(mean, service * 2), 1000, 30);
}

}  // namespace
}  // namespace corral::baselines
