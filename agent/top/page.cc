// SPDX-License-Identifier: Apache-2.0
#include "agent/top/page.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace corral::top {
namespace {

using Ink = Style::Ink;

constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
constexpr char kBeyondLetters = '*';
// Cores with names in them, two to a line, while they take no more lines than this.
constexpr int kNamedLines = 6;
constexpr int kNamedWidth = 38;

// What a sibling looks like.
struct Seat {
  char letter = ' ';
  std::string name;
  Style style;
};

class Drawing {
 public:
  Drawing(const Page& page, const Choice& choice, int rows, int columns)
      : page_(page), choice_(choice), canvas_(rows, columns) {
    for (size_t i = 0; i < page.domains.size(); ++i)
      position_[page.domains[i].id] = static_cast<int>(i);
  }

  Canvas Run(const std::string& clock) {
    Head(clock);
    if (choice_.keys) {
      Keys(2);
    } else {
      const int row = Map(2);
      choice_.details ? Details(row + 1) : List(row + 1);
    }
    Put(canvas_.rows() - 1, 0,
        "q quit  ? keys  up/down select  enter explain  u use  w waits  f forced idle",
        {Ink::kDim});
    return std::move(canvas_);
  }

 private:
  void Put(int row, int column, absl::string_view text, Style style = {}) {
    canvas_.Put(row, column, text, style);
  }

  void Head(const std::string& clock) {
    std::string enclaves;
    for (const EnclaveView& enclave : page_.view.enclaves) {
      const std::string policy = enclave.agents == 0 ? "the class alone" : enclave.policy;
      absl::StrAppend(&enclaves, "  ", enclave.name, ": ", policy, policy.empty() ? "" : ", ",
                      enclave.agents, " of ", enclave.cores, " agents");
    }
    Put(0, 0, absl::StrCat("corral ", clock, choice_.paused ? " (paused)" : "", enclaves),
        {Ink::kBold});
    const std::string load = absl::StrFormat("busy %.1f of %.0f CPUs, forced idle %.1f, breaches ",
                                             page_.busy, page_.cpus, page_.forced_idle);
    Put(1, 0, load);
    Put(1, static_cast<int>(load.size()), absl::StrCat(page_.breaches),
        {page_.breaches > 0 ? Ink::kAlert : Ink::kPlain});
    uint32_t refused = 0;
    for (const DomainRow& row : page_.domains) refused += row.refused;
    if (refused > 0) {
      Put(1, static_cast<int>(load.size()) + 4, absl::StrCat("refused ", refused), {Ink::kAlert});
    }
  }

  char LetterOf(int position) const {
    return position < static_cast<int>(sizeof(kLetters)) - 1 ? kLetters[position] : kBeyondLetters;
  }

  Seat SeatOf(const SiblingView& sibling) const {
    if (const auto domain = position_.find(sibling.domain); domain != position_.end()) {
      return {LetterOf(domain->second),
              page_.domains[domain->second].name,
              {Ink::kPlain, domain->second}};
    }
    if (sibling.domain == GHOST_DOMAIN_UNATTACHED) return {'?', "(unattached)", {Ink::kPlain}};
    if (page_.forced_idle_cpus.contains(sibling.cpu)) return {'!', "forced idle", {Ink::kAlert}};
    return {'.', "-", {Ink::kDim}};
  }

  // Returns the first row below it.
  int Map(int row) {
    std::map<uint32_t, std::vector<const CoreView*>> nodes;
    for (const CoreView& core : page_.view.cores) nodes[core.node].push_back(&core);
    int named_lines = 0;
    for (const auto& [node, cores] : nodes)
      named_lines += 1 + static_cast<int>(cores.size() + 1) / 2;
    size_t siblings = 1;
    for (const CoreView& core : page_.view.cores)
      siblings = std::max(siblings, core.siblings.size());
    const bool named = named_lines <= kNamedLines && siblings <= 2;
    for (const auto& [node, cores] : nodes)
      row = named ? NamedNode(row, node, cores) : LetterNode(row, node, cores);
    if (!named) {
      Put(row++, 0, "a letter is a domain of the list   ! forced idle   . idle or the host's",
          {Ink::kDim});
    }
    return row;
  }

  int NamedNode(int row, uint32_t node, const std::vector<const CoreView*>& cores) {
    Put(row++, 0, absl::StrCat("node ", node), {Ink::kBold});
    for (size_t i = 0; i < cores.size(); ++i) {
      const int at = row + static_cast<int>(i / 2);
      int column = 1 + (i % 2 == 0 ? 0 : kNamedWidth + 1);
      for (const SiblingView& sibling : cores[i]->siblings) {
        const Seat seat = SeatOf(sibling);
        Put(at, column, absl::StrFormat("%3d:", sibling.cpu), {Ink::kDim});
        Put(at, column + 4, absl::StrFormat("%-13.13s", seat.name), seat.style);
        column += kNamedWidth / 2;
      }
    }
    return row + static_cast<int>(cores.size() + 1) / 2;
  }

  int LetterNode(int row, uint32_t node, const std::vector<const CoreView*>& cores) {
    const std::string label = absl::StrFormat("node %-3d", node);
    Put(row, 0, label, {Ink::kBold});
    const int begin = static_cast<int>(label.size());
    int column = begin;
    for (const CoreView* const core : cores) {
      if (column + static_cast<int>(core->siblings.size()) > canvas_.columns()) {
        ++row;
        column = begin;
      }
      for (const SiblingView& sibling : core->siblings) {
        const Seat seat = SeatOf(sibling);
        Put(row, column++, std::string(1, seat.letter), seat.style);
      }
      ++column;
    }
    return row + 1;
  }

  void List(int row) {
    Put(row++, 0,
        absl::StrFormat("  %-22s %5s %4s %4s %6s %6s %6s %6s  %s", "DOMAIN", "VCPUS", "RUN", "WAIT",
                        "USE", "GUAR", "WAITS", "FORCED", "CORES"),
        {Ink::kBold});
    const std::vector<const DomainRow*> sorted = Sorted(page_, choice_.order);
    const int room = canvas_.rows() - 1 - row;
    const uint32_t selected = SelectedAfter(page_, choice_, 0);
    int first = 0;
    for (size_t i = 0; i < sorted.size(); ++i) {
      if (sorted[i]->id == selected) first = std::max(0, static_cast<int>(i) - room + 1);
    }
    for (int i = 0; i < room && first + i < static_cast<int>(sorted.size()); ++i) {
      const DomainRow& domain = *sorted[first + i];
      const int position = position_.at(domain.id);
      const bool chosen = domain.id == selected;
      Put(row + i, 0, std::string(1, LetterOf(position)), {Ink::kPlain, position});
      Put(row + i, 2,
          absl::StrFormat("%-22.22s %5d %4d %4d %6.2f %6s %6.2f %6.2f  %s", domain.name,
                          domain.vcpus, domain.running, domain.waiting, domain.used,
                          domain.guaranteed > 0 ? absl::StrFormat("%.2f", domain.guaranteed)
                          : domain.refused > 0  ? "refus."
                                                : "-",
                          domain.waits, domain.forced_idle, domain.cores.Format()),
          {chosen ? Ink::kReverse : Ink::kPlain});
    }
    if (sorted.empty()) Put(row, 2, "no domain is in the class", {Ink::kDim});
  }

  void Details(int row) {
    const uint32_t selected = SelectedAfter(page_, choice_, 0);
    const auto found = position_.find(selected);
    if (found == position_.end()) return Put(row, 0, "it has ended", {Ink::kDim});
    const DomainRow& domain = page_.domains[found->second];
    Put(row++, 0,
        absl::StrCat(domain.name, ", ", domain.vcpus, " vCPUs in enclave ", domain.enclave,
                     ", on cores ", domain.cores.empty() ? "none yet" : domain.cores.Format()),
        {Ink::kBold});
    Put(row++, 2, absl::StrFormat("uses %.2f CPUs", domain.used));
    if (domain.guaranteed > 0)
      Put(row++, 2, absl::StrFormat("was promised %.2f CPUs", domain.guaranteed));
    if (domain.refused > 0) {
      Put(row++, 2,
          absl::StrCat(domain.refused,
                       " vCPUs asked for a budget that cannot be promised; "
                       "corralctl domains says how much is free"),
          {Ink::kAlert});
    }
    Put(row++, 2, absl::StrFormat("waits for %.2f CPUs more:", domain.waits));
    for (int why = 0; why < GHOST_NR_WAITS; ++why) {
      if (domain.waited[why] == Duration(0)) continue;
      const double cpus = page_.window > Duration(0)
                              ? std::chrono::duration<double>(domain.waited[why]).count() /
                                    std::chrono::duration<double>(page_.window).count()
                              : 0;
      Put(row++, 4, absl::StrFormat("%6.2f  %s", cpus, NameOf(static_cast<ghost_wait>(why))));
    }
    Put(row + 1, 2, absl::StrCat("More: corralctl explain ", domain.name), {Ink::kDim});
  }

  void Keys(int row) {
    constexpr const char* kKeys[][2] = {
        {"up, down, k, j", "select a domain"},
        {"page up, page down", "select one ten further"},
        {"enter", "what the selected domain waits for, and back"},
        {"u w f g n", "sort by use, waits, forced idle, guarantee or name"},
        {"space", "pause, and go on"},
        {"?", "these keys, and back"},
        {"q", "quit"}};
    Put(row++, 0, "Keys", {Ink::kBold});
    for (const auto& [key, meaning] : kKeys) {
      Put(row, 2, key);
      Put(row++, 24, meaning);
    }
    ++row;
    for (const char* const line :
         {"USE, GUAR, WAITS and FORCED are CPUs of the last two seconds: time had, time promised,",
          "time that could have been used, and of that what siblings idled because the core was",
          "another domain's. RUN and WAIT are vCPUs at this moment."})
      Put(row++, 2, line, {Ink::kDim});
  }

  const Page& page_;
  const Choice& choice_;
  Canvas canvas_;
  std::map<uint32_t, int> position_;  // in page_.domains, by id
};

double KeyOf(const DomainRow& row, Order order) {
  switch (order) {
    case Order::kUse:
      return row.used;
    case Order::kWait:
      return row.waits;
    case Order::kForcedIdle:
      return row.forced_idle;
    case Order::kGuarantee:
      return row.guaranteed;
    case Order::kName:
      break;
  }
  return 0;
}

}  // namespace

std::vector<const DomainRow*> Sorted(const Page& page, Order order) {
  std::vector<const DomainRow*> rows;
  for (const DomainRow& row : page.domains) rows.push_back(&row);
  std::sort(rows.begin(), rows.end(), [&](const DomainRow* a, const DomainRow* b) {
    const double of_a = KeyOf(*a, order), of_b = KeyOf(*b, order);
    if (of_a != of_b) return of_a > of_b;
    return a->name != b->name ? a->name < b->name : a->id < b->id;
  });
  return rows;
}

uint32_t SelectedAfter(const Page& page, const Choice& choice, int by) {
  const std::vector<const DomainRow*> rows = Sorted(page, choice.order);
  if (rows.empty()) return 0;
  const auto now = std::find_if(rows.begin(), rows.end(),
                                [&](const DomainRow* row) { return row->id == choice.selected; });
  const int at = now == rows.end() ? 0 : static_cast<int>(now - rows.begin());
  return rows[std::clamp(at + by, 0, static_cast<int>(rows.size()) - 1)]->id;
}

Canvas Draw(const Page& page, const Choice& choice, const std::string& clock, int rows,
            int columns) {
  return Drawing(page, choice, rows, columns).Run(clock);
}

}  // namespace corral::top
