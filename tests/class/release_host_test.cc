// SPDX-License-Identifier: Apache-2.0
// `corralctl release --all` on a real kernel, with everything else dead or half gone. Runs as root
// in the test host.
#include <bpf/bpf.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "agent/daemon/agent_supervisor.h"
#include "kernel/bpf/class_files.h"
#include "kernel/bpf/class_release.h"
#include "kernel/bpf/sched_ext_state.h"
#include "kernel/bpf/threads_by_policy.h"
#include "tests/class/class_host_fixture.h"

namespace corral {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct Said {
  int code = -1;
  std::string text;
};

Said Corralctl(const std::string& arguments) {
  Said said;
  FILE* const pipe = popen((CORRALCTL_PROGRAM " " + arguments).c_str(), "r");
  if (pipe == nullptr) return said;
  char buffer[4096];
  while (const size_t size = fread(buffer, 1, sizeof(buffer), pipe)) said.text.append(buffer, size);
  said.code = WEXITSTATUS(pclose(pipe));
  return said;
}

template <typename Condition>
bool Await(Condition condition) {
  for (int i = 0; i < 200; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(50));
  }
  return false;
}

// Takes away every pin of the class that is not in `kept`.
void KeepPins(const std::vector<std::string>& kept) {
  for (const auto& entry : fs::directory_iterator(kClassDir)) {
    const std::string name = entry.path().filename();
    if (std::find(kept.begin(), kept.end(), name) != kept.end()) continue;
    ASSERT_EQ(unlink(entry.path().c_str()), 0) << entry.path();
  }
}

class ReleaseHostTest : public ClassHostTest {
 protected:
  // Two VMs in the class, one thread of which was SCHED_BATCH and another nice 7; nobody holds on
  // to the class but its pins.
  void SetUp() override {
    ClassHostTest::SetUp();
    for (int i = 0; i < 2; ++i) vms_.push_back(std::make_unique<VmProcess>(2, 1));
    const sched_param param = {};
    batch_ = vms_[0]->tids()[0];
    nice_ = vms_[1]->tids()[2];
    ASSERT_EQ(sched_setscheduler(batch_, SCHED_BATCH, &param), 0);
    ASSERT_EQ(setpriority(PRIO_PROCESS, nice_, 7), 0);
    AttachAll(vms_);
    std::this_thread::sleep_for(milliseconds(300));
    ASSERT_EQ(InSchedExt().size(), 6u);
  }
  // Attach first, then this: whoever has the class open keeps parts of it alive.
  void LetGo() { kernel_.reset(); }
  // Whatever a failed test has left is out of the next one's way.
  void TearDown() override {
    LetGo();
    ReleaseClass({.scope = ReleaseScope::kAll}).status.IgnoreError();
  }

  static std::vector<pid_t> InSchedExt() {
    const absl::StatusOr<std::vector<pid_t>> threads = ThreadsWithPolicy(kSchedExtPolicy);
    EXPECT_TRUE(threads.ok()) << threads.status();
    return threads.ok() ? *threads : std::vector<pid_t>();
  }

  // The state that every test wants, whatever was broken before.
  void ExpectReleased(int batch_policy) {
    EXPECT_TRUE(InSchedExt().empty());
    EXPECT_TRUE(fs::is_empty("/sys/fs/bpf"));
    EXPECT_EQ(ReadSchedExtState().state, "disabled");
    for (const auto& vm : vms_) {
      for (const pid_t tid : vm->tids()) {
        EXPECT_EQ(sched_getscheduler(tid), tid == batch_ ? batch_policy : SCHED_OTHER) << tid;
        EXPECT_EQ(getpriority(PRIO_PROCESS, tid), tid == nice_ ? 7 : 0) << tid;
      }
    }
  }
  nlohmann::json ReleaseAll() {
    const Said said = Corralctl("release --all --json");
    EXPECT_EQ(said.code, 0) << said.text;
    nlohmann::json json = nlohmann::json::parse(said.text, nullptr, /*allow_exceptions=*/false);
    EXPECT_TRUE(json.is_object()) << said.text;
    return json;
  }

  VmProcesses vms_;
  pid_t batch_ = 0;
  pid_t nice_ = 0;
};

TEST_F(ReleaseHostTest, WithoutAgentsEveryThreadGetsItsFormerPolicy) {
  LetGo();
  const nlohmann::json json = ReleaseAll();
  ExpectReleased(SCHED_BATCH);
  EXPECT_EQ(json["scheduler"], "corral");
  EXPECT_EQ(json["scheduler_after"], "");
  EXPECT_EQ(json["threads"].size(), 6u);
  for (const auto& thread : json["threads"]) EXPECT_EQ(thread["known"], true) << thread;
  EXPECT_TRUE(json["notes"].empty());
  // Once more: there is nothing to do, which is success.
  EXPECT_TRUE(ReleaseAll()["threads"].empty());
}

TEST_F(ReleaseHostTest, ADryRunAndABareReleaseChangeNothing) {
  const Said bare = Corralctl("release 2>&1");
  EXPECT_EQ(bare.code, 2);
  EXPECT_NE(bare.text.find("corralctl release --all"), std::string::npos) << bare.text;
  const Said dry = Corralctl("release --all --dry-run");
  EXPECT_EQ(dry.code, 0);
  EXPECT_NE(
      dry.text.find("thread " + std::to_string(batch_) + " would be given back to SCHED_BATCH"),
      std::string::npos)
      << dry.text;
  EXPECT_EQ(InSchedExt().size(), 6u);
  EXPECT_TRUE(ReadSchedExtState().Ours());
  EXPECT_TRUE(kernel_->info().enabled);
  EXPECT_TRUE(fs::exists("/sys/fs/bpf/corral/link_class"));
  LetGo();
  ReleaseAll();
  ExpectReleased(SCHED_BATCH);
}

TEST_F(ReleaseHostTest, AfterTheAgentWasKilled) {
  std::vector<CoreId> cores;
  for (uint32_t id = 0; id < kernel_->info().nr_cores; ++id) cores.push_back(CoreId(id));
  {
    AgentSupervisor supervisor(*kernel_, AgentSpec{.program = CORRAL_AGENT_PROGRAM,
                                                   .enclave = "vms",
                                                   .enclave_id = enclave_,
                                                   .cores = cores,
                                                   .policy = "secure_vm",
                                                   .options_json = "{}"});
    ASSERT_TRUE(Await([&] { return supervisor.Poll(kernel_->Now()), supervisor.Serving(); }));
  }
  std::this_thread::sleep_for(seconds(1));
  const uint32_t agent_thread = kernel_->cores()[0].agent_tid;
  ASSERT_NE(agent_thread, 0u);
  LetGo();
  ASSERT_EQ(kill(static_cast<pid_t>(agent_thread), SIGKILL), 0);
  ReleaseAll();
  ExpectReleased(SCHED_BATCH);
}

TEST_F(ReleaseHostTest, WithoutStatusWordsThreadsAreFoundByTheirPolicy) {
  LetGo();
  ASSERT_EQ(unlink("/sys/fs/bpf/corral/status_words"), 0);
  ASSERT_EQ(unlink("/sys/fs/bpf/corral/link_sched_switch"), 0);
  const nlohmann::json json = ReleaseAll();
  ExpectReleased(SCHED_OTHER);
  EXPECT_EQ(json["threads"].size(), 6u);
  for (const auto& thread : json["threads"]) EXPECT_EQ(thread["known"], false) << thread;
  EXPECT_FALSE(json["notes"].empty());
}

TEST_F(ReleaseHostTest, WithTheClassesLinkOnly) {
  LetGo();
  KeepPins({"link_class"});
  ReleaseAll();
  ExpectReleased(SCHED_OTHER);
}

TEST_F(ReleaseHostTest, WithSomeMapsOnly) {
  LetGo();
  KeepPins({"status_words", "class_info"});
  // Its last pin gone, the class goes, and leaves its threads behind.
  ASSERT_TRUE(Await([] { return ReadSchedExtState().Disabled(); }));
  ASSERT_EQ(InSchedExt().size(), 6u);
  EXPECT_EQ(ReleaseAll()["scheduler"], "");
  ExpectReleased(SCHED_BATCH);
}

TEST_F(ReleaseHostTest, AfterTheKernelHasEjectedTheClass) {
  LetGo();
  std::ofstream("/proc/sysrq-trigger") << "S" << std::flush;
  ASSERT_TRUE(Await([] { return ReadSchedExtState().Disabled(); }));
  ASSERT_EQ(InSchedExt().size(), 6u);
  ReleaseAll();
  ExpectReleased(SCHED_BATCH);
}

TEST_F(ReleaseHostTest, WithAFileInThePlaceOfThePins) {
  const absl::StatusOr<Fd> map = OpenPin("status_words");
  ASSERT_TRUE(map.ok()) << map.status();
  const absl::StatusOr<Fd> link = OpenPin("link_class");
  ASSERT_TRUE(link.ok()) << link.status();
  LetGo();
  // As if another tool had taken the path: the class is in charge, held by a descriptor.
  fs::remove_all(kClassDir);
  ASSERT_EQ(bpf_obj_pin(map->get(), kClassDir), 0) << strerror(errno);
  ASSERT_TRUE(ReadSchedExtState().Ours());
  const nlohmann::json json = ReleaseAll();
  ExpectReleased(SCHED_OTHER);
  EXPECT_EQ(json["pins"], nlohmann::json({kClassDir}));
}

TEST_F(ReleaseHostTest, WithThePinsOutOfReach) {
  LetGo();
  ASSERT_EQ(mount("none", "/sys/fs/bpf", "tmpfs", 0, nullptr), 0);
  ReleaseAll();
  EXPECT_TRUE(InSchedExt().empty());
  EXPECT_EQ(ReadSchedExtState().state, "disabled");
  ASSERT_EQ(umount("/sys/fs/bpf"), 0);
  ReleaseAll();
  ExpectReleased(SCHED_OTHER);
}

TEST_F(ReleaseHostTest, AThreadThatWentIntoSchedExtByItselfComesOutToo) {
  const VmProcess visitor(1, 1);
  const sched_param param = {};
  ASSERT_EQ(sched_setscheduler(visitor.tids()[1], kSchedExtPolicy | SCHED_RESET_ON_FORK, &param),
            0);
  LetGo();
  EXPECT_EQ(ReleaseAll()["threads"].size(), 7u);
  ExpectReleased(SCHED_BATCH);
  EXPECT_EQ(sched_getscheduler(visitor.tids()[1]), SCHED_OTHER | SCHED_RESET_ON_FORK);
}

TEST_F(ReleaseHostTest, StoppingTheClassWorksWithoutStatusWordsToo) {
  LetGo();
  ASSERT_EQ(unlink("/sys/fs/bpf/corral/status_words"), 0);
  const absl::Status unloaded = UnloadClass();
  EXPECT_TRUE(unloaded.ok()) << unloaded;
  ExpectReleased(SCHED_OTHER);
}

}  // namespace
}  // namespace corral
