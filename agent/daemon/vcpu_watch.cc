// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/vcpu_watch.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/views/protection.h"

namespace corral {

void VcpuWatch::Compare(absl::string_view kind, std::vector<VcpuTrouble> now,
                        std::map<Gtid, VcpuTrouble>& former, std::vector<std::string>& news) const {
  std::map<Gtid, VcpuTrouble> current;
  for (VcpuTrouble& trouble : now) {
    // Told once, not again whenever the numbers change.
    if (former.erase(trouble.gtid) == 0)
      news.push_back(absl::StrCat(kind, ": ", trouble.name, ": ", trouble.why));
    current.emplace(trouble.gtid, std::move(trouble));
  }
  for (const auto& [gtid, over] : former) {
    if (Exists(gtid)) news.push_back(absl::StrCat(over.name, " is no longer ", kind));
  }
  former = std::move(current);
}

bool VcpuWatch::Exists(Gtid gtid) const {
  for (const ghost_status_word& word : kernel_.status_words()) {
    if (word.gtid == gtid.value()) return true;
  }
  return false;
}

std::vector<std::string> VcpuWatch::Look() {
  std::vector<std::string> news;
  Troubles troubles = FindTroubles(kernel_);
  Compare("UNPROTECTED", std::move(troubles.unprotected), unprotected_, news);
  Compare("refused", std::move(troubles.refused), refused_, news);
  std::set<std::string> conflicts(troubles.conflicts.begin(), troubles.conflicts.end());
  for (const std::string& conflict : conflicts) {
    if (!conflicts_.contains(conflict)) news.push_back(absl::StrCat("conflict: ", conflict));
  }
  conflicts_ = std::move(conflicts);
  return news;
}

}  // namespace corral
