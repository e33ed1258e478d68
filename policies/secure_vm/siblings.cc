// SPDX-License-Identifier: Apache-2.0
#include "policies/secure_vm/siblings.h"

#include <algorithm>
#include <array>

#include "kernel/abi/ghost.h"

namespace corral::secure_vm {
namespace {

// Kuhn's algorithm: a vCPU takes a sibling, and who has it goes to another one if there is a way.
class Matching {
 public:
  explicit Matching(absl::Span<const Siblings> each, int nr_siblings)
      : each_(each), nr_siblings_(nr_siblings) {
    has_.fill(kNobody);
  }
  bool Seat(size_t vcpu) {
    tried_ = 0;
    return Find(vcpu);
  }

 private:
  static constexpr size_t kNobody = SIZE_MAX;

  bool Find(size_t vcpu) {
    for (int i = 0; i < nr_siblings_; ++i) {
      if ((each_[vcpu] & SiblingBit(i) & ~tried_) == 0) continue;
      tried_ |= SiblingBit(i);
      if (has_[i] != kNobody && !Find(has_[i])) continue;
      has_[i] = vcpu;
      return true;
    }
    return false;
  }

  const absl::Span<const Siblings> each_;
  const int nr_siblings_;
  std::array<size_t, GHOST_MAX_SIBLINGS> has_;
  Siblings tried_ = 0;
};

}  // namespace

int AtOnce(absl::Span<const Siblings> each, int nr_siblings) {
  const Siblings all = AllSiblings(nr_siblings);
  const bool free = std::all_of(each.begin(), each.end(),
                                [&](Siblings siblings) { return (siblings & all) == all; });
  if (free) return static_cast<int>(std::min<size_t>(each.size(), nr_siblings));
  Matching matching(each, nr_siblings);
  int nr = 0;
  for (size_t vcpu = 0; vcpu < each.size() && nr < nr_siblings; ++vcpu) nr += matching.Seat(vcpu);
  return nr;
}

}  // namespace corral::secure_vm
