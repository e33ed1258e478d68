// SPDX-License-Identifier: Apache-2.0
// The audit log: what was seen of a host, stretch by stretch, so that whoever changes or removes an
// entry later gives himself away. A line of JSON each; its hash (SHA-256) covers all of it and the
// hash of the line before.
//
// What it proves: with one hash that was written down elsewhere (the journal has one an hour), that
// nothing up to there was changed since. Root may write another log from the beginning, with other
// hashes; and the log says what the auditor saw, no more. At most kMostBytes, and as much in the
// file before (PATH.1), whose last hash the first line of the next one goes on from.
//
// One process writes; anybody who may read the file reads it meanwhile.
#ifndef CORRAL_AGENT_LEDGER_LEDGER_H_
#define CORRAL_AGENT_LEDGER_LEDGER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "kernel/fd.h"
#include "kernel/types.h"

namespace corral::ledger {

inline constexpr char kName[] = "audit.log";  // below corrald's state directory
inline constexpr size_t kMostBytes = 64 * 1024 * 1024;

// What was seen from `begin` to `end`.
struct Stretch {
  absl::Time begin, end;
  Duration in_charge{0};             // the kernel said that the class is
  uint64_t bypassed = 0;             // threads that the kernel ran past it nevertheless
  Duration watched{0};               // the auditor measured
  Duration shared{0};                // two VMs in the class shared a core
  Duration exposed{0};               // likewise, with one that was not in it
  bool complete = true;              // the auditor missed nothing
  std::vector<std::string> tenants;  // trust domains that were in the class at its end

  friend bool operator==(const Stretch&, const Stretch&) = default;
};

struct Entry {
  uint64_t number = 0;  // from 1
  Stretch stretch;
  std::string former;  // hash of the one before, in hex; "" of the very first
  std::string hash;
};

// The line of an entry, without its end; its hash is made here.
std::string Format(uint64_t number, const Stretch& stretch, const std::string& former);

// All entries of a log's text, in order. DataLoss: which line is not what was written there, or
// does not go on from the one before. A last line without an end is left out: a power loss.
absl::StatusOr<std::vector<Entry>> Parse(absl::string_view text);
// Of the file before and the file. NotFound: there is none.
absl::StatusOr<std::vector<Entry>> Read(const std::string& path);

class Writer {
 public:
  // Goes on where the file ends, or makes it. DataLoss: as of Parse(); the file is left alone.
  static absl::StatusOr<Writer> Open(const std::string& path, size_t most_bytes = kMostBytes);

  // On the disk when it returns.
  absl::Status Append(const Stretch& stretch);
  const std::string& head() const { return head_; }  // the last hash
  uint64_t entries() const { return number_; }

 private:
  Writer(std::string path, size_t most_bytes) : path_(std::move(path)), most_bytes_(most_bytes) {}
  absl::Status OpenFile();

  std::string path_;
  size_t most_bytes_;
  Fd file_;
  std::string head_;
  uint64_t number_ = 0;
};

}  // namespace corral::ledger

#endif  // CORRAL_AGENT_LEDGER_LEDGER_H_
