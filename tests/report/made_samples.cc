// SPDX-License-Identifier: Apache-2.0
#include "tests/report/made_samples.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "agent/events/event.h"

namespace corral::report {
namespace {

bool Within(int index, int first, int last) { return index >= first && index <= last; }

DomainSample MadeDomain(const MadeHost& host, int number, int index) {
  DomainSample domain{
      .id = static_cast<uint32_t>(number + GHOST_DOMAIN_FIRST), .vcpus = 4, .cores = 2};
  domain.name = number == 0 ? kBusyName : number == 1 ? kEvilName : absl::StrCat("vm-", number);
  // Waves, so that something is to be seen.
  const double wave = std::sin(0.1 * index + number);
  domain.used = std::max(0.05, host.cpus * (0.7 + 0.2 * wave) / host.domains);
  domain.waited[GHOST_WAIT_TURN] = 0.3 * domain.used;
  domain.waited[GHOST_WAIT_FORCED_IDLE] = 0.2 * domain.used;
  domain.waited[GHOST_WAIT_HAND_OVER] = 0.01 * domain.used;
  // 100 of up to 50 us, 9 of up to 10 ms, and one that was longer than all.
  domain.waits[3] = 100;
  domain.waits[8] = 9;
  domain.waits[GHOST_WAIT_BUCKETS - 1] = 1;
  domain.local = 0.9 * domain.used;
  domain.remote = 0.1 * domain.used;
  if (number != 0) return domain;
  domain.guaranteed = domain.used;
  if (Within(index, 20, 29)) domain.missed = 0.5 * domain.used;
  return domain;
}

CoreSample MadeCore(const MadeHost& host, int core, int index) {
  return {.enclave = 1,
          .node = static_cast<uint8_t>(2 * core / 64),
          .cpus = 2,
          .agent = true,
          .stalled = core == 0 && Within(index, 50, 51),
          .forced_idle =
              std::max(0.0, std::sin(0.05 * index + 0.3 * core)) * (core % 3 == 0 ? 1.2 : 0.3),
          .switches = static_cast<uint32_t>(100 + core + host.domains),
          .rescues = 0,
          .breaches = core == 1 && index == 40 ? 1u : 0u};
}

}  // namespace

Sample MadeSample(const MadeHost& host, int index) {
  Sample sample{.at = host.begin + absl::FromChrono(host.interval) * (index + 1),
                .window = host.interval,
                .in_charge = index != 60};
  sample.audit = {.enforced = Duration(0),
                  .exposed = Duration(index == 60 ? 5'000'000 : 0),
                  .forced_idle = host.interval / 10};
  for (int i = 0; i < host.domains; ++i) sample.domains.push_back(MadeDomain(host, i, index));
  for (int i = 0; i < host.cpus / 2; ++i) sample.cores.push_back(MadeCore(host, i, index));
  if (index == 60) {
    sample.told.push_back({sample.at - absl::Seconds(2),
                           std::string(SpecOf(Event::kClassLost).name),
                           "CLASS LOST: the kernel put it out of charge"});
  }
  return sample;
}

std::vector<Sample> MadeSamples(const MadeHost& host, int count) {
  std::vector<Sample> samples;
  for (int i = 0; i < count; ++i) samples.push_back(MadeSample(host, i));
  return samples;
}

}  // namespace corral::report
