// SPDX-License-Identifier: Apache-2.0
// libFuzzer on corrald's file of samples, and on the page that is made of it. Whatever the bytes
// are: samples, or an error that says what is wrong; a sample that is written and read again is the
// same; and a page comes of them.
//
// A checksum keeps nearly all bytes from being looked at, so those where there should be one are
// put right first, in every other input.
#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "agent/report/page.h"
#include "agent/report/ring.h"
#include "tests/fuzz/expect.h"

namespace corral::report {
namespace {

uint32_t Word(const std::string& bytes, size_t at) {
  uint32_t word = 0;
  memcpy(&word, bytes.data() + at, sizeof(word));
  return word;
}

// The checksum of [from, from + size), at `at`.
void Sign(std::string& bytes, size_t from, size_t size, size_t at) {
  const auto sum =
      static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data() + from), size));
  memcpy(bytes.data() + at, &sum, sizeof(sum));
}

// As record.cc and ring.cc lay them out.
void SignAll(std::string& bytes) {
  if (bytes.size() >= kCell) Sign(bytes, 0, kCell - 4, kCell - 4);
  for (size_t at = kCell; at + 2 * kCell <= bytes.size();) {
    if (bytes.compare(at, 8, "CorralS2") != 0) {
      at += kCell;
      continue;
    }
    const uint64_t domains = Word(bytes, at + 24), cores = Word(bytes, at + 28);
    const uint64_t told = Word(bytes, at + 32);
    const uint64_t body = kCell * (2 * domains + (cores + 3) / 4 + 4 * told);
    const bool fits = body <= bytes.size() - at - 2 * kCell;
    if (fits) Sign(bytes, at + 2 * kCell, body, at + 2 * kCell - 8);
    Sign(bytes, at, 2 * kCell - 4, at + 2 * kCell - 4);
    at += fits ? 2 * kCell + body : kCell;
  }
}

Sample Again(const Sample& sample) {
  const absl::StatusOr<Record> record = Decode(Encode(sample, {.sequence = 1, .lap = 0}));
  Expect(record.ok(), "what was written cannot be read");
  return record->sample;
}

void TryOne(std::string bytes) {
  if (!bytes.empty() && bytes.back() % 2 == 0) SignAll(bytes);
  const absl::StatusOr<RingContents> contents = ParseRing(bytes);
  if (!contents.ok()) {
    Expect(!contents.status().message().empty(), "an error without a word");
    return;
  }
  for (const Sample& sample : contents->samples) {
    // A name that fills its field loses its last byte, once.
    const Sample second = Again(sample);
    Expect(Again(second) == second, "read again it is another");
  }
  const absl::StatusOr<Summary> summary = Summarize(contents->samples);
  Expect(summary.ok() != contents->samples.empty(), "no summary of samples, or one of none");
  if (summary.ok()) Expect(!Page(*summary, {.subject = "fuzz"}).empty(), "no page");
}

}  // namespace
}  // namespace corral::report

// The name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(  // NOLINT(readability-identifier-naming)
    const uint8_t* data, size_t size) {
  corral::report::TryOne(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
