// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf/sched_ext_state.h"

#include <filesystem>
#include <fstream>

namespace corral {
namespace {

std::string ReadLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

SchedExtState ReadSchedExtState(const std::string& root) {
  const std::string dir = root + "/sys/kernel/sched_ext";
  SchedExtState state;
  std::error_code error;
  state.present = std::filesystem::is_directory(dir, error);
  if (!state.present) return state;
  state.state = ReadLine(dir + "/state");
  if (state.Disabled()) return state;
  state.scheduler = ReadLine(dir + "/root/ops");
  if (state.scheduler.empty()) state.scheduler.push_back('?');
  return state;
}

}  // namespace corral
