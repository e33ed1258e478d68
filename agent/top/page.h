// SPDX-License-Identifier: Apache-2.0
// Draws what top knows onto a page of any size from 80x24: the map of the cores, the list of the
// trust domains, and on request the keys, or what the selected domain waits for.
//
// Pure functions; any thread.
#ifndef CORRAL_AGENT_TOP_PAGE_H_
#define CORRAL_AGENT_TOP_PAGE_H_

#include <string>
#include <vector>

#include "agent/top/canvas.h"
#include "agent/top/model.h"

namespace corral::top {

inline constexpr int kLeastRows = 24;
inline constexpr int kLeastColumns = 80;

enum class Order { kUse, kWait, kForcedIdle, kGuarantee, kName };

// What the reader has chosen.
struct Choice {
  Order order = Order::kUse;
  uint32_t selected = 0;  // a domain's id; 0: the first of the list
  bool details = false;
  bool keys = false;
  bool paused = false;
};

// The domains in the order of the list.
std::vector<const DomainRow*> Sorted(const Page& page, Order order);

// The one `by` further down the list than the selected one, within it.
uint32_t SelectedAfter(const Page& page, const Choice& choice, int by);

// `clock` stands in the first line.
Canvas Draw(const Page& page, const Choice& choice, const std::string& clock, int rows,
            int columns);

}  // namespace corral::top

#endif  // CORRAL_AGENT_TOP_PAGE_H_
