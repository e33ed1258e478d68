// SPDX-License-Identifier: Apache-2.0
#include "tests/libvirt/footprint.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace corral {
namespace {

size_t Entries(const std::string& dir) {
  std::error_code error;
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(dir, error), {}));
}

}  // namespace

Footprint FootprintOf(pid_t pid) {
  Footprint footprint = {.descriptors = Entries(absl::StrCat("/proc/", pid, "/fd")),
                         .threads = Entries(absl::StrCat("/proc/", pid, "/task"))};
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  for (std::string word; status >> word;) {
    if (word == "VmRSS:") status >> footprint.resident_kib;
    if (word == "RssAnon:") status >> footprint.anonymous_kib;
  }
  return footprint;
}

}  // namespace corral
