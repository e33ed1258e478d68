// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/figures.h"

#include "absl/strings/str_format.h"

namespace corral::ctl {

std::string Human(Duration duration) {
  const double ns = static_cast<double>(duration.count());
  if (ns == 0) return "0";
  if (ns < 1e3) return absl::StrFormat("%.0f ns", ns);
  if (ns < 1e6) return absl::StrFormat("%.3g us", ns / 1e3);
  if (ns < 1e9) return absl::StrFormat("%.3g ms", ns / 1e6);
  return absl::StrFormat("%.4g s", ns / 1e9);
}

std::string Percent(Duration part, Duration whole) {
  if (whole.count() == 0 || part.count() == 0) return "0%";
  const double percent =
      100.0 * static_cast<double>(part.count()) / static_cast<double>(whole.count());
  return percent < 0.01 ? "<0.01%" : absl::StrFormat("%.3g%%", percent);
}

}  // namespace corral::ctl
