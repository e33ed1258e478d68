// SPDX-License-Identifier: Apache-2.0
#include "kernel/cpu_set.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace corral {
namespace {

absl::Status BadPart(absl::string_view part) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", part, "\" is not a CPU or a range of CPUs below ", CpuSet::kMaxCpus,
                   "; write a cpulist such as \"0-3,8\""));
}

}  // namespace

absl::StatusOr<CpuSet> CpuSet::Parse(absl::string_view cpulist) {
  CpuSet set;
  cpulist = absl::StripAsciiWhitespace(cpulist);
  if (cpulist.empty()) return set;
  for (absl::string_view part : absl::StrSplit(cpulist, ',')) {
    const std::pair<absl::string_view, absl::string_view> ends =
        absl::StrSplit(part, absl::MaxSplits('-', 1));
    const bool range = absl::StrContains(part, '-');
    int first = 0;
    int last = 0;
    if (!absl::SimpleAtoi(ends.first, &first) ||
        !absl::SimpleAtoi(range ? ends.second : ends.first, &last) || first < 0 || last < first ||
        last >= static_cast<int>(kMaxCpus)) {
      return BadPart(part);
    }
    for (int cpu = first; cpu <= last; ++cpu) set.Insert(CpuId(cpu));
  }
  return set;
}

std::string CpuSet::Format() const {
  std::string out;
  for (int cpu = First().value(); cpu >= 0 && cpu < static_cast<int>(kMaxCpus);) {
    int last = cpu;
    while (Contains(CpuId(last + 1))) ++last;
    absl::StrAppend(&out, out.empty() ? "" : ",", cpu);
    if (last > cpu) absl::StrAppend(&out, "-", last);
    cpu = static_cast<int>(bits_._Find_next(last));
  }
  return out;
}

std::vector<CpuId> CpuSet::ToVector() const {
  std::vector<CpuId> cpus;
  ForEach([&](CpuId cpu) { cpus.push_back(cpu); });
  return cpus;
}

}  // namespace corral
