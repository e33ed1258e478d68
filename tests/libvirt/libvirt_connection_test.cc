// SPDX-License-Identifier: Apache-2.0
// Connections with libvirt's built-in test driver, and with daemons that are not there or hang: no
// privilege.
#include "vmm-integration/libvirt_connection.h"

#include <gtest/gtest.h>
#include <libvirt/libvirt.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "kernel/fd.h"
#include "tests/libvirt/recording_sink.h"

namespace corral {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr char kDefault[] = "test:///default";
constexpr char kNobody[] = "qemu+unix:///system?socket=/nonexistent/libvirt-sock";

// What a connection has told.
class Listener {
 public:
  LibvirtConnection::Callbacks callbacks() {
    return {.changed = [this] { ++changes_; },
            .notice =
                [this](const std::string& text) {
                  const std::lock_guard<std::mutex> lock(mutex_);
                  notices_.push_back(text);
                },
            .domains =
                [this](std::map<std::string, std::string> domains) {
                  const std::lock_guard<std::mutex> lock(mutex_);
                  domains_ = std::move(domains);
                  ++lists_;
                }};
  }
  std::map<std::string, std::string> domains() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return domains_;
  }
  size_t notices() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return notices_.size();
  }
  int changes() const { return changes_; }
  int lists() const { return lists_; }
  // Until it has told which domains there are at first, and is quiet.
  bool AwaitBegin() const {
    return clock_.Await([this] { return changes_ >= 1 && lists_ >= 1; });
  }
  template <typename Predicate>
  bool Await(Predicate predicate) const {
    return clock_.Await(predicate);
  }

 private:
  mutable RecordingSink clock_;  // for Await()
  mutable std::mutex mutex_;
  std::map<std::string, std::string> domains_;
  std::vector<std::string> notices_;
  std::atomic<int> changes_{0}, lists_{0};
};

// The domain "test" of test:///default, which is one for the whole process, as somebody who may
// change it sees it.
class TestDomain {
 public:
  TestDomain()
      : connection_(virConnectOpen(kDefault)),
        domain_(virDomainLookupByName(connection_, "test")) {}
  ~TestDomain() {
    virDomainFree(domain_);
    virConnectClose(connection_);
  }
  bool Destroy() { return virDomainDestroy(domain_) == 0; }
  bool Create() { return virDomainCreate(domain_) == 0; }
  bool SetMetadata(const std::string& value) {
    return virDomainSetMetadata(domain_, VIR_DOMAIN_METADATA_ELEMENT, value.c_str(), "corral",
                                "urn:corral:domain:1", VIR_DOMAIN_AFFECT_LIVE) == 0;
  }
  virConnectPtr connection() const { return connection_; }

 private:
  const virConnectPtr connection_;
  const virDomainPtr domain_;
};

// A socket that is listened on by somebody who never answers, as a stopped libvirtd.
class HangingDaemon {
 public:
  HangingDaemon() : listener_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    char dir[] = "/tmp/corral-hang-XXXXXX";
    EXPECT_NE(mkdtemp(dir), nullptr);
    dir_ = dir;
    sockaddr_un address = {.sun_family = AF_UNIX};
    path().copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(listener_.get(), 8), 0);
  }
  // Threads that were left behind end with it.
  ~HangingDaemon() { std::filesystem::remove_all(dir_); }
  std::string uri() const { return absl::StrCat("qemu+unix:///system?socket=", path()); }

 private:
  std::string path() const { return absl::StrCat(dir_, "/sock"); }

  const Fd listener_;
  std::string dir_;
};

TEST(LibvirtConnection, SaysWhoIsNotThere) {
  const absl::Status status = LibvirtConnection::Open(kNobody, {}).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_NE(status.message().find("libvirt.uri in corral.yaml"), absl::string_view::npos) << status;
  EXPECT_FALSE(LibvirtConnection::Open("nonsense://", {}).ok());
}

TEST(LibvirtConnection, TellsDomainsAndChanges) {
  Listener listener;
  const auto connection = LibvirtConnection::Open(kDefault, listener.callbacks()).value();
  EXPECT_TRUE(listener.Await([&] { return listener.domains().size() == 1; }));
  EXPECT_EQ(listener.domains()["test"], "6695eb01-f6a4-8304-79aa-97f2502e193f");
  TestDomain test;
  const int before = listener.changes();
  ASSERT_TRUE(test.Destroy());
  EXPECT_TRUE(
      listener.Await([&] { return listener.domains().empty() && listener.changes() > before; }));
  ASSERT_TRUE(test.Create());
  EXPECT_TRUE(listener.Await([&] { return listener.domains().size() == 1; }));
}

TEST(LibvirtConnection, MetadataAndDefinitionsAreChanges) {
  Listener listener;
  const auto connection = LibvirtConnection::Open(kDefault, listener.callbacks()).value();
  ASSERT_TRUE(listener.AwaitBegin());
  TestDomain test;
  int before = listener.changes();
  const int lists = listener.lists();
  ASSERT_TRUE(test.SetMetadata("<reservation/>"));
  EXPECT_TRUE(listener.Await([&] { return listener.changes() > before; }));
  EXPECT_EQ(listener.lists(), lists) << "who runs was not asked for again";
  before = listener.changes();
  const virDomainPtr other = virDomainDefineXML(
      test.connection(),
      "<domain "
      "type='test'><name>other</name><memory>8192</memory><os><type>hvm</type></os></domain>");
  ASSERT_NE(other, nullptr);
  EXPECT_TRUE(listener.Await([&] { return listener.changes() > before; }));
  before = listener.changes();
  EXPECT_EQ(virDomainUndefine(other), 0);
  EXPECT_TRUE(listener.Await([&] { return listener.changes() > before; }));
  virDomainFree(other);
}

TEST(LibvirtConnection, SeveralAtOnce) {
  const std::string file = absl::StrCat("/tmp/corral-node-", getpid(), ".xml");
  std::ofstream(file) << "<node><domain type='test'><name>elsewhere</name>"
                         "<uuid>00000000-0000-4000-8000-00000000000e</uuid><memory>8192</memory>"
                         "<os><type>hvm</type></os></domain></node>";
  Listener first, second, elsewhere, nobody;
  auto a = LibvirtConnection::Open(kDefault, first.callbacks()).value();
  const auto b = LibvirtConnection::Open(kDefault, second.callbacks()).value();
  const auto c =
      LibvirtConnection::Open(absl::StrCat("test://", file), elsewhere.callbacks()).value();
  const auto d = LibvirtConnection::Begin(kNobody, nobody.callbacks());
  ASSERT_TRUE(first.AwaitBegin() && second.AwaitBegin() && elsewhere.AwaitBegin());
  EXPECT_EQ(
      elsewhere.domains(),
      (std::map<std::string, std::string>{{"elsewhere", "00000000-0000-4000-8000-00000000000e"}}));
  EXPECT_TRUE(nobody.Await([&] { return nobody.notices() == 1; }));
  const int quiet = elsewhere.changes();
  TestDomain test;
  ASSERT_TRUE(test.Destroy());
  EXPECT_TRUE(first.Await([&] { return first.domains().empty() && second.domains().empty(); }));
  EXPECT_EQ(elsewhere.domains().size(), 1u);
  EXPECT_EQ(elsewhere.changes(), quiet);
  // One that goes takes nobody along.
  a.reset();
  const int told = first.changes();
  ASSERT_TRUE(test.Create());
  EXPECT_TRUE(second.Await([&] { return second.domains().size() == 1; }));
  EXPECT_EQ(first.changes(), told);
  EXPECT_EQ(first.notices() + second.notices() + elsewhere.notices(), 0u);
  std::filesystem::remove(file);
}

// Events that arrive while their connection is given up find nobody.
TEST(LibvirtConnection, NothingIsToldAfterTheEnd) {
  // The test driver loses its timer when its last listener goes while an event comes in.
  const auto witness = LibvirtConnection::Open(kDefault, {}).value();
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    TestDomain test;
    for (int i = 0; !stop; ++i) {
      EXPECT_TRUE(test.SetMetadata(absl::StrCat("<x i='", i, "'/>")));
      // The test driver dispatches an event when none has followed for a moment.
      std::this_thread::sleep_for(milliseconds(1));
    }
  });
  RecordingSink clock;  // for Await()
  bool all_came = true;
  std::atomic<int> late{0};
  for (int i = 0; i < 50 && all_came; ++i) {
    std::atomic<bool> alive{true};
    std::atomic<int> changes{0};
    auto connection = LibvirtConnection::Open(kDefault, {.changed =
                                                             [&] {
                                                               ++changes;
                                                               if (!alive) ++late;
                                                             },
                                                         .notice = {},
                                                         .domains = {}})
                          .value();
    all_came = clock.Await([&] { return changes >= 3; });
    connection.reset();
    alive = false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  stop = true;
  writer.join();
  EXPECT_TRUE(all_came);
  EXPECT_EQ(late, 0);
}

TEST(LibvirtConnection, AHangingDaemonHangsNobodyElse) {
  HangingDaemon daemon;
  const steady_clock::time_point begin = steady_clock::now();
  const auto hangs = LibvirtConnection::Begin(daemon.uri(), {});
  std::this_thread::sleep_for(milliseconds(100));
  Listener listener;
  const auto connection = LibvirtConnection::Open(kDefault, listener.callbacks());
  ASSERT_TRUE(connection.ok()) << connection.status();
  ASSERT_TRUE(listener.AwaitBegin());
  TestDomain test;
  const int before = listener.changes();
  ASSERT_TRUE(test.SetMetadata("<beside/>"));
  EXPECT_TRUE(listener.Await([&] { return listener.changes() > before; }));
  EXPECT_LT(steady_clock::now() - begin, seconds(3));
}

TEST(LibvirtConnection, AHangingDaemonIsTold) {
  HangingDaemon daemon;
  const steady_clock::time_point begin = steady_clock::now();
  const absl::Status status = LibvirtConnection::Open(daemon.uri(), {}).status();
  EXPECT_LT(steady_clock::now() - begin, seconds(9));
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_NE(status.message().find("hangs"), absl::string_view::npos) << status;
}

}  // namespace
}  // namespace corral
