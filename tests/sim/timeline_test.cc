// SPDX-License-Identifier: Apache-2.0
// What a timeline records, against what the machine says, and what it writes. The pictures are left
// in CORRAL_TIMELINE_DIR, if it is set, for another test that reads them as XML.
#include "agent/simulate/timeline.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/simulate/agent_process.h"
#include "kernel/sim/core_audit.h"
#include "kernel/sim/random.h"

namespace corral::testing {
namespace {

using nlohmann::json;
using sim::Machine;
using sim::SimThread;
using sim::Step;
using std::chrono::microseconds;
using std::chrono::milliseconds;

// Both need a character or two escaped.
const Timeline::VmNames kNames = {{1, "bank <one>"}, {2, "shop & \"two\""}};

class Worker final : public sim::Program {
 public:
  explicit Worker(uint64_t seed) : random_(seed) {}
  Step Next(SimThread&, Time) override {
    const microseconds time(200 + random_.Below(1500));
    return (runs_ = !runs_) ? Step::Run(time) : Step::Sleep(time);
  }

 private:
  sim::Random random_;
  bool runs_ = false;
};

// The time that each CPU is not idle, counted another way.
class BusyTime final : public sim::SwitchObserver {
 public:
  void Switched(Time now, int cpu, const SimThread* from, const SimThread* to) override {
    if (from != nullptr) busy_[cpu] += now - since_[cpu];
    since_[cpu] = now;
    running_[cpu] = to != nullptr;
  }
  Duration Of(int cpu, Time now) {
    return busy_[cpu] + (running_[cpu] ? now - since_[cpu] : Duration(0));
  }

 private:
  std::map<int, Duration> busy_;
  std::map<int, Time> since_;
  std::map<int, bool> running_;
};

// A machine of which the last core is the host's, with an agent and VMs.
struct World {
  World(int cores, uint32_t vms, int per_vm, size_t most_stints = 1 << 20);
  std::string Svg(Time from = {}, Time to = Time::max()) const {
    return timeline->Svg({.title = "VMs < & >", .from = from, .to = to, .vm_names = kNames});
  }

  std::unique_ptr<Machine> machine;
  std::unique_ptr<Timeline> timeline;
  BusyTime busy;
  std::unique_ptr<sim::SimControlKernel> control;
  Topology topology;
  std::unique_ptr<AgentProcess> agent;
  std::vector<SimThread*> threads;
  int nr_cpus = 0;
};

World::World(int cores, uint32_t vms, int per_vm, size_t most_stints) : nr_cpus(2 * cores) {
  Machine::Spec spec;
  std::vector<Core> topology_cores;
  CpuSet cpus;
  for (int c = 0; c < cores; ++c) {
    const int node = c / ((cores + 1) / 2);
    const CpuId one(2 * c), two(2 * c + 1);
    spec.cores.push_back({.cpus = {one, two}, .node = node, .l3 = node});
    Core core = {.id = CoreId(static_cast<uint32_t>(c)), .nr_cpus = 2, .node = node, .l3 = node};
    core.cpu[0] = one;
    core.cpu[1] = two;
    core.siblings = {2 * c, 2 * c + 1};
    topology_cores.push_back(core);
    if (c + 1 < cores) cpus = cpus | core.siblings;
  }
  topology = Topology::FromCores(std::move(topology_cores));
  machine = Machine::Create(spec).value();
  timeline = std::make_unique<Timeline>(*machine, most_stints);
  machine->Observe(timeline.get());
  machine->Observe(&busy);
  control = sim::SimControlKernel::Create(*machine).value();
  const EnclaveId enclave = control->CreateEnclave({.name = "vms", .cpus = cpus}).value();
  const PolicyInfo* const policy = FindPolicy("secure_vm").value();
  agent = AgentProcess::Start(*machine, *control, topology,
                              {.enclave = enclave,
                               .enclave_name = "vms",
                               .policy = policy,
                               .options = OptionValues::Defaults(policy->options)})
              .value();
  for (uint32_t vm = 1; vm <= vms; ++vm) {
    DomainKey key = {};
    memcpy(key.data(), &vm, sizeof(vm));
    const DomainId domain = control->CreateDomain(enclave, key, absl::StrCat("vm", vm)).value();
    for (int i = 0; i < per_vm; ++i) {
      SimThread& thread = machine->NewThread(absl::StrCat("vm", vm, "/", i),
                                             std::make_unique<Worker>(100 * vm + i));
      thread.vm = vm;
      threads.push_back(&thread);
      machine->Wake(thread);
      EXPECT_TRUE(control->AttachTask(thread.tid(), domain, 0, 100).ok());
    }
  }
}

void Leave(const char* name, const std::string& text) {
  const char* const directory = getenv("CORRAL_TIMELINE_DIR");
  if (directory != nullptr) std::ofstream(absl::StrCat(directory, "/", name)) << text;
}

int64_t Ns(const json& us) { return std::llround(us.get<double>() * 1000); }

TEST(Timeline, StintsAreWhatTheMachineRan) {
  World world(4, 2, 4);
  world.machine->RunFor(milliseconds(50));
  std::map<int, Time> last;
  std::map<int, Duration> by_cpu;
  std::map<pid_t, Duration> by_thread;
  for (const Timeline::Stint& stint : world.timeline->Stints()) {
    EXPECT_LE(last[stint.cpu], stint.from);
    EXPECT_LT(stint.from, stint.to);
    last[stint.cpu] = stint.to;
    by_cpu[stint.cpu] += stint.to - stint.from;
    by_thread[stint.tid] += stint.to - stint.from;
  }
  for (int cpu = 0; cpu < world.nr_cpus; ++cpu)
    EXPECT_EQ(by_cpu[cpu].count(), world.busy.Of(cpu, world.machine->now()).count()) << cpu;
  for (const SimThread* thread : world.threads) {
    EXPECT_EQ(by_thread[thread->tid()].count(), world.machine->CpuTime(*thread).count());
    EXPECT_GT(by_thread[thread->tid()].count(), 0);
    EXPECT_EQ(world.timeline->NameOf(thread->tid()), thread->name());
  }
}

// One that is made later begins with who runs then.
TEST(Timeline, BeginsInTheMiddle) {
  World world(2, 1, 4);
  world.machine->RunFor(milliseconds(20));
  Timeline late(*world.machine);
  world.machine->Observe(&late);
  EXPECT_TRUE(late.Stints().empty());
  std::map<pid_t, Duration> before, recorded;
  for (const SimThread* thread : world.threads)
    before[thread->tid()] = world.machine->CpuTime(*thread);
  world.machine->RunFor(milliseconds(5));
  for (const Timeline::Stint& stint : late.Stints()) recorded[stint.tid] += stint.to - stint.from;
  for (const SimThread* thread : world.threads) {
    EXPECT_EQ(recorded[thread->tid()].count(),
              (world.machine->CpuTime(*thread) - before[thread->tid()]).count());
  }
}

TEST(Timeline, PerfettoHasTheSameStints) {
  World world(4, 2, 4);
  world.machine->RunFor(milliseconds(20));
  const std::string text = world.timeline->Perfetto(kNames);
  Leave("timeline.json", text);
  const json trace = json::parse(text, nullptr, /*allow_exceptions=*/false);
  ASSERT_FALSE(trace.is_discarded());
  EXPECT_EQ(trace["otherData"]["cut_off"], false);
  const std::vector<Timeline::Stint> stints = world.timeline->Stints();
  size_t seen = 0;
  std::set<std::string> names;
  for (const json& event : trace["traceEvents"]) {
    if (event["ph"] == "M") {
      if (event["args"].contains("name")) names.insert(event["args"]["name"]);
      continue;
    }
    ASSERT_EQ(event["ph"], "X");
    ASSERT_LT(seen, stints.size());
    const Timeline::Stint& stint = stints[seen++];
    EXPECT_EQ(Ns(event["ts"]), stint.from.time_since_epoch().count());
    EXPECT_EQ(Ns(event["dur"]), (stint.to - stint.from).count());
    EXPECT_EQ(event["args"]["tid"], stint.tid);
    EXPECT_EQ(event["args"]["vm"], stint.vm);
    const std::string prefix = stint.vm == 0 ? "" : stint.vm == 1 ? "A " : "B ";
    EXPECT_EQ(event["name"], prefix + world.timeline->NameOf(stint.tid));
    if (stint.vm != 0) {
      EXPECT_EQ(event["args"]["vm_name"], kNames.at(stint.vm));
    }
  }
  EXPECT_EQ(seen, stints.size());
  for (const char* name : {"core 0", "core 3", "CPU 0", "CPU 7"}) EXPECT_TRUE(names.count(name));
}

TEST(Timeline, PictureShowsVmsAndForcedIdle) {
  World world(4, 2, 4);
  world.machine->RunFor(milliseconds(50));
  const std::string svg = world.Svg(Time(milliseconds(20)), Time(milliseconds(32)));
  Leave("small.svg", svg);
  for (const char* part :
       {"bank &lt;one&gt;", "shop &amp; &quot;two&quot;", "VMs &lt; &amp; &gt;", ">host<",
        ">node 0<", ">node 1<", ">core 3<", ">CPU 7<", ">20 ms<", ">32 ms<", ">vm1/",
        "<path class=\"forced\" fill=\"url(#forced)\" d=\"M"}) {
    EXPECT_NE(svg.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(svg.find("cut off"), std::string::npos);
}

// The hatched part is what the auditor counts as forced idle.
TEST(Timeline, ForcedIdleIsTheAuditors) {
  World world(4, 2, 4);
  sim::CoreAudit audit(*world.machine);
  world.machine->Observe(&audit);
  world.machine->RunFor(milliseconds(50));
  const std::string svg = world.Svg();
  double px = 0;
  for (const absl::string_view line : absl::StrSplit(svg, '\n')) {
    if (!absl::StartsWith(line, "<path class=\"forced\"")) continue;
    for (size_t h = line.find('h', 30); h != line.npos; h = line.find('h', h + 1)) {
      if (line[h + 1] != '-') px += strtod(line.data() + h + 1, nullptr);
    }
  }
  const double drawn_ms = px / 1060 * 50;
  // The auditor's is of cores, of which a CPU is half.
  const double audited_ms = static_cast<double>(audit.forced_idle().count()) * 2 / 1e6;
  EXPECT_GT(drawn_ms, 1);
  EXPECT_NEAR(drawn_ms, audited_ms, 0.01 * audited_ms);
}

// Two siblings of one core, of which one computes: the other one is forced idle all the time, and
// once it is away nobody is.
TEST(Timeline, ForcedIdleIsBesideAVmOnly) {
  const Machine::Spec spec = {.cores = {{.cpus = {CpuId(0), CpuId(1)}}}};
  const std::unique_ptr<Machine> machine = Machine::Create(spec).value();
  Timeline timeline(*machine);
  SimThread& thread = machine->NewThread("v", std::make_unique<Worker>(1));
  timeline.Switched(Time(microseconds(0)), 0, nullptr, &thread);
  machine->RunFor(microseconds(100));
  EXPECT_EQ(timeline.Svg({}).find("class=\"forced\""), std::string::npos) << "a host's thread";
  timeline.Switched(Time(microseconds(100)), 0, &thread, nullptr);
  thread.vm = 1;
  timeline.Switched(Time(microseconds(100)), 1, nullptr, &thread);
  machine->RunFor(microseconds(100));
  timeline.Switched(Time(microseconds(200)), 1, &thread, nullptr);
  machine->RunFor(microseconds(200));
  const std::string svg = timeline.Svg({});
  // The second of four quarters of 1060 px, and nothing else.
  EXPECT_NE(svg.find("class=\"forced\" fill=\"url(#forced)\" d=\"M365 "), std::string::npos) << svg;
  EXPECT_NE(svg.find("h265v19h-265z\"/>"), std::string::npos) << svg;
}

TEST(Timeline, SameRunSameBytes) {
  World one(4, 2, 4), two(4, 2, 4);
  one.machine->RunFor(milliseconds(30));
  two.machine->RunFor(milliseconds(30));
  EXPECT_EQ(one.Svg(), two.Svg());
  EXPECT_EQ(one.timeline->Perfetto(), two.timeline->Perfetto());
}

TEST(Timeline, SaysThatItIsCutOff) {
  World world(4, 2, 4, 100);
  world.machine->RunFor(milliseconds(50));
  ASSERT_TRUE(world.timeline->cut_off().has_value());
  EXPECT_LT(world.timeline->end(), world.machine->now());
  const std::vector<Timeline::Stint> stints = world.timeline->Stints();
  EXPECT_LE(stints.size(), 100u);
  EXPECT_GE(stints.size(), 90u);
  for (const Timeline::Stint& stint : stints) EXPECT_LE(stint.to, *world.timeline->cut_off());
  const std::string svg = world.Svg();
  Leave("cut_off.svg", svg);
  EXPECT_NE(svg.find("The recording was cut off at "), std::string::npos);
  const json trace = json::parse(world.timeline->Perfetto(), nullptr, false);
  ASSERT_FALSE(trace.is_discarded());
  EXPECT_EQ(trace["otherData"]["cut_off"], true);
  EXPECT_EQ(trace["traceEvents"].back()["name"], "cut off after 100 stints");
}

TEST(Timeline, NothingRecorded) {
  World world(2, 1, 1);
  const std::string before = world.Svg();
  Leave("nothing.svg", before);
  EXPECT_NE(before.find("Nothing was recorded"), std::string::npos);
  world.machine->RunFor(milliseconds(5));
  EXPECT_NE(world.Svg(Time(milliseconds(6))).find("Nothing was recorded"), std::string::npos);
  EXPECT_EQ(world.Svg().find("Nothing was recorded"), std::string::npos);
  Timeline none(*world.machine, 0);
  EXPECT_TRUE(json::accept(none.Perfetto()));
  EXPECT_NE(none.Svg({}).find("Nothing was recorded"), std::string::npos);
}

// 256 CPUs, more VMs than colours, and names that are no text at all.
TEST(Timeline, LargePicture) {
  World world(128, 24, 12);
  world.machine->RunFor(milliseconds(60));
  Timeline::VmNames names = {{1, "bad \xff\x01 bytes \xef\xbf\xbf"}, {2, "gr\xc3\xbcn"}};
  for (uint32_t vm = 3; vm <= 20; ++vm) names[vm] = absl::StrCat("customer-", vm);
  const std::string svg = world.timeline->Svg(
      {.title = "128 cores", .from = Time(milliseconds(30)), .vm_names = names});
  Leave("large.svg", svg);
  EXPECT_NE(svg.find(">VM 24<"), std::string::npos);
  EXPECT_NE(svg.find(">core 0<"), std::string::npos);
  EXPECT_NE(svg.find("gr\xc3\xbcn"), std::string::npos);
  EXPECT_EQ(svg.find('\xff'), std::string::npos);
  EXPECT_TRUE(json::accept(world.timeline->Perfetto(names)));
  EXPECT_LT(svg.size(), 4u << 20);
}

}  // namespace
}  // namespace corral::testing
