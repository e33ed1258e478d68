// SPDX-License-Identifier: Apache-2.0
// Every interleaving of 2, 3 and 4 siblings over the transitions of core_word.h.
//
// The model knows the truth that the word only describes: which domain's task is really on each
// CPU, and which claim each CPU holds. A CPU follows the class's life cycle (dispatch, give up,
// switch, stop, adopt) one atomic transition at a time, in every order. The search covers every
// reachable state, so a leak that takes a rare order is found too.
#include "kernel/abi/core_word.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <tuple>

namespace corral {
namespace {

constexpr int kMaxSiblings = 4;
constexpr int kDomains = 3;  // 1..kDomains; the first one is CORE_WORD_LONER
constexpr core_word_t kGenMask = ~0ULL << CORE_WORD_GEN_SHIFT;

struct State {
  core_word_t word = 0;
  std::array<uint8_t, kMaxSiblings> running{};  // domain of the task that is on the CPU, 0 = none
  std::array<uint8_t, kMaxSiblings> claim{};    // domain claimed by this CPU, 0 = none
  std::array<uint8_t, kMaxSiblings>
      wants{};  // domain that this CPU waits for, 0 = none: it must be kicked when it can have it

  auto operator<=>(const State&) const = default;
};

// Which part of the hand-over is left out, to prove that the search would find the leak.
enum class Fault { kNone, kGateOff, kReleaseInStopping, kForgetHandover };

class Explorer {
 public:
  Explorer(int siblings, Fault fault) : siblings_(siblings), fault_(fault) {}

  // Returns the first violation found, or "".
  std::string Run() {
    Visit(State{});
    while (!queue_.empty() && violation_.empty()) {
      const State state = queue_.front();
      queue_.pop_front();
      for (int cpu = 0; cpu < siblings_ && violation_.empty(); ++cpu) Expand(state, cpu);
    }
    return violation_;
  }
  size_t states() const { return seen_.size(); }

 private:
  void Visit(State state) {
    state.word &= ~kGenMask;  // counts for ever; nothing depends on it
    if (seen_.insert(state).second) {
      Check(state);
      queue_.push_back(state);
    }
  }

  void Check(const State& s) {
    for (int a = 0; a < siblings_; ++a) {
      for (int b = a + 1; b < siblings_; ++b) {
        if (s.running[a] == 0 || s.running[b] == 0) continue;
        if (s.running[a] != s.running[b]) violation_ = "two domains on the core";
        if (s.running[a] == CORE_WORD_LONER) violation_ = "a loner has company";
      }
      if (s.running[a] != 0 && (core_word_on_cpu(s.word) & (1u << a)) == 0 &&
          fault_ == Fault::kNone) {
        violation_ = "a running task that the word does not show";
      }
      // Liveness: an empty core has no forgotten waiter.
      if (core_word_busy(s.word) == 0 && core_word_waiters(s.word) != 0)
        violation_ = "a waiter that nobody will kick";
      if (s.wants[a] != 0 && (core_word_waiters(s.word) & (1u << a)) == 0)
        violation_ = "a lost waiter bit";
    }
  }

  void Apply(State s, const core_step& step) {
    s.word = step.next;
    for (int cpu = 0; cpu < siblings_; ++cpu) {
      if (step.kick & (1u << cpu)) s.wants[cpu] = 0;  // it will come to dispatch again
    }
    Visit(s);
  }

  core_step Acquire(const State& s, int cpu, uint32_t domain) {
    core_step step = core_word_acquire(s.word, cpu, domain);
    if (fault_ == Fault::kGateOff && !step.granted) {
      step.next = core_word_make(domain, core_word_claims(s.word) | 1u << cpu,
                                 core_word_on_cpu(s.word), 0, 0, 0);
      step.granted = 1;
    }
    if (fault_ == Fault::kForgetHandover) step.next &= ~CORE_WORD_HANDOVER;
    return step;
  }

  void Expand(const State& s, int cpu) {
    // dispatch: for any domain; the claim of the previous task is superseded.
    for (uint32_t domain = 1; domain <= kDomains; ++domain) {
      const core_step step = Acquire(s, cpu, domain);
      State next = s;
      next.wants[cpu] = step.granted ? 0 : domain;
      if (step.granted) next.claim[cpu] = domain;
      Apply(next, step);
    }
    // The claim ends: the task blocked, was taken elsewhere, or was not to be had.
    if (s.claim[cpu] != 0) {
      State next = s;
      next.claim[cpu] = 0;
      core_step step = core_word_release(s.word, cpu);
      if (fault_ == Fault::kReleaseInStopping) {
        const core_step off = core_word_switch_out(step.next, cpu);
        step.next = off.next;
        step.kick |= off.kick;
      }
      Apply(next, step);
    }
    // The switch to the claimed task.
    if (s.claim[cpu] != 0) {
      State next = s;
      next.running[cpu] = s.claim[cpu];
      const core_step step = core_word_switch_in(s.word, cpu, s.claim[cpu]);
      if (step.breach && fault_ == Fault::kNone) violation_ = "switch_in reports a breach";
      Apply(next, step);
    }
    // The switch to idle or to a host task; a claimed task may stay behind in the local queue.
    {
      State next = s;
      next.running[cpu] = 0;
      Apply(next, core_word_switch_out(s.word, cpu));
    }
    // A running task whose claim was given up in place (affinity, nice) comes back without a
    // switch.
    if (s.running[cpu] != 0 && s.claim[cpu] == 0 && core_word_owner(s.word) == s.running[cpu]) {
      const core_step step = core_word_adopt(s.word, cpu, s.running[cpu]);
      if (step.granted) {
        State next = s;
        next.claim[cpu] = s.running[cpu];
        next.wants[cpu] = 0;  // it dispatches again when this task stops
        Apply(next, step);
      }
    }
    // A host task that runs on this CPU enters the class: it stays only if it is adopted.
    if (s.running[cpu] == 0 && s.claim[cpu] == 0) {
      for (uint32_t domain = 1; domain <= kDomains; ++domain) {
        const core_step step = core_word_adopt(s.word, cpu, domain);
        if (!step.granted) continue;
        State next = s;
        next.claim[cpu] = domain;
        next.running[cpu] = domain;
        next.wants[cpu] = 0;
        Apply(next, step);
      }
    }
  }

  const int siblings_;
  const Fault fault_;
  std::set<State> seen_;
  std::deque<State> queue_;
  std::string violation_;
};

class CoreWordTest : public testing::TestWithParam<int> {};

TEST_P(CoreWordTest, NoInterleavingPutsTwoDomainsOnACore) {
  Explorer explorer(GetParam(), Fault::kNone);
  EXPECT_EQ(explorer.Run(), "");
  RecordProperty("states", static_cast<int>(explorer.states()));
  EXPECT_GT(explorer.states(), 100u) << "the search did not search";
}

TEST_P(CoreWordTest, SeededFaultsAreFound) {
  EXPECT_NE(Explorer(GetParam(), Fault::kGateOff).Run(), "");
  EXPECT_NE(Explorer(GetParam(), Fault::kReleaseInStopping).Run(), "");
  EXPECT_NE(Explorer(GetParam(), Fault::kForgetHandover).Run(), "");
}

INSTANTIATE_TEST_SUITE_P(Siblings, CoreWordTest, testing::Values(2, 3, 4));

TEST(CoreWord, ADeniedSiblingIsKickedWhenTheCoreEmpties) {
  core_word_t w = core_word_acquire(0, 0, 7).next;
  w = core_word_switch_in(w, 0, 7).next;
  const core_step denied = core_word_acquire(w, 1, 9);
  EXPECT_FALSE(denied.granted);
  w = core_word_release(denied.next, 0).next;
  EXPECT_EQ(core_word_waiters(w), 2u) << "the old task is still on its CPU";
  const core_step out = core_word_switch_out(w, 0);
  EXPECT_EQ(out.kick, 2u);
  EXPECT_EQ(core_word_waiters(out.next), 0u);
}

TEST(CoreWord, TheLastSiblingHandsOverWithoutIdling) {
  core_word_t w = core_word_switch_in(core_word_acquire(0, 0, 7).next, 0, 7).next;
  const core_step step = core_word_acquire(w, 0, 9);
  EXPECT_TRUE(step.granted);
  EXPECT_TRUE(step.owner_changed);
  EXPECT_TRUE(core_word_handover(step.next));
  EXPECT_FALSE(core_word_acquire(step.next, 1, 9).granted) << "the old task is still on CPU 0";
  w = core_word_acquire(step.next, 1, 9).next;
  const core_step in = core_word_switch_in(w, 0, 9);
  EXPECT_EQ(in.kick, 2u);
  EXPECT_TRUE(core_word_acquire(in.next, 1, 9).granted);
}

}  // namespace
}  // namespace corral
