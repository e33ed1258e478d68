// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/vcpu_watch.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/views/protection.h"

namespace corral {

std::vector<std::string> VcpuWatch::Look() {
  std::vector<std::string> news;
  std::map<uint64_t, std::string> unprotected, refused;
  for (uint32_t slot = 0; slot < kernel_.status_words().size(); ++slot) {
    const uint64_t gtid = kernel_.status_words()[slot].gtid;
    if (gtid == 0 || kernel_.status_words()[slot].vcpu == GHOST_NO_VCPU) continue;
    const auto tell = [&](absl::string_view kind, const std::string& why,
                          std::map<uint64_t, std::string>& former,
                          std::map<uint64_t, std::string>& now) {
      const auto before = former.find(gtid);
      if (why.empty() && before != former.end())
        news.push_back(absl::StrCat(NameOfTask(kernel_, slot), " is no longer ", kind));
      if (why.empty()) return;
      // Told once, not again whenever the numbers change.
      if (before == former.end())
        news.push_back(absl::StrCat(kind, ": ", NameOfTask(kernel_, slot), ": ", why));
      now[gtid] = why;
    };
    tell("UNPROTECTED", WhyUnprotected(kernel_, slot), unprotected_, unprotected);
    tell("refused", WhyNotPromised(kernel_, slot), refused_, refused);
  }
  std::set<std::string> conflicts;
  for (const PinConflict& conflict : FindPinConflicts(kernel_))
    conflicts.insert(Describe(kernel_, conflict));
  for (const std::string& conflict : conflicts) {
    if (!conflicts_.contains(conflict)) news.push_back(absl::StrCat("conflict: ", conflict));
  }
  unprotected_ = std::move(unprotected);
  refused_ = std::move(refused);
  conflicts_ = std::move(conflicts);
  return news;
}

}  // namespace corral
