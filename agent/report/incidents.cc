// SPDX-License-Identifier: Apache-2.0
#include "agent/report/incidents.h"

#include <syslog.h>

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/events/event.h"
#include "agent/report/summary.h"

namespace corral::report {
namespace {

using Gravity = Incident::Gravity;

// One kind that is seen in figures, sample by sample.
struct Kind {
  Gravity gravity;
  const char* what;
  // How much of it is in a sample; 0: none.
  std::function<uint64_t(const Sample&)> count;
  const char* text;
};

template <typename Count>
uint64_t OverCores(const Sample& sample, Count count) {
  uint64_t sum = 0;
  for (const CoreSample& core : sample.cores)
    sum += core.enclave == GHOST_NO_ENCLAVE ? 0 : static_cast<uint64_t>(count(core));
  return sum;
}

std::vector<Kind> Kinds() {
  return {
      {Gravity::kBroken, "Breach",
       [](const Sample& s) { return OverCores(s, [](const CoreSample& c) { return c.breaches; }); },
       "The class counted switches to a thread beside another trust domain's."},
      {Gravity::kBroken, "Auditor: shared core",
       [](const Sample& s) -> uint64_t { return s.audit && s.audit->enforced > Duration(0); },
       "The auditor saw two VMs on one core although both are in the class."},
      {Gravity::kBroken, "Auditor: exposure",
       [](const Sample& s) -> uint64_t { return s.audit && s.audit->exposed > Duration(0); },
       "The auditor saw a vCPU that is not in the class beside another VM's."},
      {Gravity::kBroken, "Class not in charge",
       [](const Sample& s) -> uint64_t { return !s.in_charge; },
       "The kernel did not ask the class."},
      {Gravity::kWarning, "Agent stalled",
       [](const Sample& s) { return OverCores(s, [](const CoreSample& c) { return c.stalled; }); },
       "Cores have an agent that decides nothing; the class schedules them, isolated, and keeps no "
       "promises. Counted in cores and samples."},
      {Gravity::kWarning, "No agent",
       [](const Sample& s) { return OverCores(s, [](const CoreSample& c) { return !c.agent; }); },
       "Cores have no agent; the class schedules them, isolated, and keeps no promises. Counted in "
       "cores and samples."},
      {Gravity::kWarning, "Rescue",
       [](const Sample& s) { return OverCores(s, [](const CoreSample& c) { return c.rescues; }); },
       "The class ran threads that their agent had let wait too long."},
  };
}

void FindKind(const Kind& kind, absl::Span<const Sample> samples, std::vector<Incident>& found) {
  bool goes_on = false;
  for (const Sample& sample : samples) {
    const uint64_t count = kind.count(sample);
    if (count == 0) {
      goes_on = false;
      continue;
    }
    if (!goes_on) {
      found.push_back({.from = sample.at - absl::FromChrono(sample.window),
                       .gravity = kind.gravity,
                       .what = kind.what,
                       .text = kind.text,
                       .times = 0});
    }
    goes_on = true;
    found.back().until = sample.at;
    found.back().times += count;
  }
}

// Of a domain that missed what it was guaranteed.
void FindMissed(absl::Span<const Sample> samples, std::vector<Incident>& found) {
  std::map<std::string, Incident> open;
  for (const Sample& sample : samples) {
    std::map<std::string, Incident> still;
    for (const DomainSample& domain : sample.domains) {
      if (domain.missed <= 0) continue;
      const auto before = open.find(domain.name);
      Incident incident = before != open.end()
                              ? before->second
                              : Incident{.from = sample.at - absl::FromChrono(sample.window),
                                         .gravity = Gravity::kWarning,
                                         .what = "Missed budget",
                                         .text = absl::StrCat(domain.name,
                                                              " wanted what it was guaranteed, and "
                                                              "did not have all of it."),
                                         .times = 0};
      incident.until = sample.at;
      ++incident.times;
      still[domain.name] = std::move(incident);
    }
    for (auto& [name, incident] : open) {
      if (!still.contains(name)) found.push_back(std::move(incident));
    }
    open = std::move(still);
  }
  for (auto& [name, incident] : open) found.push_back(std::move(incident));
}

void FindGaps(absl::Span<const Sample> samples, std::vector<Incident>& found) {
  for (size_t i = 1; i < samples.size(); ++i) {
    const absl::Time begin = samples[i].at - absl::FromChrono(samples[i].window);
    if (begin - samples[i - 1].at < absl::FromChrono(kGap)) continue;
    found.push_back({.from = samples[i - 1].at,
                     .until = begin,
                     .what = "Not recorded",
                     .text = "corrald did not run, or did not enforce."});
  }
}

Gravity GravityOf(const EventSpec& spec) {
  if (spec.priority <= LOG_CRIT) return Gravity::kBroken;
  return spec.priority <= LOG_WARNING ? Gravity::kWarning : Gravity::kNote;
}

void FindTold(absl::Span<const Sample> samples, std::vector<Incident>& found) {
  for (const Sample& sample : samples) {
    for (const Told& told : sample.told) {
      Incident incident{.from = told.at, .until = told.at, .what = told.event, .text = told.text};
      for (const EventSpec& spec : Events()) {
        if (spec.name != told.event) continue;
        incident.gravity = GravityOf(spec);
        incident.what = std::string(spec.subject);
      }
      found.push_back(std::move(incident));
    }
  }
}

}  // namespace

std::vector<Incident> FindIncidents(absl::Span<const Sample> samples) {
  std::vector<Incident> found;
  for (const Kind& kind : Kinds()) FindKind(kind, samples, found);
  FindMissed(samples, found);
  FindGaps(samples, found);
  FindTold(samples, found);
  std::stable_sort(found.begin(), found.end(),
                   [](const Incident& a, const Incident& b) { return a.from < b.from; });
  return found;
}

}  // namespace corral::report
