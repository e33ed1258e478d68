// SPDX-License-Identifier: Apache-2.0
#include "agent/views/running_agent.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace corral {
namespace {

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string OptionsOf(const std::string& process) {
  std::error_code error;
  for (const auto& fd : std::filesystem::directory_iterator(process + "/fd", error)) {
    const std::string target = std::filesystem::read_symlink(fd.path(), error).string();
    if (absl::StrContains(target, kAgentOptionsFd)) return Contents(fd.path().string());
  }
  return "";
}

}  // namespace

std::string ReplacedProgram(pid_t process) {
  std::error_code error;
  const std::string target =
      std::filesystem::read_symlink(absl::StrCat("/proc/", process, "/exe"), error).string();
  absl::string_view path = target;
  return absl::ConsumeSuffix(&path, " (deleted)") ? std::string(path) : "";
}

absl::StatusOr<RunningAgent> IdentifyAgent(pid_t tid) {
  const std::string process = absl::StrCat("/proc/", tid);
  const std::vector<std::string> arguments =
      absl::StrSplit(Contents(process + "/cmdline"), absl::ByChar('\0'));
  for (size_t i = 0; i + 1 < arguments.size(); ++i) {
    if (arguments[i] == "--policy")
      return RunningAgent{.policy = arguments[i + 1], .options_json = OptionsOf(process)};
  }
  return absl::NotFoundError(absl::StrCat("thread ", tid, " is no agent's"));
}

}  // namespace corral
