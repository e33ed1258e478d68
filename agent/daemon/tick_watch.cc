// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/tick_watch.h"

#include <utility>

#include "absl/strings/str_format.h"

namespace corral {

TickWatch::TickWatch(const ControlKernel& kernel, std::string enclave, const CpuSet& cpus)
    : kernel_(kernel),
      enclave_(std::move(enclave)),
      cpus_(cpus.ToVector()),
      before_(cpus_.size(), 0) {}

TickWatch::Busiest TickWatch::CountAnew() {
  Busiest busiest;
  for (size_t i = 0; i < cpus_.size(); ++i) {
    const uint64_t ticks = kernel_.cpu_states()[cpus_[i].value()].ticks;
    const uint64_t more = ticks - std::exchange(before_[i], ticks);
    if (i == 0 || more > busiest.ticks) busiest = {cpus_[i], more};
  }
  return busiest;
}

std::string TickWatch::Look(Time now) {
  if (began_ && now - *began_ < kWindow) return "";
  const Busiest busiest = CountAnew();
  const std::optional<Time> began = std::exchange(began_, now);
  if (!began) return "";
  const std::chrono::duration<double> window = now - *began;
  const double rate = static_cast<double>(busiest.ticks) / window.count();
  const bool tickless = rate <= kTolerated;
  if (std::exchange(tickless_, tickless) == tickless) return "";
  if (tickless) {
    return absl::StrFormat(
        "enclave %s is tickless: at most %.1f timer ticks a second interrupt a thread of it (CPU "
        "%d)",
        enclave_, rate, busiest.cpu.value());
  }
  return absl::StrFormat(
      "enclave %s is not tickless: %.1f timer ticks a second interrupt its threads on CPU %d; keep "
      "the host's threads off it and give each CPU one thread to run at a time, see \"cores "
      "--ticks\" in corralctl(1)",
      enclave_, rate, busiest.cpu.value());
}

}  // namespace corral
