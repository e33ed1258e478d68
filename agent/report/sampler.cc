// SPDX-License-Identifier: Apache-2.0
#include "agent/report/sampler.h"

#include <algorithm>

#include "agent/runtime/status_word.h"
#include "agent/views/protection.h"
#include "kernel/text_field.h"

namespace corral::report {
namespace {

// How much of `time` a budget comes to.
Duration ShareOf(Duration time, uint64_t granted_ns, uint64_t period_ns) {
  if (period_ns == 0) return Duration(0);
  return Duration(
      static_cast<int64_t>(static_cast<__int128>(time.count()) * granted_ns / period_ns));
}

double Cpus(Duration part, double ns) {
  return ns > 0 ? static_cast<double>(part.count()) / ns : 0;
}

}  // namespace

Sampler::Sampler(const ControlKernel& kernel) : kernel_(kernel) {
  Look();
  begin_ = looked_;
  domains_.clear();
  idle_.clear();
  for (uint32_t core = 0; core < kernel_.info().nr_cores; ++core)
    counters_.push_back(CountersOf(core));
}

Sampler::Counters Sampler::CountersOf(uint32_t core) const {
  const ghost_core_state& state = kernel_.cores()[core];
  return {.switches = state.switches_agent + state.switches_class + state.switches_offered,
          .rescues = state.rescues,
          .breaches = state.breaches};
}

void Sampler::Look() {
  const Time now = kernel_.Now();
  const absl::Span<const ghost_status_word> words = kernel_.status_words();
  std::erase_if(vcpus_, [&](const auto& vcpu) { return words[vcpu.first].gtid == 0; });
  for (uint32_t slot = 0; slot < words.size(); ++slot) LookAt(slot, now);
  looked_ = now;
}

void Sampler::LookAt(uint32_t slot, Time now) {
  const ghost_status_word& word = kernel_.status_words()[slot];
  const uint64_t gtid = word.gtid;
  if (gtid == 0) return;  // as most are
  const Duration runtime = ReadRuntime(word, now);
  const ghost_waits waits = ReadWaits(kernel_.waits()[slot]);
  std::array<uint64_t, GHOST_WAIT_BUCKETS> counts{};
  for (size_t i = 0; i < counts.size(); ++i)
    counts[i] = __atomic_load_n(&kernel_.tallies()[slot].waits[i], __ATOMIC_RELAXED);
  Vcpu& vcpu = vcpus_[slot];
  if (vcpu.gtid != gtid) {
    vcpu = {.gtid = gtid,
            .domain = word.domain,
            .runtime = runtime,
            .waits = waits,
            .counts = counts,
            .since = now};
    return;
  }
  Sums& sums = domains_[vcpu.domain];
  const Duration ran = std::max(runtime - vcpu.runtime, Duration(0));
  sums.used += ran;
  const auto cpu = static_cast<size_t>(word.cpu);
  if (word.node != GHOST_NO_NODE && word.cpu >= 0 && cpu < kernel_.cpus().size())
    (kernel_.cpus()[cpu].node == word.node ? sums.local : sums.remote) += ran;
  for (int why = 0; why < GHOST_NR_WAITS; ++why) {
    const Duration waited = std::max(FromNs(waits.ns[why] - vcpu.waits.ns[why]), Duration(0));
    sums.waited[why] += waited;
    if (why == GHOST_WAIT_FORCED_IDLE) idle_[word.queue] += waited;
  }
  sums.missed += FromNs(waits.missed_ns - vcpu.waits.missed_ns);
  for (size_t i = 0; i < counts.size(); ++i)
    sums.waits[i] += static_cast<uint32_t>(counts[i] - vcpu.counts[i]);
  vcpu.guaranteed += ShareOf(now - std::max(looked_, vcpu.since), word.granted_ns, word.period_ns);
  vcpu.runtime = runtime;
  vcpu.waits = waits;
  vcpu.counts = counts;
}

Sample Sampler::Take() {
  Look();
  Sample sample{.window = looked_ - begin_, .in_charge = kernel_.info().enabled != 0};
  const auto ns = static_cast<double>(sample.window.count());
  AddDomains(sample, ns);
  AddCores(sample, ns);
  begin_ = looked_;
  domains_.clear();
  idle_.clear();
  for (auto& [slot, vcpu] : vcpus_) {
    vcpu.since = looked_;
    vcpu.guaranteed = Duration(0);
  }
  return sample;
}

void Sampler::AddDomains(Sample& sample, double ns) const {
  std::map<uint32_t, DomainSample> domains;
  std::map<uint32_t, std::set<uint32_t>> cores;
  for (uint32_t id = GHOST_DOMAIN_FIRST; id < kernel_.domains().size(); ++id) {
    const ghost_domain& domain = kernel_.domains()[id];
    if (domain.in_use) domains[id] = {.id = id, .name = std::string(TextOf(domain.name))};
  }
  for (const auto& [slot, vcpu] : vcpus_) {
    const auto domain = domains.find(vcpu.domain);
    if (domain == domains.end()) continue;
    DomainSample& to = domain->second;
    const ghost_status_word& word = kernel_.status_words()[slot];
    ++to.vcpus;
    to.refused += !WhyNotPromised(kernel_, slot).empty();
    to.unprotected += !WhyUnprotected(kernel_, slot).empty();
    to.guaranteed += Cpus(vcpu.guaranteed, ns);
    if (word.queue < kernel_.info().nr_cores) cores[vcpu.domain].insert(word.queue);
  }
  for (auto& [id, domain] : domains) {
    domain.cores = static_cast<uint32_t>(cores[id].size());
    if (const auto sums = domains_.find(id); sums != domains_.end()) {
      domain.used = Cpus(sums->second.used, ns);
      domain.local = Cpus(sums->second.local, ns);
      domain.remote = Cpus(sums->second.remote, ns);
      domain.missed = Cpus(sums->second.missed, ns);
      for (int why = 0; why < GHOST_NR_WAITS; ++why)
        domain.waited[why] = Cpus(sums->second.waited[why], ns);
      domain.waits = sums->second.waits;
    }
    sample.domains.push_back(std::move(domain));
  }
}

void Sampler::AddCores(Sample& sample, double ns) {
  for (uint32_t id = 0; id < kernel_.info().nr_cores; ++id) {
    const ghost_core_state& state = kernel_.cores()[id];
    const Counters now = CountersOf(id);
    const Counters& before = counters_[id];
    CoreSample core{.enclave = static_cast<uint8_t>(state.enclave),
                    .cpus = static_cast<uint8_t>(state.nr_cpus),
                    .agent = state.agent_tid != 0,
                    .stalled = state.agent_stalled != 0,
                    .switches = static_cast<uint32_t>(now.switches - before.switches),
                    .rescues = static_cast<uint32_t>(now.rescues - before.rescues),
                    .breaches = static_cast<uint32_t>(now.breaches - before.breaches)};
    if (state.nr_cpus > 0) core.node = static_cast<uint8_t>(kernel_.cpus()[state.cpus[0]].node);
    if (const auto idle = idle_.find(id); idle != idle_.end())
      core.forced_idle = Cpus(idle->second, ns);
    counters_[id] = now;
    sample.cores.push_back(core);
  }
}

}  // namespace corral::report
