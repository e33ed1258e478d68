// SPDX-License-Identifier: Apache-2.0
#include "agent/views/forced_idle.h"

#include <map>

namespace corral {

std::set<int> ForcedIdleCpus(const ControlKernel& kernel, const ClassView& view) {
  std::map<uint32_t, std::set<uint32_t>> waiting;  // domains, by core
  for (const ghost_status_word& word : kernel.status_words()) {
    if (word.gtid != 0 && (word.flags & GHOST_SW_RUNNABLE) != 0 &&
        (word.flags & GHOST_SW_ONCPU) == 0)
      waiting[word.queue].insert(word.domain);
  }
  std::set<int> cpus;
  for (const CoreView& core : view.cores) {
    const auto here = waiting.find(core.id);
    if (core.owner == GHOST_DOMAIN_HOST || here == waiting.end()) continue;
    if (here->second.size() == 1 && here->second.contains(core.owner)) continue;
    for (const SiblingView& sibling : core.siblings) {
      if (sibling.domain == GHOST_DOMAIN_HOST && !sibling.taken) cpus.insert(sibling.cpu);
    }
  }
  return cpus;
}

}  // namespace corral
