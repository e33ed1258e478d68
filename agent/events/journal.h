// SPDX-License-Identifier: Apache-2.0
// Entries of systemd's journal with the fields by which others find them: MESSAGE_ID and PRIORITY
// of the event, CORRAL_EVENT with its name, and CORRAL_VM and the like. Any thread.
#ifndef CORRAL_AGENT_EVENTS_JOURNAL_H_
#define CORRAL_AGENT_EVENTS_JOURNAL_H_

#include <string>

#include "absl/strings/string_view.h"
#include "agent/events/news.h"

namespace corral {

// Whether this descriptor, our standard error, goes to the journal, as under systemd.
bool IsJournal(int fd);

// One entry: `line` of `news`, from the program `identifier`. False: the journal does not take it.
bool SendToJournal(const char* identifier, absl::string_view line, const News& news);

}  // namespace corral

#endif  // CORRAL_AGENT_EVENTS_JOURNAL_H_
