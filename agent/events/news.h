// SPDX-License-Identifier: Apache-2.0
// One message for the log: what happened, in words, and for machines which kind of event it is and
// whom it concerns. Plain values.
#ifndef CORRAL_AGENT_EVENTS_NEWS_H_
#define CORRAL_AGENT_EVENTS_NEWS_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/events/event.h"

namespace corral {

struct News {
  // Fields of the journal, without the CORRAL_ before their names: {"VM", "web"}.
  using Fields = std::vector<std::pair<std::string, std::string>>;

  // Implicit: most messages are nothing but text.
  News(std::string words) : text(std::move(words)) {}  // NOLINT(google-explicit-constructor)
  News(const char* words) : text(words) {}             // NOLINT(google-explicit-constructor)
  News(Event kind, std::string words, Fields of = {})
      : text(std::move(words)), event(kind), fields(std::move(of)) {}

  std::string text;            // several lines are several entries; "": nothing happened
  std::optional<Event> event;  // none: nobody has to react
  Fields fields;
};

}  // namespace corral

#endif  // CORRAL_AGENT_EVENTS_NEWS_H_
