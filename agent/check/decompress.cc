// SPDX-License-Identifier: Apache-2.0
#include "agent/check/decompress.h"

#include <archive.h>
#include <archive_entry.h>

#include <memory>

#include "absl/strings/str_cat.h"

namespace corral {
namespace {

constexpr size_t kChunk = 1024 * 1024;

struct ArchiveDeleter {
  void operator()(archive* a) const { archive_read_free(a); }
};
using Archive = std::unique_ptr<archive, ArchiveDeleter>;

absl::Status Failed(const Archive& archive, const char* what) {
  const char* const reason = archive_error_string(archive.get());
  return absl::InvalidArgumentError(
      absl::StrCat(what, reason == nullptr ? "" : ": ", reason == nullptr ? "" : reason));
}

// Not all filters: some would run whatever program is called lzop, on bytes that nobody vouches
// for.
bool AddFilters(const Archive& archive) {
  for (const auto add : {archive_read_support_filter_gzip, archive_read_support_filter_bzip2,
                         archive_read_support_filter_xz, archive_read_support_filter_lzma,
                         archive_read_support_filter_zstd, archive_read_support_filter_lz4}) {
    // A warning means that it would need a program.
    if (add(archive.get()) != ARCHIVE_OK) return false;
  }
  return archive_read_support_format_raw(archive.get()) == ARCHIVE_OK;
}

}  // namespace

absl::StatusOr<std::string> Decompress(absl::string_view bytes, size_t max_bytes) {
  const Archive archive(archive_read_new());
  if (archive == nullptr) return absl::ResourceExhaustedError("no memory to unpack it");
  if (!AddFilters(archive)) return Failed(archive, "this libarchive cannot unpack kernels");
  archive_entry* entry = nullptr;
  if (archive_read_open_memory(archive.get(), bytes.data(), bytes.size()) != ARCHIVE_OK ||
      archive_read_next_header(archive.get(), &entry) != ARCHIVE_OK) {
    return Failed(archive, "it cannot be unpacked");
  }
  // The last filter is the bytes as they are.
  if (archive_filter_count(archive.get()) < 2) {
    return absl::InvalidArgumentError("it is compressed in no way that is known here");
  }
  std::string out;
  for (;;) {
    const size_t size = out.size();
    out.resize(size + kChunk);
    const la_ssize_t got = archive_read_data(archive.get(), out.data() + size, kChunk);
    if (got < 0) return Failed(archive, "it is damaged or truncated");
    out.resize(size + static_cast<size_t>(got));
    if (got == 0) return out;
    if (out.size() > max_bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("it unpacks to more than ", max_bytes, " bytes"));
    }
  }
}

}  // namespace corral
