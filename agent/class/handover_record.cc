// SPDX-License-Identifier: Apache-2.0
#include "agent/class/handover_record.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "kernel/bpf/ring_queue.h"

namespace corral {
namespace {

using nlohmann::json;

uint32_t NumberOr(const json& from, const char* name, uint32_t otherwise) {
  const auto it = from.find(name);
  return it != from.end() && it->is_number_unsigned() ? it->get<uint32_t>() : otherwise;
}

}  // namespace

HandoverFile::HandoverFile(const std::string& folder)
    : path_(absl::StrCat(folder, "/class-handover.json")),
      lock_path_(absl::StrCat(folder, "/class-handover.lock")) {}

absl::StatusOr<std::optional<HandoverRecord>> HandoverFile::Read() const {
  std::ifstream file(path_);
  if (!file) return std::nullopt;
  std::stringstream text;
  text << file.rdbuf();
  const json read = json::parse(text.str(), nullptr, /*allow_exceptions=*/false);
  const auto stopped = read.find("stopped");
  if (!read.is_object() || stopped == read.end() || !stopped->is_string()) {
    return absl::DataLossError(absl::StrCat(
        path_, " does not tell which VMs were stopped for an upgrade of the class; let those that ",
        "are go on (kill -CONT), remove the file, and restart corral-class and corrald"));
  }
  const ClassSizes otherwise;
  return HandoverRecord{
      .stopped = PausedVms::Parse(stopped->get<std::string>()),
      .sizes = {.tasks = NumberOr(read, "tasks", otherwise.tasks),
                .domains = NumberOr(read, "domains", otherwise.domains),
                .whole_host = read.contains("whole_host") && read["whole_host"] == true},
      .state = read.value("state", json())};
}

absl::Status HandoverFile::Write(const HandoverRecord& record) const {
  const json written = {{"stopped", record.stopped.Text()},
                        {"tasks", record.sizes.tasks},
                        {"domains", record.sizes.domains},
                        {"whole_host", record.sizes.whole_host},
                        {"state", record.state}};
  // Names may have been cut off in the middle of a character.
  const std::string text = written.dump(-1, ' ', false, json::error_handler_t::replace);
  const std::string next = path_ + ".next";
  const Fd file(open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file || write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      fsync(file.get()) != 0 || rename(next.c_str(), path_.c_str()) != 0) {
    return absl::UnavailableError(absl::StrCat("cannot write ", path_, ": ", strerror(errno)));
  }
  return absl::OkStatus();
}

void HandoverFile::Remove() const { unlink(path_.c_str()); }

absl::StatusOr<Fd> HandoverFile::Lock(Duration patience) const {
  Fd lock(open(lock_path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock)
    return absl::UnavailableError(
        absl::StrCat("cannot open ", lock_path_, ": ", strerror(errno), "; run as root"));
  for (const Time end = MonotonicNow() + patience; flock(lock.get(), LOCK_EX | LOCK_NB) != 0;
       poll(nullptr, 0, 20)) {
    if (MonotonicNow() > end) {
      return absl::UnavailableError(
          "another replacement of the class is under way (corral-class replace)");
    }
  }
  return lock;
}

}  // namespace corral
