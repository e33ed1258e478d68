// SPDX-License-Identifier: Apache-2.0
// Which changes a real libvirtd tells by events, in the test host.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "tests/libvirt/recording_sink.h"
#include "tests/libvirt/virsh.h"
#include "vmm-integration/libvirt_connection.h"

namespace corral {
namespace {

TEST(LibvirtConnectionHost, EveryChangeIsTold) {
  std::atomic<int> first{0}, second{0};
  const auto connection =
      LibvirtConnection::Open("qemu:///system",
                              {.changed = [&] { ++first; }, .notice = {}, .domains = {}})
          .value();
  // The same daemon by its other way in.
  const auto other =
      LibvirtConnection::Open("qemu+unix:///system",
                              {.changed = [&] { ++second; }, .notice = {}, .domains = {}})
          .value();
  RecordingSink clock;  // for Await()
  ASSERT_TRUE(clock.Await([&] { return first >= 1 && second >= 1; }));
  const auto expect_told = [&](const std::string& command) {
    const int before_first = first, before_second = second;
    Shell(command);
    EXPECT_TRUE(clock.Await([&] { return first > before_first && second > before_second; },
                            std::chrono::seconds(10)))
        << command;
  };
  DefineDomain("epsilon", 1, 1);
  expect_told("virsh -q start epsilon");
  expect_told("virsh -q schedinfo epsilon --live --set cpu_shares=300");
  expect_told("virsh -q schedinfo epsilon --live --set vcpu_quota=50000");
  expect_told("virsh -q vcpupin epsilon 0 0-1 --live");
  expect_told(
      "virsh -q metadata epsilon --uri urn:corral:domain:1 --key corral --set '<x/>' --live");
  std::ofstream("/tmp/rng.xml") << "<rng model='virtio'><backend model='random'>/dev/urandom"
                                   "</backend></rng>";
  expect_told("virsh -q attach-device epsilon /tmp/rng.xml --live");
  expect_told("virsh -q destroy epsilon");
  expect_told("virsh -q undefine epsilon");
}

}  // namespace
}  // namespace corral
