// SPDX-License-Identifier: Apache-2.0
// A set of logical CPUs as a value, and the kernel's cpulist notation ("0-3,8,10-11") for it.
//
// Holds CPU ids 0..1023. Never allocates, so agents may use it on the hot path. Parse and Format do
// allocate.
#ifndef CORRAL_KERNEL_CPU_SET_H_
#define CORRAL_KERNEL_CPU_SET_H_

#include <bitset>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernel/types.h"

namespace corral {

class CpuSet {
 public:
  static constexpr size_t kMaxCpus = 1024;

  CpuSet() = default;
  CpuSet(std::initializer_list<int> cpus) {
    for (int cpu : cpus) Insert(CpuId(cpu));
  }

  static CpuSet All() { return CpuSet(~Bits()); }
  // As the kernel keeps masks: 64 CPUs in each word, the lowest first.
  template <typename Words>
  static CpuSet FromWords(const Words& words) {
    CpuSet set;
    for (size_t i = std::size(words); i > 0; --i) set.bits_ = set.bits_ << 64 | Bits(words[i - 1]);
    return set;
  }

  // Reads a cpulist. InvalidArgument names the part that is wrong.
  static absl::StatusOr<CpuSet> Parse(absl::string_view cpulist);
  std::string Format() const;

  // Ids outside 0..1023 are never members; inserting one does nothing.
  void Insert(CpuId cpu) {
    if (Valid(cpu)) bits_.set(cpu.value());
  }
  void Erase(CpuId cpu) {
    if (Valid(cpu)) bits_.reset(cpu.value());
  }
  bool Contains(CpuId cpu) const { return Valid(cpu) && bits_.test(cpu.value()); }
  bool Contains(const CpuSet& other) const { return (other.bits_ & ~bits_).none(); }
  bool Intersects(const CpuSet& other) const { return (bits_ & other.bits_).any(); }
  bool empty() const { return bits_.none(); }
  size_t size() const { return bits_.count(); }

  CpuSet operator&(const CpuSet& o) const { return CpuSet(bits_ & o.bits_); }
  CpuSet operator|(const CpuSet& o) const { return CpuSet(bits_ | o.bits_); }
  CpuSet operator-(const CpuSet& o) const { return CpuSet(bits_ & ~o.bits_); }
  bool operator==(const CpuSet&) const = default;

  // In ascending order.
  std::vector<CpuId> ToVector() const;
  template <typename F>
  void ForEach(F&& f) const {
    for (size_t i = bits_._Find_first(); i < kMaxCpus; i = bits_._Find_next(i))
      f(CpuId(static_cast<int>(i)));
  }
  // The lowest member; CpuId(-1) when empty.
  CpuId First() const { return empty() ? CpuId(-1) : CpuId(static_cast<int>(bits_._Find_first())); }

 private:
  using Bits = std::bitset<kMaxCpus>;
  explicit CpuSet(Bits bits) : bits_(bits) {}
  static bool Valid(CpuId cpu) {
    return cpu.value() >= 0 && cpu.value() < static_cast<int>(kMaxCpus);
  }

  Bits bits_;
};

}  // namespace corral

#endif  // CORRAL_KERNEL_CPU_SET_H_
