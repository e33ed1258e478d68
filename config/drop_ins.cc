// SPDX-License-Identifier: Apache-2.0
#include "config/drop_ins.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace corral {

std::string DropInFolder(const std::string& file) {
  return absl::StrCat(absl::StripSuffix(file, ".yaml"), ".d");
}

absl::StatusOr<DropIns> FindDropIns(const std::string& file) {
  const std::string folder = DropInFolder(file);
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error);
  if (error == std::errc::no_such_file_or_directory) return DropIns();
  DropIns found;
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (absl::StartsWith(name, ".")) continue;
    (absl::EndsWith(name, ".yaml") ? found.files : found.ignored).push_back(entry->path().string());
  }
  if (error) {
    return absl::NotFoundError(absl::StrCat("cannot read ", folder, ": ", error.message(),
                                            "; it must be a folder of drop-ins, or not be there"));
  }
  if (found.files.size() > kMaxDropIns) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, ": ", found.files.size(), " drop-ins; there may be ", kMaxDropIns));
  }
  std::sort(found.files.begin(), found.files.end());
  std::sort(found.ignored.begin(), found.ignored.end());
  return found;
}

}  // namespace corral
