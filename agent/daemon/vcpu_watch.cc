// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/vcpu_watch.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/views/protection.h"

namespace corral {

void VcpuWatch::Compare(const Kind& kind, std::vector<VcpuTrouble> now,
                        std::map<Gtid, VcpuTrouble>& former, std::vector<News>& news) const {
  std::map<Gtid, VcpuTrouble> current;
  for (VcpuTrouble& trouble : now) {
    // Told once, not again whenever the numbers change.
    if (former.erase(trouble.gtid) == 0)
      news.push_back({kind.begins,
                      absl::StrCat(kind.word, ": ", trouble.name, ": ", trouble.why),
                      {{"TASK", trouble.name}}});
    current.emplace(trouble.gtid, std::move(trouble));
  }
  for (const auto& [gtid, over] : former) {
    if (Exists(gtid))
      news.push_back(
          {kind.ends, absl::StrCat(over.name, " is no longer ", kind.word), {{"TASK", over.name}}});
  }
  former = std::move(current);
}

bool VcpuWatch::Exists(Gtid gtid) const {
  for (const ghost_status_word& word : kernel_.status_words()) {
    if (word.gtid == gtid.value()) return true;
  }
  return false;
}

std::vector<News> VcpuWatch::Look() {
  std::vector<News> news;
  Troubles troubles = FindTroubles(kernel_);
  Compare({"UNPROTECTED", Event::kUnprotected, Event::kProtectedAgain},
          std::move(troubles.unprotected), unprotected_, news);
  Compare({"refused", Event::kBudgetRefused, Event::kBudgetPromised}, std::move(troubles.refused),
          refused_, news);
  std::set<std::string> conflicts(troubles.conflicts.begin(), troubles.conflicts.end());
  for (const std::string& conflict : conflicts) {
    if (!conflicts_.contains(conflict))
      news.push_back({Event::kPinConflict, absl::StrCat("conflict: ", conflict)});
  }
  conflicts_ = std::move(conflicts);
  return news;
}

}  // namespace corral
