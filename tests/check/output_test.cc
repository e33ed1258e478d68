// SPDX-License-Identifier: Apache-2.0
// What corralctl prints of findings and of a release: the promises of check_output.h and
// release_command.h.
#include <gtest/gtest.h>

#include <algorithm>

#include "agent/ctl/check_output.h"
#include "agent/ctl/release_command.h"

namespace corral::ctl {
namespace {

KernelFindings SomeFindings(Level worst) {
  KernelFindings found;
  found.release = "7.3.4-x";
  Add(found.findings, Level::kOk, "kernel.btf", "fine");
  Add(found.findings, worst, "memory.ksm", "VMs \xff share\npages", "echo 2");
  return found;
}

TEST(CheckJson, HoldsWhatItsSchemaSays) {
  const nlohmann::json json =
      nlohmann::json::parse(CheckJson(SomeFindings(Level::kWarn), "host").dump());
  EXPECT_EQ(json["subject"], "host");
  EXPECT_EQ(json["release"], "7.3.4-x");
  EXPECT_EQ(json["usable"], true);
  EXPECT_EQ(json["findings"].size(), 2u);
  EXPECT_EQ(json["findings"][0],
            nlohmann::json(
                {{"id", "kernel.btf"}, {"level", "ok"}, {"fact", "fine"}, {"remedy", nullptr}}));
  EXPECT_EQ(json["findings"][1]["level"], "warn");
  EXPECT_EQ(json["findings"][1]["fact"], "VMs ? share; pages");
  EXPECT_EQ(json["findings"][1]["remedy"], "echo 2");
  EXPECT_EQ(CheckJson(SomeFindings(Level::kFail), "host")["usable"], false);
}

TEST(CheckText, HasALinePerFindingAndTheVerdict) {
  const std::string text = CheckText(SomeFindings(Level::kFail), "kernel");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
  EXPECT_EQ(text.rfind("ok    kernel.btf ", 0), 0u) << text;
  EXPECT_NE(text.find("\nfail  memory.ksm "), std::string::npos) << text;
  EXPECT_NE(text.find(" -> echo 2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("this kernel cannot run Corral: 1 fail, 0 warn, 1 ok"), std::string::npos)
      << text;
  EXPECT_NE(CheckText(SomeFindings(Level::kWarn), "host").find("this host can run Corral"),
            std::string::npos);
}

ReleaseReport SomeRelease() {
  return {.scheduler = "corral",
          .threads = {{.tid = 11, .policy = 3, .known = true}, {.tid = 12}},
          .pins = {"/sys/fs/bpf/corral/link_class"},
          .notes = {"odd"}};
}

TEST(ReleaseJson, HoldsWhatItsSchemaSays) {
  ReleaseReport report = SomeRelease();
  const nlohmann::json json = nlohmann::json::parse(ReleaseJson(report, true).dump());
  EXPECT_EQ(json["dry_run"], true);
  EXPECT_EQ(json["scheduler"], "corral");
  EXPECT_EQ(json["scheduler_after"], "");
  EXPECT_EQ(json["threads"][0],
            nlohmann::json({{"tid", 11}, {"policy", "SCHED_BATCH"}, {"known", true}}));
  EXPECT_EQ(json["threads"][1]["policy"], "SCHED_OTHER");
  EXPECT_EQ(json["pins"].size(), 1u);
  EXPECT_EQ(json["notes"][0], "odd");
  EXPECT_EQ(json["error"], nullptr);
  report.status = absl::InternalError("stuck");
  EXPECT_EQ(ReleaseJson(report, false)["error"], "stuck");
}

TEST(ReleaseText, SaysWhatWasDoneOrWouldBe) {
  const std::string done = ReleaseText(SomeRelease(), false);
  EXPECT_NE(done.find("thread 11 given back to SCHED_BATCH\n"), std::string::npos) << done;
  EXPECT_NE(done.find("the class is out of the kernel\n"), std::string::npos) << done;
  const std::string dry = ReleaseText(SomeRelease(), true);
  EXPECT_NE(dry.find("thread 11 would be given back"), std::string::npos) << dry;
  EXPECT_EQ(dry.find("is out of"), std::string::npos) << dry;
}

}  // namespace
}  // namespace corral::ctl
