// SPDX-License-Identifier: Apache-2.0
// Unpacks one compressed stream in memory: gzip, bzip2, xz, lzma, zstd or lz4, recognized by its
// first bytes. libarchive does it all. Any thread.
#ifndef CORRAL_AGENT_CHECK_DECOMPRESS_H_
#define CORRAL_AGENT_CHECK_DECOMPRESS_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace corral {

// InvalidArgument: not compressed in one of these ways, damaged, or more than `max_bytes` unpacked.
absl::StatusOr<std::string> Decompress(absl::string_view bytes, size_t max_bytes);

}  // namespace corral

#endif  // CORRAL_AGENT_CHECK_DECOMPRESS_H_
