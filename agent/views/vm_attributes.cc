// SPDX-License-Identifier: Apache-2.0
#include "agent/views/vm_attributes.h"

#include <algorithm>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"

namespace corral {
namespace {

std::string Text(Duration time) { return absl::FormatDuration(absl::FromChrono(time)); }

std::string Share(Duration time, Duration period) {
  return time == Duration(0) ? "none" : absl::StrCat(Text(time), " of ", Text(period));
}

// Whether `a` allows less than `b`; no cap allows all.
bool IsLower(const TimeShare& a, const TimeShare& b) {
  if (a.time == Duration(0)) return false;
  if (b.time == Duration(0)) return true;
  return absl::int128(a.time.count()) * b.period.count() <
         absl::int128(b.time.count()) * a.period.count();
}

TimeShare CapOfVcpu(const VmSettings& settings, int vcpus) {
  TimeShare part = settings.vm_cap.value;
  part.time /= std::max(vcpus, 1);
  // A whole CPU or more for each of them is no cap.
  if (part.time >= part.period) part = {};
  return IsLower(part, settings.cap.value) ? part : settings.cap.value;
}

}  // namespace

TaskAttributes AttributesOf(const ghost_status_word& word) {
  return {.weight = word.weight,
          .budget = FromNs(word.budget_ns),
          .period = FromNs(word.period_ns),
          .cap = FromNs(word.cap_ns),
          .cap_period = FromNs(word.cap_period_ns),
          .node = word.node};
}

TaskAttributes AttributesFor(const VmSettings& settings, const TaskRole& role, int vcpus,
                             const TaskAttributes& now) {
  TaskAttributes wanted = {.weight = settings.weight.value};
  if (settings.node.value >= 0) wanted.node = static_cast<uint32_t>(settings.node.value);
  TimeShare cap = role.iothread ? settings.iothread_cap.value : settings.emulator_cap.value;
  if (role.vcpu != GHOST_NO_VCPU) {
    cap = CapOfVcpu(settings, vcpus);
    const TimeShare reservation = settings.ReservationOf(static_cast<int>(role.vcpu));
    wanted.budget = settings.metadata_ok ? reservation.time : now.budget;
    wanted.period = settings.metadata_ok ? reservation.period : now.period;
  }
  wanted.cap = cap.time;
  wanted.cap_period = cap.period;
  return wanted;
}

std::string DescribeChange(const TaskAttributes& before, const TaskAttributes& after,
                           const VmSettings& settings) {
  std::vector<std::string> parts;
  if (before.weight != after.weight)
    parts.push_back(
        absl::StrCat("weight ", after.weight, " (", NameOf(settings.weight.origin), ")"));
  if (before.budget != after.budget || before.period != after.period)
    parts.push_back(absl::StrCat("reservation ", Share(after.budget, after.period)));
  if (before.cap != after.cap || before.cap_period != after.cap_period) {
    parts.push_back(absl::StrCat("cap ", Share(after.cap, after.cap_period), " (",
                                 NameOf(settings.cap.origin), ")"));
  }
  if (before.node != after.node) {
    parts.push_back(after.node == GHOST_NO_NODE ? "no memory node"
                                                : absl::StrCat("memory node ", after.node));
  }
  return absl::StrJoin(parts, ", ");
}

}  // namespace corral
