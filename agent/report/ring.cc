// SPDX-License-Identifier: Apache-2.0
#include "agent/report/ring.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"

namespace corral::report {
namespace {

constexpr char kMagic[8] = {'C', 'o', 'r', 'r', 'a', 'l', 'R', 'i'};
constexpr uint32_t kVersion = 1;
constexpr size_t kLeastSamples = 16;
static_assert(kMostBytes < kMostRingBytes / kLeastSamples);

// The first cell of the file.
struct FileCell {
  char magic[8];
  uint32_t version;
  uint32_t cell;
  uint64_t capacity;  // bytes, this cell included
  uint32_t reserved[9];
  uint32_t checksum;  // of what is before it
};
static_assert(sizeof(FileCell) == kCell);

uint32_t Checksum(const FileCell& cell) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(&cell), offsetof(FileCell, checksum)));
}

std::string FirstCell(size_t capacity) {
  FileCell cell = {.version = kVersion, .cell = kCell, .capacity = capacity};
  memcpy(cell.magic, kMagic, sizeof(kMagic));
  cell.checksum = Checksum(cell);
  return {reinterpret_cast<const char*>(&cell), sizeof(cell)};
}

absl::StatusOr<FileCell> ParseFirstCell(absl::string_view bytes) {
  FileCell cell;
  if (bytes.size() < sizeof(cell))
    return absl::DataLossError("it is shorter than the beginning of a file of samples");
  memcpy(&cell, bytes.data(), sizeof(cell));
  if (memcmp(cell.magic, kMagic, sizeof(kMagic)) != 0)
    return absl::FailedPreconditionError("it is no file of Corral's samples");
  if (cell.checksum != Checksum(cell))
    return absl::DataLossError("the beginning of the file is damaged");
  if (cell.version != kVersion || cell.cell != kCell) {
    return absl::FailedPreconditionError(
        absl::StrCat("it has version ", cell.version, " and this Corral reads version ", kVersion));
  }
  return cell;
}

absl::Status Failed(const char* what, const std::string& path, int error) {
  const std::string text = absl::StrCat("cannot ", what, " ", path, ": ", strerror(error));
  if (error == ENOENT) {
    return absl::NotFoundError(
        absl::StrCat(text,
                     "; corrald writes it while it enforces, unless corral.yaml says "
                     "\"samples: off\""));
  }
  if (error == EACCES || error == EPERM)
    return absl::PermissionDeniedError(absl::StrCat(text, "; run as root"));
  return absl::InternalError(absl::StrCat(text, "; look at the file and its disk"));
}

absl::Status About(const std::string& path, const absl::Status& status) {
  return absl::Status(
      status.code(),
      absl::StrCat(path, ": ", status.message(),
                   "; corrald puts a new one in its place when it starts the next time"));
}

// No more than a ring can have.
absl::StatusOr<std::string> ReadAll(int fd, const std::string& path) {
  std::string bytes;
  size_t done = 0;
  while (done < kMostRingBytes) {
    bytes.resize(std::min(kMostRingBytes, std::max<size_t>(65536, 2 * done)));
    const ssize_t got = pread(fd, bytes.data() + done, bytes.size() - done, done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed("read", path, errno);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

// Each sample that is whole, with where it begins. Returns how many are not.
size_t ForEach(absl::string_view bytes, absl::FunctionRef<void(size_t, Record&&)> found) {
  size_t damaged = 0;
  for (size_t at = kCell; at < bytes.size();) {
    absl::StatusOr<Record> record = Decode(bytes.substr(at));
    if (record.ok()) {
      const size_t begin = std::exchange(at, at + record->bytes);
      found(begin, *std::move(record));
    } else {
      damaged += absl::IsDataLoss(record.status()) ? 1 : 0;
      at += kCell;
    }
  }
  return damaged;
}

absl::Status WriteAt(int fd, const std::string& bytes, size_t at, const std::string& path) {
  ssize_t written = 0;
  do {
    written = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
  } while (written < 0 && errno == EINTR);
  if (written < 0) return Failed("write", path, errno);
  // Readers see by its checksum that it is none.
  if (static_cast<size_t>(written) < bytes.size()) return Failed("write", path, ENOSPC);
  return absl::OkStatus();
}

}  // namespace

// Of the capacity a day may not have the first cell, the end of a lap where the next sample does
// not fit, and that next sample. How large that will be, nobody knows before.
Duration LeastInterval(size_t bytes, size_t capacity) {
  const size_t usable = capacity - kCell - 2 * (capacity / kLeastSamples);
  const __int128 ns = static_cast<__int128>(kRingHistory.count()) * bytes;
  return Duration(static_cast<int64_t>((ns + usable - 1) / usable));
}

absl::StatusOr<RingContents> ParseRing(absl::string_view bytes, absl::Time since) {
  const absl::StatusOr<FileCell> first = ParseFirstCell(bytes);
  if (!first.ok()) return first.status();
  std::vector<Record> records;
  RingContents contents;
  uint32_t lap = 0;
  contents.damaged = ForEach(bytes, [&](size_t, Record&& record) {
    lap = std::max(lap, record.place.lap);
    if (record.sample.at >= since) records.push_back(std::move(record));
  });
  // At the end of the file, where a lap may have had no room, a sample of an earlier one is left.
  std::erase_if(records, [&](const Record& r) { return lap - r.place.lap > 1; });
  std::sort(records.begin(), records.end(),
            [](const Record& a, const Record& b) { return a.place.sequence < b.place.sequence; });
  for (Record& record : records) contents.samples.push_back(std::move(record.sample));
  return contents;
}

absl::StatusOr<RingContents> ReadRing(const std::string& path, absl::Time since) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Failed("open", path, errno);
  const absl::StatusOr<std::string> bytes = ReadAll(fd.get(), path);
  if (!bytes.ok()) return bytes.status();
  absl::StatusOr<RingContents> contents = ParseRing(*bytes, since);
  if (!contents.ok()) return About(path, contents.status());
  return contents;
}

absl::StatusOr<RingWriter> RingWriter::Open(const std::string& path, size_t capacity) {
  Fd fd(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!fd && errno == ENOENT) return Replace(path, capacity);
  if (!fd) return Failed("open", path, errno);
  const absl::StatusOr<std::string> bytes = ReadAll(fd.get(), path);
  if (!bytes.ok()) return bytes.status();
  const absl::StatusOr<FileCell> first = ParseFirstCell(*bytes);
  if (!first.ok()) return About(path, first.status());
  if (first->capacity != capacity) {
    return About(path, absl::FailedPreconditionError(absl::StrCat(
                           "it may grow to ", first->capacity, " bytes, and not to ", capacity)));
  }
  RingWriter writer(path, std::move(fd), capacity);
  ForEach(*bytes, [&writer](size_t at, Record&& record) {
    if (record.place.sequence < writer.place_.sequence) return;
    writer.place_ = {.sequence = record.place.sequence + 1, .lap = record.place.lap};
    writer.at_ = at + record.bytes;
    writer.last_bytes_ = record.bytes;
  });
  return writer;
}

absl::StatusOr<RingWriter> RingWriter::Replace(const std::string& path, size_t capacity) {
  if (capacity < 2 * kLeastSamples * kCell || capacity > kMostRingBytes)
    return absl::InvalidArgumentError(
        absl::StrCat("a ring of ", capacity, " bytes; at most ", kMostRingBytes, " are allowed"));
  const std::string draft = absl::StrCat(path, ".new");
  unlink(draft.c_str());
  Fd fd(open(draft.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return Failed("make", draft, errno);
  absl::Status status = WriteAt(fd.get(), FirstCell(capacity), 0, draft);
  if (status.ok() && rename(draft.c_str(), path.c_str()) != 0) status = Failed("make", path, errno);
  if (!status.ok()) {
    unlink(draft.c_str());
    return status;
  }
  return RingWriter(path, std::move(fd), capacity);
}

absl::Status RingWriter::Append(const Sample& sample) {
  Place place = place_;
  std::string bytes = Encode(sample, place);
  size_t at = at_;
  if (bytes.size() > capacity_ / kLeastSamples) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a sample of ", bytes.size(), " bytes is too large for ", path_));
  }
  if (at + bytes.size() > capacity_) {
    ++place.lap;
    at = kCell;
    bytes = Encode(sample, place);
  }
  if (absl::Status status = WriteAt(fd_.get(), bytes, at, path_); !status.ok()) return status;
  last_bytes_ = bytes.size();
  at_ = at + bytes.size();
  place_ = {.sequence = place.sequence + 1, .lap = place.lap};
  return absl::OkStatus();
}

}  // namespace corral::report
