// SPDX-License-Identifier: Apache-2.0
// Which threads an enclave without VMs gets: in a made-up tree, and among the real processes here.
#include "agent/daemon/thread_search.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace corral {
namespace {

using std::chrono::milliseconds;

class ThreadSearchTest : public testing::Test {
 protected:
  ThreadSearchTest() { std::filesystem::create_directories(root_); }
  ~ThreadSearchTest() override { std::filesystem::remove_all(root_); }

  void Cgroup(const std::string& path, const std::string& threads) const {
    Write("/sys/fs/cgroup/" + path + "/cgroup.threads", threads);
  }
  void Process(pid_t pid, const std::string& name, const std::vector<pid_t>& tids,
               uint32_t flags = 0x400000) const {
    const std::string dir = absl::StrCat("/proc/", pid);
    Write(dir + "/comm", name + "\n");
    Write(dir + "/stat", absl::StrCat(pid, " (", name, ") S 1 1 1 0 -1 ", flags, " 0 0\n"));
    for (const pid_t tid : tids) Write(absl::StrCat(dir, "/task/", tid, "/comm"), name);
  }
  std::vector<pid_t> Find(ThreadSelection wanted) const {
    std::vector<pid_t> tids = ThreadSearch(std::move(wanted), root_).Find(Time(milliseconds(1)));
    std::sort(tids.begin(), tids.end());
    return tids;
  }
  void Write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }

  const std::string root_ = testing::TempDir() + "/thread-search-" + std::to_string(getpid());
};

using Tids = std::vector<pid_t>;

TEST_F(ThreadSearchTest, ACgroupHasThoseBelowIt) {
  Cgroup("web", "1\n2\n");
  Cgroup("web/worker/a", "3\n");
  Cgroup("other", "4\n");
  EXPECT_EQ(Find({.cgroup = "web"}), (Tids{1, 2, 3}));
  EXPECT_EQ(Find({.cgroup = "not-there"}), Tids());
  EXPECT_EQ(Find({}), Tids());
}

TEST_F(ThreadSearchTest, AUnitIsWhereverItsSliceIs) {
  Cgroup("system.slice/mariadb.service", "1\n");
  Cgroup("batch.slice/batch-night.slice/etl.service/child", "2\n");
  Cgroup("user.slice/user-1000.slice/user@1000.service/app.slice/etl.service", "3\n");
  EXPECT_EQ(Find({.units = {"mariadb.service"}}), Tids{1});
  EXPECT_EQ(Find({.units = {"etl.service", "mariadb.service"}}), (Tids{1, 2}));
  EXPECT_EQ(Find({.units = {"batch.slice"}}), Tids{2});
}

TEST_F(ThreadSearchTest, ProcessesByNameAndById) {
  Process(10, "redis-server", {10, 11});
  Process(20, "nginx: worker", {20});
  Process(30, "a) S 7 (b", {30});
  EXPECT_EQ(Find({.processes = {"redis-server"}}), (Tids{10, 11}));
  EXPECT_EQ(Find({.processes = {"redis"}}), Tids());
  EXPECT_EQ(Find({.processes = {"nginx*", "10"}}), (Tids{10, 11, 20}));
  EXPECT_EQ(Find({.processes = {"a)*"}}), Tids{30});
}

TEST_F(ThreadSearchTest, NeitherKernelThreadsNorOurOwn) {
  Process(2, "kthreadd", {2}, 0x208040);
  Process(10, "corral-agent", {10, 11});
  Process(12, "corrald", {12});
  Process(20, "kept", {20});
  EXPECT_EQ(Find({.processes = {"*"}}), Tids{20});
}

TEST_F(ThreadSearchTest, NamesAreLookedForOnceASecond) {
  ThreadSearch search({.cgroup = "web", .units = {"a.service"}, .processes = {"p"}}, root_);
  const Time begin(std::chrono::seconds(5));
  EXPECT_EQ(search.Find(begin), Tids());
  Cgroup("web", "1\n");
  Cgroup("system.slice/a.service", "2\n");
  Process(3, "p", {3});
  EXPECT_EQ(search.Find(begin + milliseconds(500)), Tids{1}) << "a cgroup is cheap to read";
  std::vector<pid_t> all = search.Find(begin + ThreadSearch::kThorough);
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, (Tids{1, 2, 3}));
  EXPECT_EQ(search.Find(begin + ThreadSearch::kThorough + milliseconds(100)), (Tids{1, 2}));
}

TEST(ThreadSearchHere, FindsARealProcess) {
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_NAME, "corral-sought");
    for (;;) pause();
  }
  const auto found = [&] {
    const Tids tids = ThreadSearch({.processes = {"corral-soug?t"}}).Find(Time());
    return tids == Tids{child};
  };
  bool seen = false;
  for (int i = 0; i < 500 && !seen; ++i, usleep(10'000)) seen = found();
  EXPECT_TRUE(seen);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(found());
  EXPECT_EQ(ThreadsOfProcess(child), Tids());
  EXPECT_EQ(ThreadSearch({.processes = {"kthreadd"}}).Find(Time()), Tids());
}

}  // namespace
}  // namespace corral
