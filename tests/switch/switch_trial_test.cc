// SPDX-License-Identifier: Apache-2.0
// How an agent on trial is judged, on memory of the class that is written here.
#include "agent/daemon/switch_trial.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernel/control_view.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint32_t kEnclave = 1;

// Nobody calls the class here.
class WrittenClass final : public ControlView {
 public:
  WrittenClass() {
    info_.abi_version = GHOST_ABI_VERSION;
    EXPECT_TRUE(
        Bind({.class_info = &info_, .cores = cores_, .status_words = words_, .waits = waits_})
            .ok());
    for (uint32_t slot = 0; slot < words_.size(); ++slot) {
      words_[slot] = {.gtid = 100 + slot,
                      .flags = GHOST_SW_INUSE,
                      .enclave = kEnclave,
                      .budget_ns = 2000000,
                      .period_ns = 10000000,
                      .granted_ns = 2000000};
    }
  }
  Time Now() const override { return Time{}; }
  absl::Status CallClass(ControlCall, void*, size_t) override { return absl::OkStatus(); }
  absl::Status MakeQueue(CoreId) override { return absl::OkStatus(); }
  int PolicyOf(pid_t) const override { return -1; }
  absl::Status SetPolicy(pid_t, int) override { return absl::OkStatus(); }

  ghost_class_info info_ = {};
  std::vector<ghost_core_state> cores_ = std::vector<ghost_core_state>(2);
  std::vector<ghost_status_word> words_ = std::vector<ghost_status_word>(3);
  std::vector<ghost_waits> waits_ = std::vector<ghost_waits>(3);
};

class SwitchTrialTest : public testing::Test {
 protected:
  SwitchTrial Begin() {
    return {class_,
            {.spec = {.enclave_id = EnclaveId(kEnclave), .cores = {CoreId(0), CoreId(1)}}},
            GivenPromises(class_, EnclaveId(kEnclave)),
            Time{},
            seconds(10)};
  }
  static Time At(Duration since_begin) { return Time{} + since_begin; }

  WrittenClass class_;
};

TEST_F(SwitchTrialTest, WhoDoesNothingWrongPasses) {
  const SwitchTrial trial = Begin();
  EXPECT_EQ(trial.Failure(At(seconds(1))), "");
  EXPECT_FALSE(trial.IsOver(At(seconds(9))));
  EXPECT_EQ(trial.Failure(At(seconds(10))), "");
  EXPECT_TRUE(trial.IsOver(At(seconds(10))));
}

TEST_F(SwitchTrialTest, WhoStallsFailsAtOnce) {
  const SwitchTrial trial = Begin();
  class_.cores_[1].agent_stalled = 1;
  EXPECT_EQ(trial.Failure(At(seconds(1))), "") << "a core without an agent has none that stalls";
  class_.cores_[1].agent_tid = 4711;
  EXPECT_EQ(trial.Failure(At(seconds(1))),
            "let tasks wait until the class scheduled core 1 without it");
}

TEST_F(SwitchTrialTest, WhoTakesPromisesBackFailsAtTheEnd) {
  const SwitchTrial trial = Begin();
  class_.words_[0].granted_ns = 0;  // taken back
  class_.words_[1].granted_ns = 0;  // somebody else's by now
  class_.words_[1].gtid = 999;
  class_.words_[2].granted_ns = 0;  // more was asked for
  class_.words_[2].budget_ns = 9000000;
  EXPECT_EQ(trial.Failure(At(seconds(9))), "") << "it may still judge them";
  EXPECT_EQ(trial.Failure(At(seconds(10))), "took 1 promises back");
}

TEST_F(SwitchTrialTest, WhoMissesMoreThanAFewOfItsPromisesFailsAtTheEnd) {
  class_.waits_[0].missed_ns = 1000000000;  // before
  const SwitchTrial trial = Begin();
  // 3 x 2 s were promised in these 10.
  class_.waits_[1].missed_ns += 290000000;
  EXPECT_EQ(trial.Failure(At(seconds(10))), "");
  class_.waits_[0].missed_ns += 70000000;
  EXPECT_EQ(trial.Failure(At(seconds(9))), "");
  EXPECT_EQ(trial.Failure(At(seconds(10))), "missed 6.0 % of what is promised");
}

}  // namespace
}  // namespace corral
