// SPDX-License-Identifier: Apache-2.0
// A BPF array map in this process's memory, read-only. The class writes it meanwhile: read each
// field once.
#ifndef CORRAL_KERNEL_BPF_MAPPED_ARRAY_H_
#define CORRAL_KERNEL_BPF_MAPPED_ARRAY_H_

#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace corral {

class RawMapping {
 public:
  RawMapping() = default;
  RawMapping(RawMapping&& other) noexcept
      : address_(std::exchange(other.address_, nullptr)),
        bytes_(other.bytes_),
        entries_(other.entries_) {}
  RawMapping& operator=(RawMapping&& other) noexcept {
    std::swap(address_, other.address_);
    std::swap(bytes_, other.bytes_);
    std::swap(entries_, other.entries_);
    return *this;
  }
  ~RawMapping();

  // Maps the array behind `fd`. FailedPrecondition when its elements are not `value_size` bytes:
  // another version of the class.
  static absl::StatusOr<RawMapping> Map(int fd, absl::string_view name, size_t value_size);
  const void* address() const { return address_; }
  size_t entries() const { return entries_; }

 private:
  void* address_ = nullptr;
  size_t bytes_ = 0;
  size_t entries_ = 0;
};

template <typename T>
class MappedArray {
 public:
  static_assert(sizeof(T) % 8 == 0, "array elements are padded to 8 bytes in a mapping");
  static absl::StatusOr<MappedArray> Map(int fd, absl::string_view name) {
    absl::StatusOr<RawMapping> raw = RawMapping::Map(fd, name, sizeof(T));
    if (!raw.ok()) return raw.status();
    MappedArray array;
    array.raw_ = *std::move(raw);
    return array;
  }
  absl::Span<const T> span() const {
    return absl::MakeConstSpan(static_cast<const T*>(raw_.address()), raw_.entries());
  }
  const T& operator[](size_t i) const { return span()[i]; }

 private:
  RawMapping raw_;
};

}  // namespace corral

#endif  // CORRAL_KERNEL_BPF_MAPPED_ARRAY_H_
