// SPDX-License-Identifier: Apache-2.0
// The class's rings of events, what is drawn from them, and what is told of a thread, of a
// simulated class under the secure VM policy.
#include <gtest/gtest.h>

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/ctl/explain_output.h"
#include "agent/trace/perfetto.h"
#include "agent/trace/thread_story.h"
#include "tests/sim/bare_vms.h"

namespace corral {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

// Counts switches to threads of the class, and to others, without the class.
class Switches final : public sim::SwitchObserver {
 public:
  void Switched(Time, int cpu, const sim::SimThread*, const sim::SimThread* to) override {
    if (to != nullptr) ++to_[{cpu, to->tid()}];
  }
  const std::map<std::pair<int, pid_t>, int>& to() const { return to_; }

 private:
  std::map<std::pair<int, pid_t>, int> to_;
};

class Trace : public testing::Test {
 protected:
  Trace() {
    red_ = vms_.AddVm<Spinner>(1, "red").front();
    blue_ = vms_.AddVm<Spinner>(1, "blue").front();
  }
  ThreadStory StoryOf(const BareVms::Vcpu& vcpu) {
    const auto story =
        TellStory(vms_.control(), TraceRings(vms_.control()).Read(), vcpu.thread->tid(), names_);
    EXPECT_TRUE(story.ok()) << story.status();
    return story.value_or(ThreadStory());
  }

  BareVms vms_{1, 2};  // one core of two siblings
  BareVms::Vcpu red_, blue_;
  TraceNames names_{vms_.control(), [](pid_t tid) { return absl::StrCat("thread-", tid); }};
};

TEST_F(Trace, HasEachSwitchOnceAndInOrder) {
  TraceRings rings(vms_.control());
  rings.Read();
  Switches truth;
  vms_.machine().Observe(&truth);
  std::map<std::pair<int, pid_t>, int> traced;
  Time last{};
  int messages = 0, commits = 0, latches = 0;
  for (int look = 0; look < 100; ++look) {
    vms_.machine().RunFor(milliseconds(10));
    for (const TraceEvent& event : rings.Read()) {
      EXPECT_GE(event.at, last);
      last = event.at;
      messages += event.type == GHOST_TRACE_MESSAGE;
      commits += event.type == GHOST_TRACE_COMMIT;
      latches += event.type == GHOST_TRACE_LATCH;
      if (event.type != GHOST_TRACE_SWITCH || event.tid == 0) continue;
      ++traced[{event.cpu.value(), event.tid}];
      const bool vcpu = event.tid == red_.thread->tid() || event.tid == blue_.thread->tid();
      EXPECT_EQ(event.what == GHOST_CPU_NOT_TAKEN, vcpu) << "by whom?";
      EXPECT_EQ(event.domain >= GHOST_DOMAIN_FIRST, vcpu);
    }
  }
  EXPECT_EQ(rings.lost(), 0u);
  // Also what agents ran: each time that they took a CPU, and gave it back.
  EXPECT_EQ(traced, truth.to());
  EXPECT_GT(traced.size(), 2u);
  EXPECT_GT(messages, 50);
  EXPECT_GT(commits, 50);
  EXPECT_GT(latches, 50);
}

TEST_F(Trace, CountsWhatWasOverwritten) {
  TraceRings rings(vms_.control());
  vms_.machine().RunFor(milliseconds(100));
  const size_t first = rings.Read().size();
  EXPECT_GT(first, 10u);
  EXPECT_EQ(rings.lost(), 0u) << "nobody asked for them";
  uint64_t before = 0, after = 0;
  for (const ghost_cpu_state& cpu : vms_.control().cpu_states()) before += cpu.traced;
  vms_.machine().RunFor(std::chrono::seconds(60));
  for (const ghost_cpu_state& cpu : vms_.control().cpu_states()) after += cpu.traced;
  const std::vector<TraceEvent> rest = rings.Read();
  ASSERT_FALSE(rest.empty());
  EXPECT_LE(rest.size(), 2u * GHOST_TRACE_EVENTS);
  EXPECT_GT(rings.lost(), 0u);
  EXPECT_EQ(rings.lost() + rest.size(), after - before);
  EXPECT_LT(vms_.machine().now() - rest.back().at, milliseconds(50)) << "the oldest are lost";
}

TEST_F(Trace, IsDrawnAsItWas) {
  TraceRings rings(vms_.control());
  rings.Read();
  const Duration red = vms_.Ran(red_), blue = vms_.Ran(blue_);
  std::vector<TraceEvent> events;
  for (int look = 0; look < 100; ++look) {
    vms_.machine().RunFor(milliseconds(10));
    for (const TraceEvent& event : rings.Read()) events.push_back(event);
  }
  const json file = json::parse(PerfettoOf(vms_.control(), events, 7, names_), nullptr, false);
  ASSERT_FALSE(file.is_discarded());
  EXPECT_EQ(file["otherData"]["lost_events"], 7);
  std::map<int, double> free_from;  // by CPU
  std::map<std::string, double> ran_us;
  int decisions = 0;
  for (const json& event : file["traceEvents"]) {
    const std::string name = event["name"];
    decisions += absl::StrContains(name, "shall run red: thread-");
    if (event["ph"] != "X") continue;
    double& from = free_from[event["tid"]];
    EXPECT_GE(event["ts"].get<double>() + 1e-3, from) << "two threads at once on a CPU";
    from = event["ts"].get<double>() + event["dur"].get<double>();
    if (event["cat"] == "vm") ran_us[name.substr(0, name.find(':'))] += event["dur"].get<double>();
  }
  // But for the first and the last stint.
  const auto us = [](Duration time) { return static_cast<double>(time.count()) / 1e3; };
  EXPECT_NEAR(ran_us["red"], us(vms_.Ran(red_) - red), 25e3);
  EXPECT_NEAR(ran_us["blue"], us(vms_.Ran(blue_) - blue), 25e3);
  EXPECT_GT(decisions, 10);
}

// One of the two has the core, and the other waits for it since the agent gave it away.
TEST_F(Trace, TellsWhyAThreadDoesNotRun) {
  vms_.machine().RunFor(milliseconds(503));
  ThreadStory runs = StoryOf(red_), waits = StoryOf(blue_);
  if (runs.state != "runs") std::swap(runs, waits);
  EXPECT_EQ(runs.state, "runs");
  EXPECT_EQ(waits.state, "waits");
  EXPECT_GT(waits.for_so_long, Duration(0));
  EXPECT_LT(waits.for_so_long, milliseconds(30));
  EXPECT_TRUE(absl::StrContains(
      waits.obstacle, absl::StrCat("Its core, 0, is ", runs.domain, "'s at this moment: CPU ")))
      << waits.obstacle;
  EXPECT_TRUE(absl::StrContains(waits.obstacle, "idles")) << waits.obstacle;
  EXPECT_TRUE(absl::StrContains(waits.left, "It lost CPU ")) << waits.left;
  EXPECT_FALSE(absl::StrContains(waits.left, "host")) << waits.left;
  ASSERT_GT(waits.moments.size(), 3u);
  for (size_t i = 1; i < waits.moments.size(); ++i)
    EXPECT_LE(waits.moments[i].ago, waits.moments[i - 1].ago);
  EXPECT_TRUE(absl::StrContains(ctl::ExplainText(waits), "TASK_PREEMPT"))
      << ctl::ExplainText(waits);
  for (const absl::string_view line : absl::StrSplit(ctl::ExplainText(waits), '\n'))
    EXPECT_LE(line.size(), 80u) << line;
}

TEST_F(Trace, TellsOfAThreadOfTheHostInItsWay) {
  vms_.machine().RunFor(milliseconds(100));
  const sim::SimThread& hog = vms_.AddHostThread(0, std::make_unique<Spinner>());
  vms_.AddHostThread(1, std::make_unique<Spinner>());
  vms_.machine().RunFor(milliseconds(40));
  bool named = false;
  for (const BareVms::Vcpu& vcpu : {red_, blue_}) {
    const ThreadStory story = StoryOf(vcpu);
    EXPECT_EQ(story.state, "waits");
    EXPECT_TRUE(absl::StrContains(story.obstacle, "CPU 0 has a thread of the host"))
        << story.obstacle;
    named |= absl::StrContains(story.left, "a thread of the host took it, thread-");
  }
  EXPECT_TRUE(named) << "neither was pushed aside by " << hog.tid();
}

TEST_F(Trace, TellsOfOneThatSleepsAndOfOneThatIsNotThere) {
  class OnceThenSleep final : public sim::Program {
    sim::Step Next(sim::SimThread&, Time) override {
      return ran_++ == 0 ? sim::Step::Run(milliseconds(2))
                         : sim::Step::Sleep(std::chrono::hours(1));
    }
    int ran_ = 0;
  };
  const BareVms::Vcpu sleeper = vms_.AddVm<OnceThenSleep>(1, "green").front();
  vms_.machine().RunFor(milliseconds(300));
  const ThreadStory story = StoryOf(sleeper);
  EXPECT_EQ(story.state, "sleeps");
  EXPECT_TRUE(absl::StrContains(story.left, "it went to sleep")) << story.left;
  EXPECT_EQ(story.obstacle, "");
  const auto nobody = TellStory(vms_.control(), {}, 999999, names_);
  EXPECT_TRUE(absl::IsNotFound(nobody.status()));
  // The rings may have forgotten all about it.
  const auto forgotten = TellStory(vms_.control(), {}, red_.thread->tid(), names_);
  ASSERT_TRUE(forgotten.ok());
  EXPECT_EQ(forgotten->left, "");
  EXPECT_TRUE(absl::StrContains(ctl::ExplainText(*forgotten), "nothing about it any more"));
}

}  // namespace
}  // namespace corral
