// SPDX-License-Identifier: Apache-2.0
// Pages of top, of three sizes of host, at the least size of terminal.
#include "agent/top/page.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/top/screen.h"
#include "tests/top/sample.h"

namespace corral::top {
namespace {

using std::chrono::milliseconds;

std::string Text(const Canvas& canvas) {
  std::string text;
  for (int row = 0; row < canvas.rows(); ++row) absl::StrAppend(&text, canvas.Line(row), "\n");
  return text;
}

class PageTest : public testing::TestWithParam<int> {
 protected:
  PageTest() : host_(GetParam() / 2) {
    for (int i = 0; i < 40; ++i) host_.Pass(milliseconds(100));
    page_ = host_.Show();
  }
  std::string Shown(const Choice& choice = {}) const {
    return Text(Draw(page_, choice, "12:00:00", kLeastRows, kLeastColumns));
  }
  bool Shows(const std::string& part, const Choice& choice = {}) const {
    return absl::StrContains(Shown(choice), part);
  }
  const DomainRow& Row(const std::string& name) const {
    for (const DomainRow& row : page_.domains) {
      if (row.name == name) return row;
    }
    ADD_FAILURE() << "no " << name;
    return page_.domains.front();
  }

  SampleHost host_;
  Page page_;
};

INSTANTIATE_TEST_SUITE_P(Cpus, PageTest, testing::Values(8, 112, 256));

TEST_P(PageTest, FitsAndTellsWhatMatters) {
  const std::string shown = Shown({.order = Order::kWait});
  EXPECT_TRUE(Shows("web", {.order = Order::kWait})) << shown;
  // Only a map of few cores has room for words.
  EXPECT_TRUE(Shows(GetParam() == 8 ? ":forced idle" : "!")) << shown;
  EXPECT_TRUE(Shows("refus.", {.order = Order::kWait})) << shown;
  EXPECT_TRUE(Shows("refused 1")) << shown;
  EXPECT_TRUE(Shows("DOMAIN"));
  EXPECT_TRUE(Shows("q quit"));
  EXPECT_TRUE(Shows(absl::StrCat(" of ", GetParam(), " CPUs")));
  for (const absl::string_view line : absl::StrSplit(shown, '\n')) EXPECT_LE(line.size(), 80u);
}

// Each of the VMs but two has a core of its own, where it runs all the time beside an idle sibling.
TEST_P(PageTest, TheNumbersAreRight) {
  double used = 0;
  int sharing = 0;
  for (const DomainRow& row : page_.domains) {
    used += row.used;
    EXPECT_LE(row.used, 1.01);
    EXPECT_NEAR(row.used + row.waits, 1, 0.1) << row.name;
    sharing += row.used < 0.9;
  }
  const int cores = GetParam() / 2;
  EXPECT_EQ(page_.domains.size(), static_cast<size_t>(cores + 1));
  EXPECT_NEAR(used, cores, cores * 0.03);
  EXPECT_GE(sharing, 2);
  EXPECT_NEAR(page_.busy, used, 1e-9);
  EXPECT_GT(page_.forced_idle, 0.5);
  EXPECT_EQ(page_.breaches, 0u);
  EXPECT_EQ(page_.cpus, GetParam());
  EXPECT_GT(page_.window, milliseconds(1900));
  EXPECT_EQ(Row("greedy").refused, 1u);
  EXPECT_EQ(Row("greedy").guaranteed, 0);
}

TEST_P(PageTest, TheSelectedOneIsSeenAndExplained) {
  Choice choice{.order = Order::kWait};
  const uint32_t first = SelectedAfter(page_, choice, 0);
  EXPECT_EQ(first, Sorted(page_, Order::kWait).front()->id);
  // Far down: the list scrolls.
  choice.selected = SelectedAfter(page_, choice, 1'000'000);
  EXPECT_EQ(choice.selected, Sorted(page_, Order::kWait).back()->id);
  const Canvas canvas = Draw(page_, choice, "12:00:00", kLeastRows, kLeastColumns);
  int reversed = 0;
  for (int row = 0; row < canvas.rows(); ++row)
    reversed += canvas.at(row, 2).style.ink == Style::Ink::kReverse;
  EXPECT_EQ(reversed, 1);
  EXPECT_TRUE(Press('w', page_, choice));
  choice.selected = first;
  EXPECT_TRUE(Press('\r', page_, choice));
  EXPECT_TRUE(Shows("forced_idle", choice)) << Shown(choice);
  EXPECT_TRUE(Press('\r', page_, choice));
  EXPECT_FALSE(Shows("forced_idle", choice));
}

TEST_P(PageTest, KeysDoWhatTheHelpSays) {
  Choice choice;
  EXPECT_TRUE(Press('?', page_, choice));
  EXPECT_TRUE(Shows("quit", choice));
  EXPECT_TRUE(Shows("pause", choice));
  for (const auto& [key, order] : {std::pair{'w', Order::kWait},
                                   {'f', Order::kForcedIdle},
                                   {'g', Order::kGuarantee},
                                   {'n', Order::kName},
                                   {'u', Order::kUse}}) {
    EXPECT_TRUE(Press(key, page_, choice));
    EXPECT_EQ(choice.order, order);
  }
  EXPECT_TRUE(Press(' ', page_, choice));
  EXPECT_TRUE(choice.paused);
  const uint32_t before = SelectedAfter(page_, choice, 0);
  EXPECT_TRUE(Press('j', page_, choice));
  EXPECT_NE(choice.selected, before);
  EXPECT_TRUE(Press('k', page_, choice));
  EXPECT_EQ(choice.selected, before);
  EXPECT_FALSE(Press('q', page_, choice));
}

// Nobody else wants its CPU, so the class switches nothing and closes no account.
TEST(Model, WhoHasACpuWithoutEndIsSeenToUseIt) {
  sim::Machine::Spec spec;
  spec.cores.push_back({.cpus = {CpuId(0), CpuId(1)}});
  const std::unique_ptr<sim::Machine> machine = sim::Machine::Create(spec).value();
  const std::unique_ptr<sim::SimControlKernel> control =
      sim::SimControlKernel::Create(*machine).value();
  const EnclaveId enclave = control->CreateEnclave({.name = "vms", .cpus = CpuSet({0, 1})}).value();
  const DomainId domain = control->CreateDomain(enclave, DomainKey{1}, "alone").value();
  sim::SimThread& thread = machine->NewThread("vm", std::make_unique<Spinner>());
  ASSERT_TRUE(control->AttachTask(thread.tid(), domain, 0, 100).ok());
  machine->Wake(thread);
  Model model(*control);
  for (int i = 0; i < 60; ++i) {
    machine->RunFor(milliseconds(100));
    model.Look();
    if (i < 5) continue;
    EXPECT_NEAR(model.Show().domains.at(0).used, 1, 0.05) << "look " << i;
  }
}

TEST(Page, OfNothingIsEmptyAndSound) {
  const std::string shown = Text(Draw(Page(), {.details = true}, "12:00:00", 24, 80));
  EXPECT_TRUE(absl::StrContains(shown, "it has ended")) << shown;
  EXPECT_TRUE(absl::StrContains(Text(Draw(Page(), {}, "12:00:00", 24, 80)), "no domain"));
  // Smaller than it should be: cut, not broken.
  EXPECT_EQ(Draw(Page(), {}, "12:00:00", 3, 5).rows(), 3);
}

}  // namespace
}  // namespace corral::top
