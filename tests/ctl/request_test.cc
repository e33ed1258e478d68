// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/request.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace corral {
namespace {

absl::StatusOr<Request> Parse(absl::string_view packet) {
  return ParseRequest(
      nlohmann::json::parse(packet.begin(), packet.end(), nullptr, /*allow_exceptions=*/false));
}

TEST(RequestTest, EachCall) {
  const absl::StatusOr<Request> policy =
      Parse(R"({"call":"policy.set","enclave":"vms","policy":"fifo","drop_promises":true})");
  ASSERT_TRUE(policy.ok()) << policy.status();
  const auto& wanted = std::get<PolicyRequest>(*policy);
  EXPECT_EQ(wanted.enclave, "vms");
  EXPECT_EQ(wanted.policy, "fifo");
  EXPECT_TRUE(wanted.drop_promises);

  const absl::StatusOr<Request> attach =
      Parse(R"({"call":"attach","enclave":"web","pid":2147483647})");
  ASSERT_TRUE(attach.ok()) << attach.status();
  EXPECT_EQ(std::get<AttachRequest>(*attach).enclave, "web");
  EXPECT_EQ(std::get<AttachRequest>(*attach).pid, 2147483647);

  EXPECT_EQ(std::get<UpgradeRequest>(Parse(R"({"call":"upgrade","agent":"/a"})").value()).agent,
            "/a");
  EXPECT_EQ(std::get<UpgradeRequest>(Parse(R"({"call":"upgrade"})").value()).agent, "");
  EXPECT_TRUE(std::holds_alternative<ModeRequest>(Parse(R"({"call":"mode"})").value()));
  EXPECT_TRUE(std::holds_alternative<ReloadRequest>(Parse(R"({"call":"reload"})").value()));
}

TEST(RequestTest, WhatIsAmissIsSaid) {
  struct Case {
    const char* packet;
    const char* said;
  };
  for (const Case& c : {
           Case{"", "a JSON object with a \"call\""},
           Case{"{", "a JSON object with a \"call\""},
           Case{"[]", "a JSON object with a \"call\""},
           Case{R"({"call":1})", "a JSON object with a \"call\""},
           Case{R"({"call":"format"})", "there is no call \"format\""},
           Case{R"({"call":"policy.set","policy":"fifo"})", "policy.set needs \"enclave\""},
           Case{R"({"call":"policy.set","enclave":["vms"],"policy":"fifo"})", "needs \"enclave\""},
           Case{R"({"call":"policy.set","enclave":"vms"})", "policy.set needs \"policy\""},
           Case{R"({"call":"policy.set","enclave":"vms","policy":"fifo","drop_promises":1})",
                "\"drop_promises\" is neither true nor false"},
           Case{R"({"call":"attach","enclave":"web"})", "attach needs \"pid\""},
           Case{R"({"call":"attach","enclave":"web","pid":"1"})", "attach needs \"pid\""},
           Case{R"({"call":"attach","enclave":"web","pid":0})", "attach needs \"pid\""},
           Case{R"({"call":"attach","enclave":"web","pid":-1})", "attach needs \"pid\""},
           Case{R"({"call":"attach","enclave":"web","pid":1.5})", "attach needs \"pid\""},
           // In 32 bits it would be process 1.
           Case{R"({"call":"attach","enclave":"web","pid":4294967297})", "attach needs \"pid\""},
           Case{R"({"call":"attach","enclave":"web","pid":18446744073709551615})",
                "attach needs \"pid\""},
           Case{R"({"call":"upgrade","agent":7})", "upgrade needs \"agent\""},
       }) {
    const absl::StatusOr<Request> request = Parse(c.packet);
    ASSERT_FALSE(request.ok()) << c.packet;
    EXPECT_TRUE(absl::StrContains(request.status().message(), c.said))
        << c.packet << ": " << request.status();
  }
}

}  // namespace
}  // namespace corral
