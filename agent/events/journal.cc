// SPDX-License-Identifier: Apache-2.0
#include "agent/events/journal.h"

#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

#include <cstdlib>
#include <vector>

#include "absl/strings/str_cat.h"

namespace corral {

// $JOURNAL_STREAM, systemd.exec(5): device and inode of the stream.
bool IsJournal(int fd) {
  const char* const stream = getenv("JOURNAL_STREAM");
  struct stat status = {};
  return stream != nullptr && fstat(fd, &status) == 0 &&
         stream == absl::StrCat(status.st_dev, ":", status.st_ino);
}

bool SendToJournal(const char* identifier, absl::string_view line, const News& news) {
  std::vector<std::string> fields = {absl::StrCat("MESSAGE=", line),
                                     absl::StrCat("SYSLOG_IDENTIFIER=", identifier)};
  if (news.event) {
    const EventSpec& spec = SpecOf(*news.event);
    fields.push_back(absl::StrCat("PRIORITY=", spec.priority));
    fields.push_back(absl::StrCat("MESSAGE_ID=", spec.message_id));
    fields.push_back(absl::StrCat("CORRAL_EVENT=", spec.name));
  } else {
    fields.push_back(absl::StrCat("PRIORITY=", LOG_INFO));
  }
  for (const auto& [name, value] : news.fields)
    fields.push_back(absl::StrCat("CORRAL_", name, "=", value));
  std::vector<iovec> parts;
  for (std::string& field : fields)
    parts.push_back({.iov_base = field.data(), .iov_len = field.size()});
  return sd_journal_sendv(parts.data(), static_cast<int>(parts.size())) == 0;
}

}  // namespace corral
