// SPDX-License-Identifier: Apache-2.0
// How a policy gets its options: the registry's tables, and the sealed memory file that they come
// in.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/main/exit_codes.h"
#include "agent/main/sealed_options.h"
#include "policies/registry.h"
#include "policies/secure_vm/options.h"

namespace corral {
namespace {

constexpr int kAllSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

int MemoryFile(absl::string_view text, int seals) {
  const int fd = memfd_create("options", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  EXPECT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  EXPECT_EQ(fcntl(fd, F_ADD_SEALS, seals), 0);
  return fd;
}

TEST(SealedOptions, AreReadAsOftenAsOneLikes) {
  const int fd = MemoryFile("{\"tenure\":\"5ms\"}", kAllSeals);
  EXPECT_EQ(ReadSealed(fd).value(), "{\"tenure\":\"5ms\"}");
  EXPECT_EQ(ReadSealed(fd).value(), "{\"tenure\":\"5ms\"}");
  close(fd);
}

TEST(SealedOptions, EverySealIsAskedFor) {
  for (const int missing : {F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE}) {
    const int fd = MemoryFile("{}", kAllSeals & ~missing);
    EXPECT_EQ(ReadSealed(fd).status().code(), absl::StatusCode::kPermissionDenied) << missing;
    close(fd);
  }
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(ReadSealed(fd).status().code(), absl::StatusCode::kPermissionDenied);
  close(fd);
}

TEST(SealedOptions, AreNotEndless) {
  const int fd = MemoryFile(std::string((1 << 20) + 1, ' '), kAllSeals);
  EXPECT_EQ(ReadSealed(fd).status().code(), absl::StatusCode::kInvalidArgument);
  close(fd);
}

TEST(SealedOptions, NoneIsAnEmptyDocument) { EXPECT_EQ(InheritedOptions().value(), "{}"); }

TEST(Registry, KnowsItsPolicies) {
  EXPECT_EQ(FindPolicy("secure_vm").value()->name, "secure_vm");
  const absl::Status status = FindPolicy("secure-vm").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(status.message().find("secure_vm"), absl::string_view::npos) << status;
}

TEST(Registry, DefaultsOfEveryPolicyAreValid) {
  for (const PolicyInfo& policy : Policies()) {
    for (const OptionSpec& option : policy.options) {
      OptionValues values = OptionValues::Defaults(policy.options);
      EXPECT_TRUE(values.Set(option.name, option.default_value).ok()) << option.name;
      EXPECT_FALSE(option.help.empty()) << option.name;
    }
    EXPECT_NE(policy.make_per_core != nullptr, policy.make_central != nullptr) << policy.name;
  }
}

TEST(Registry, MakesAPolicyFromItsOptions) {
  const PolicyInfo& info = *FindPolicy("secure_vm").value();
  const Topology topology = Topology::FromHwlocSynthetic("numa:1 core:2 pu:2").value();
  const OptionValues values = OptionValues::FromJson(info.options, "{\"tenure\":\"5ms\"}").value();
  EXPECT_EQ(secure_vm::ReadOptions(values).tenure, std::chrono::milliseconds(5));
  const auto policy =
      info.make_per_core({.topology = topology, .nr_slots = 64, .options = values}).value();
  EXPECT_NE(policy->MakeCore(1), nullptr);
  EXPECT_FALSE(OptionValues::FromJson(info.options, "{\"tenure\":\"2s\"}").ok());
  EXPECT_FALSE(OptionValues::FromJson(info.options, "{\"tenur\":\"2ms\"}").ok());
}

TEST(ExitCodes, TellConfigurationFromTheClass) {
  EXPECT_EQ(ExitCodeOf(absl::InvalidArgumentError("")), kExitConfig);
  EXPECT_EQ(ExitCodeOf(absl::FailedPreconditionError("")), kExitUnavailable);
  EXPECT_EQ(ExitCodeOf(absl::PermissionDeniedError("")), kExitPermission);
}

}  // namespace
}  // namespace corral
