// SPDX-License-Identifier: Apache-2.0
#include "agent/views/wait_view.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "agent/runtime/status_word.h"
#include "kernel/text_field.h"

namespace corral {
namespace {

bool Same(const ghost_waits& a, const ghost_waits& b) { return memcmp(&a, &b, sizeof(a)) == 0; }

}  // namespace

const char* NameOf(ghost_wait why) {
  switch (why) {
    case GHOST_WAIT_TURN:
      return "turn";
    case GHOST_WAIT_FORCED_IDLE:
      return "forced_idle";
    case GHOST_WAIT_OWN:
      return "own_vcpus";
    case GHOST_WAIT_CAP:
      return "cap";
    case GHOST_WAIT_PLACE:
      return "place";
    case GHOST_WAIT_HOST:
      return "host";
    case GHOST_WAIT_HAND_OVER:
      return "hand_over";
    case GHOST_WAIT_AGENT:
      return "agent";
    case GHOST_NR_WAITS:
      break;
  }
  return "?";
}

std::map<uint32_t, Waits> WaitsByDomain(const ControlKernel& kernel) {
  std::map<uint32_t, Waits> sums;
  for (uint32_t slot = 0; slot < kernel.status_words().size(); ++slot) {
    const ghost_status_word& word = kernel.status_words()[slot];
    if ((word.flags & GHOST_SW_INUSE) == 0) continue;
    const ghost_waits waits = ReadWaits(kernel.waits()[slot]);
    Waits& sum = sums[word.domain];
    for (int why = 0; why < GHOST_NR_WAITS; ++why) sum[why] += FromNs(waits.ns[why]);
  }
  return sums;
}

std::map<uint32_t, ghost_tally> TalliesByDomain(const ControlKernel& kernel) {
  const auto load = [](const __u64& value) { return __atomic_load_n(&value, __ATOMIC_RELAXED); };
  std::map<uint32_t, ghost_tally> sums;
  for (uint32_t slot = 0; slot < kernel.status_words().size(); ++slot) {
    const ghost_status_word& word = kernel.status_words()[slot];
    if ((word.flags & GHOST_SW_INUSE) == 0) continue;
    const ghost_tally& tally = kernel.tallies()[slot];
    ghost_tally& sum = sums[word.domain];
    for (unsigned i = 0; i < GHOST_WAIT_BUCKETS; ++i) sum.waits[i] += load(tally.waits[i]);
    sum.waited_ns += load(tally.waited_ns);
    sum.core_moves += load(tally.core_moves);
    sum.node_moves += load(tally.node_moves);
  }
  return sums;
}

std::map<uint32_t, Promises> PromisesByDomain(const ControlKernel& kernel) {
  std::map<uint32_t, Promises> sums;
  for (uint32_t slot = 0; slot < kernel.status_words().size(); ++slot) {
    const ghost_status_word& word = kernel.status_words()[slot];
    if ((word.flags & GHOST_SW_INUSE) == 0) continue;
    const ghost_waits waits = ReadWaits(kernel.waits()[slot]);
    Promises& sum = sums[word.domain];
    if (word.period_ns != 0)
      sum.guaranteed += static_cast<double>(word.granted_ns) / static_cast<double>(word.period_ns);
    sum.missed += FromNs(waits.missed_ns);
    sum.missed_periods += waits.missed;
  }
  return sums;
}

Duration VcpuWaits::all_waited() const {
  return std::accumulate(waited.begin(), waited.end(), Duration(0));
}

Duration VcpuWaits::slept() const { return std::max(time - ran - all_waited(), Duration(0)); }

double VcpuWaits::Percent(Duration part) const {
  return time == Duration(0)
             ? 0
             : 100 * static_cast<double>(part.count()) / static_cast<double>(time.count());
}

WaitWatch::Reading WaitWatch::Read(uint32_t slot, Time now) const {
  const ghost_status_word& word = kernel_.status_words()[slot];
  return {.at = now, .runtime = ReadRuntime(word, now), .waits = ReadWaits(kernel_.waits()[slot])};
}

void WaitWatch::Look() {
  const Time now = kernel_.Now();
  for (uint32_t slot = 0; slot < kernel_.status_words().size(); ++slot) {
    const ghost_status_word& word = kernel_.status_words()[slot];
    if ((word.flags & GHOST_SW_INUSE) == 0 || word.vcpu == GHOST_NO_VCPU) {
      records_.erase(slot);
      continue;
    }
    const Reading reading = Read(slot, now);
    const auto [it, fresh] = records_.try_emplace(slot);
    Record& record = it->second;
    if (fresh || record.gtid != word.gtid) {
      record = {.gtid = word.gtid, .first = reading, .last = reading};
      continue;
    }
    if (!Same(reading.waits, record.last.waits)) {
      record.last_told = reading;
      if (record.tellings++ == 0) record.first_told = reading;
    }
    record.last = reading;
  }
}

std::vector<VcpuWaits> WaitWatch::Result() const {
  std::vector<VcpuWaits> result;
  for (const auto& [slot, record] : records_) {
    const ghost_status_word& word = kernel_.status_words()[slot];
    const bool told = record.tellings > 1;
    const Reading& begin = told ? record.first_told : record.first;
    const Reading& end = told ? record.last_told : record.last;
    VcpuWaits waits = {.slot = slot,
                       .tid = static_cast<pid_t>(word.tid),
                       .tgid = static_cast<pid_t>(word.tgid),
                       .vcpu = static_cast<int>(word.vcpu),
                       .domain = word.domain,
                       .trust = std::string(TextOf(kernel_.domains()[word.domain].name)),
                       .core = word.queue,
                       .time = end.at - begin.at,
                       .ran = end.runtime - begin.runtime};
    for (int i = 0; i < GHOST_NR_WAITS; ++i)
      waits.waited[i] = FromNs(end.waits.ns[i] - begin.waits.ns[i]);
    result.push_back(std::move(waits));
  }
  return result;
}

nlohmann::json ToJson(const VcpuWaits& w) {
  nlohmann::json waited = nlohmann::json::object();
  for (int i = 0; i < GHOST_NR_WAITS; ++i)
    waited[std::string(NameOf(static_cast<ghost_wait>(i))) + "_ns"] = w.waited[i].count();
  nlohmann::json vcpu = {{"vcpu", w.vcpu},
                         {"tid", w.tid},
                         {"trust_domain", w.trust},
                         {"time_ns", w.time.count()},
                         {"ran_ns", w.ran.count()},
                         {"slept_ns", w.slept().count()},
                         {"waited_ns", w.all_waited().count()},
                         {"waited", waited}};
  if (w.core != GHOST_QUEUE_DEFAULT) vcpu["core"] = w.core;
  return vcpu;
}

}  // namespace corral
