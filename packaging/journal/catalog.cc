// SPDX-License-Identifier: Apache-2.0
// Prints the catalog by which `journalctl -x` explains what corrald tells: the table of events, in
// the form of systemd's catalog files (systemd.io/CATALOG).
#include <iostream>

#include "absl/strings/str_replace.h"
#include "agent/events/event.h"

int main() {
  std::cout << "# SPDX-License-Identifier: Apache-2.0\n";
  for (const corral::EventSpec& event : corral::Events()) {
    const auto plain = [](absl::string_view text) {
      return absl::StrReplaceAll(text, {{"`", "\""}});
    };
    std::cout << "\n-- " << event.message_id << "\nSubject: " << event.subject
              << "\nDefined-By: Corral\nDocumentation: man:corral-events(7)\n\n"
              << plain(event.meaning) << "\n\nTo do: " << plain(event.runbook) << "\n";
  }
  return std::cout.flush() ? 0 : 1;
}
