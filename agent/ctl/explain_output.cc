// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/explain_output.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "agent/ctl/figures.h"

namespace corral::ctl {
namespace {

constexpr size_t kNamed = 3;       // of those that share a core
constexpr size_t kMergers = 5;     // shown
constexpr double kWorthIt = 0.01;  // of a CPU

double Part(const VcpuWaits& vcpu, Duration part) { return vcpu.Percent(part) / 100; }

// The other trust domains on the cores where these live.
std::string Neighbours(absl::Span<const VcpuWaits> its, absl::Span<const VcpuWaits> all) {
  std::set<uint32_t> cores, own;
  for (const VcpuWaits& v : its) {
    cores.insert(v.core);
    own.insert(v.domain);
  }
  std::set<std::string> names;
  for (const VcpuWaits& v : all) {
    if (cores.count(v.core) > 0 && own.count(v.domain) == 0) names.insert(v.trust);
  }
  if (names.empty()) return "no other domain any more";
  std::vector<std::string> some(names.begin(), names.end());
  const size_t rest = some.size() > kNamed ? some.size() - kNamed : 0;
  some.resize(some.size() - rest);
  return absl::StrCat(absl::StrJoin(some, ", "),
                      rest == 0 ? "" : absl::StrCat(" and ", rest, " more"));
}

std::string Reason(ghost_wait why, absl::Span<const VcpuWaits> its,
                   absl::Span<const VcpuWaits> all) {
  switch (why) {
    case GHOST_WAIT_TURN:
      return absl::StrCat("another domain's turn on its core: ", Neighbours(its, all),
                          ". A weight or a reservation gives it more.");
    case GHOST_WAIT_FORCED_IDLE:
      return absl::StrCat("another domain's turn, beside a sibling that must idle: ",
                          Neighbours(its, all), ". This is what isolation costs.");
    case GHOST_WAIT_OWN:
      return "vCPUs of its own domain on the siblings that it may use.";
    case GHOST_WAIT_CAP:
      return "its cap (vcpu_quota, global_quota).";
    case GHOST_WAIT_PLACE:
      return "a CPU that it may use and that takes it; see its pins, and CPUs that are offline.";
    case GHOST_WAIT_HOST:
      return "threads of the host on its CPU, kernel threads among them.";
    case GHOST_WAIT_HAND_OVER:
      return "its core to change hands.";
    case GHOST_WAIT_AGENT:
      return "the agent to decide, or to leave its CPU.";
    case GHOST_NR_WAITS:
      break;
  }
  return "";
}

// Broken into lines of 80 columns, the first of which begins with `head`.
std::string Paragraph(const std::string& head, const std::string& text) {
  const std::string indent(head.size(), ' ');
  std::string out = head, line = head;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    if (line.size() + 1 + word.size() > 80) {
      absl::StrAppend(&out, "\n", indent);
      line = indent;
    }
    absl::StrAppend(&out, " ", word);
    absl::StrAppend(&line, " ", word);
  }
  return out + "\n";
}

}  // namespace

std::string ExplainText(const std::string& name, absl::Span<const VcpuWaits> its,
                        absl::Span<const VcpuWaits> all) {
  std::string out = absl::StrCat(name, ": percent of the last ", Human(its.front().time), "\n\n");
  absl::StrAppendFormat(&out, "%-4s %4s %5s %5s %6s | %5s %6s %5s %5s %5s %5s %5s %5s\n", "VCPU",
                        "CORE", "RAN", "SLEPT", "WAITED", "TURN", "FORCED", "OWN", "CAP", "PLACE",
                        "HOST", "HANDS", "AGENT");
  Waits sum{};
  Duration time{0};
  for (const VcpuWaits& v : its) {
    const auto part = [&](ghost_wait why) { return v.Percent(v.waited[why]); };
    absl::StrAppendFormat(
        &out, "%-4d %4s %5.1f %5.1f %6.1f | %5.1f %6.1f %5.1f %5.1f %5.1f %5.1f %5.1f %5.1f\n",
        v.vcpu, v.core == GHOST_QUEUE_DEFAULT ? "-" : absl::StrCat(v.core), v.Percent(v.ran),
        v.Percent(v.slept()), v.Percent(v.all_waited()), part(GHOST_WAIT_TURN),
        part(GHOST_WAIT_FORCED_IDLE), part(GHOST_WAIT_OWN), part(GHOST_WAIT_CAP),
        part(GHOST_WAIT_PLACE), part(GHOST_WAIT_HOST), part(GHOST_WAIT_HAND_OVER),
        part(GHOST_WAIT_AGENT));
    for (int i = 0; i < GHOST_NR_WAITS; ++i) sum[i] += v.waited[i];
    time += v.time;
  }
  std::vector<int> order;
  for (int i = 0; i < GHOST_NR_WAITS; ++i) {
    if (sum[i] * 200 >= time) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return sum[a] > sum[b]; });
  absl::StrAppend(&out, "\n",
                  order.empty() ? "It does not wait for anything.\n" : "It waits for\n");
  for (const int why : order) {
    const double percent =
        100 * static_cast<double>(sum[why].count()) / static_cast<double>(time.count());
    absl::StrAppend(&out, Paragraph(absl::StrFormat("%5.1f %%", percent),
                                    Reason(static_cast<ghost_wait>(why), its, all)));
  }
  return out;
}

std::string ExplainText(const ThreadStory& story) {
  std::string text = absl::StrCat(story.name, " of ", story.domain, "\n");
  for (const std::string* const sentence : {&story.since, &story.obstacle, &story.left}) {
    if (!sentence->empty()) text += Paragraph(" ", *sentence);
  }
  if (story.moments.empty()) return text + "  The rings hold nothing about it any more.\n";
  absl::StrAppend(&text, "\n");
  for (const ThreadStory::Moment& moment : story.moments)
    absl::StrAppendFormat(&text, "%11.3f ms ago  %s\n",
                          static_cast<double>(moment.ago.count()) / 1e6, moment.what);
  return text;
}

Cost CostOf(absl::Span<const VcpuWaits> all) {
  std::map<uint32_t, DomainCost> domains;
  std::map<uint32_t, std::set<uint32_t>> on_core;  // domains
  for (const VcpuWaits& v : all) {
    DomainCost& cost = domains[v.domain];
    cost.name = v.trust;
    ++cost.vcpus;
    cost.ran += Part(v, v.ran);
    cost.turn += Part(v, v.waited[GHOST_WAIT_TURN]);
    cost.forced_idle += Part(v, v.waited[GHOST_WAIT_FORCED_IDLE]);
    cost.hand_over += Part(v, v.waited[GHOST_WAIT_HAND_OVER] + v.waited[GHOST_WAIT_AGENT]);
    on_core[v.core].insert(v.domain);
  }
  // Whom it was that had the core is not told: each of the others alike.
  std::map<std::pair<uint32_t, uint32_t>, double> saves;
  for (const VcpuWaits& v : all) {
    const std::set<uint32_t>& there = on_core[v.core];
    for (const uint32_t other : there) {
      if (other == v.domain) continue;
      saves[std::minmax(v.domain, other)] +=
          Part(v, v.waited[GHOST_WAIT_FORCED_IDLE]) / static_cast<double>(there.size() - 1);
    }
  }
  Cost cost;
  for (const auto& [id, domain] : domains) cost.domains.push_back(domain);
  std::stable_sort(cost.domains.begin(), cost.domains.end(),
                   [](const auto& a, const auto& b) { return a.isolation() > b.isolation(); });
  for (const auto& [pair, saved] : saves) {
    if (saved >= kWorthIt)
      cost.mergers.push_back({domains[pair.first].name, domains[pair.second].name, saved});
  }
  std::stable_sort(cost.mergers.begin(), cost.mergers.end(),
                   [](const Merger& a, const Merger& b) { return a.saves > b.saves; });
  return cost;
}

std::string CostText(const Cost& cost) {
  std::string out = absl::StrFormat("%-22s %5s %8s %8s | %9s %11s %9s\n", "TRUST DOMAIN", "VCPUS",
                                    "RAN", "TURN", "ISOLATION", "FORCED IDLE", "HAND-OVER");
  DomainCost sum;
  const auto row = [&](const std::string& name, const DomainCost& d) {
    absl::StrAppendFormat(&out, "%-22.22s %5d %8.2f %8.2f | %9.2f %11.2f %9.2f\n", name, d.vcpus,
                          d.ran, d.turn, d.isolation(), d.forced_idle, d.hand_over);
  };
  for (const DomainCost& d : cost.domains) {
    row(d.name, d);
    sum.vcpus += d.vcpus;
    sum.ran += d.ran;
    sum.turn += d.turn;
    sum.forced_idle += d.forced_idle;
    sum.hand_over += d.hand_over;
  }
  row("all", sum);
  out +=
      "\n1.00 is one CPU all the time. TURN: waited while others used all of the core.\n"
      "ISOLATION: waited beside an idle sibling, or while the core changed hands.\n";
  if (cost.mergers.empty()) return out;
  out += "\nAs one trust domain (see corral-domain(5)) these would have more, at most:\n";
  for (size_t i = 0; i < std::min(cost.mergers.size(), kMergers); ++i) {
    const Merger& m = cost.mergers[i];
    absl::StrAppendFormat(&out, "  %5.2f  %s and %s\n", m.saves, m.a, m.b);
  }
  return out;
}

nlohmann::json ToJson(const Cost& cost) {
  nlohmann::json domains = nlohmann::json::array(), mergers = nlohmann::json::array();
  for (const DomainCost& d : cost.domains) {
    domains.push_back({{"trust_domain", d.name},
                       {"vcpus", d.vcpus},
                       {"ran_cpus", d.ran},
                       {"turn_cpus", d.turn},
                       {"forced_idle_cpus", d.forced_idle},
                       {"hand_over_cpus", d.hand_over}});
  }
  for (const Merger& m : cost.mergers)
    mergers.push_back({{"a", m.a}, {"b", m.b}, {"saves_cpus", m.saves}});
  return {{"domains", domains}, {"mergers", mergers}};
}

}  // namespace corral::ctl
