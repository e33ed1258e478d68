// SPDX-License-Identifier: Apache-2.0
// The file in which corrald keeps its samples of the last day, for `corralctl report`: of at most
// kMostRingBytes, the newest sample in the place of the oldest.
//
// A sample is one write and no fsync: after a power loss the samples of the last seconds may be
// missing, and at most the one that was being written, with those in whose place it came, is
// damaged. Readers find samples by their checksums and skip what is none, so they need no lock and
// no order in which bytes reach the disk. A day fits whatever the host is, because a large sample
// is followed by a long pause (LeastInterval).
//
// A RingWriter belongs to one thread, and one process writes a file; anybody may read meanwhile.
#ifndef CORRAL_AGENT_REPORT_RING_H_
#define CORRAL_AGENT_REPORT_RING_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/report/record.h"
#include "kernel/fd.h"

namespace corral::report {

inline constexpr size_t kMostRingBytes = 64 * 1024 * 1024;
inline constexpr Duration kRingHistory = std::chrono::hours(24);
// Below corrald's state directory.
inline constexpr char kRingName[] = "samples.ring";
inline constexpr char kStateDir[] = "/var/lib/corral";

// How long after a sample of so many bytes the next one may come, so that the file holds
// kRingHistory. `capacity` is the file's, of 16 samples at least.
Duration LeastInterval(size_t bytes, size_t capacity = kMostRingBytes);

struct RingContents {
  std::vector<Sample> samples;  // in the order in which they were written
  size_t damaged = 0;           // that were skipped
};

// What is in a file's bytes. Samples that ended before `since` are left out. FailedPrecondition:
// it is no ring, or of another version. DataLoss: its beginning is damaged.
absl::StatusOr<RingContents> ParseRing(absl::string_view bytes,
                                       absl::Time since = absl::InfinitePast());
// NotFound: there is none. PermissionDenied. Else as ParseRing.
absl::StatusOr<RingContents> ReadRing(const std::string& path,
                                      absl::Time since = absl::InfinitePast());

class RingWriter {
 public:
  // Goes on where the file ends, or makes it. Errors as of ReadRing, but for NotFound: then Replace
  // is the way on.
  static absl::StatusOr<RingWriter> Open(const std::string& path, size_t capacity = kMostRingBytes);
  // An empty file in the place of whatever is there, in one step.
  static absl::StatusOr<RingWriter> Replace(const std::string& path,
                                            size_t capacity = kMostRingBytes);

  // One write. On an error the next one comes to the same place.
  absl::Status Append(const Sample& sample);
  // After the last one that was appended.
  Duration least_interval() const { return LeastInterval(last_bytes_, capacity_); }

 private:
  RingWriter(std::string path, Fd fd, size_t capacity)
      : path_(std::move(path)), fd_(std::move(fd)), capacity_(capacity) {}

  std::string path_;
  Fd fd_;
  size_t capacity_;
  size_t at_ = kCell;  // where the next one goes
  Place place_{.sequence = 1, .lap = 0};
  size_t last_bytes_ = kCell;
};

}  // namespace corral::report

#endif  // CORRAL_AGENT_REPORT_RING_H_
