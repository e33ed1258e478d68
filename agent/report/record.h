// SPDX-License-Identifier: Apache-2.0
// A sample as bytes: cells of 64 bytes, of which a header takes two, a trust domain two, what was
// told four, and four cores one. Header and body have checksums of their own.
//
// The numbers are little-endian, as all machines write them that the class runs on. Shares are
// kept to a millionth of a CPU; what was waited for to a thousandth of itself; and how many waits
// there were to an eighth. Pure functions; any thread.
#ifndef CORRAL_AGENT_REPORT_RECORD_H_
#define CORRAL_AGENT_REPORT_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/report/sample.h"

namespace corral::report {

inline constexpr size_t kCell = 64;
// Beyond these the least used domains and the latest news are left out.
inline constexpr size_t kMostDomains = 8192;
inline constexpr size_t kMostTold = 64;
// The size of the largest sample: kMostDomains, kMostTold and CpuSet::kMaxCpus cores.
inline constexpr size_t kMostBytes = kCell * (2 + 2 * kMostDomains + 4 * kMostTold + 1024 / 4);

// Where a record stands in the history of its file.
struct Place {
  uint64_t sequence = 0;  // from 1 on
  uint32_t lap = 0;       // how often the file had been filled
};

std::string Encode(const Sample& sample, const Place& place);

struct Record {
  Sample sample;
  Place place;
  size_t bytes = 0;
};
// The record at the beginning of `bytes`, which may go on behind it. NotFound: none begins here.
// DataLoss: one does, and is damaged or cut off; what follows it is at the next cell at best.
absl::StatusOr<Record> Decode(absl::string_view bytes);

}  // namespace corral::report

#endif  // CORRAL_AGENT_REPORT_RECORD_H_
