// SPDX-License-Identifier: Apache-2.0
// The table of events, and what arrives at the journal: at its socket, in a mount name space of its
// own, as systemd.io/JOURNAL_NATIVE_PROTOCOL has it.
#include "agent/events/journal.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "kernel/fd.h"

namespace corral {
namespace {

TEST(Events, HaveNamesAndIdsOfTheirOwn) {
  std::set<absl::string_view> names, ids;
  for (const EventSpec& event : Events()) {
    names.insert(event.name);
    ids.insert(event.message_id);
    EXPECT_EQ(event.message_id.size(), 32u);
    EXPECT_EQ(event.message_id.find_first_not_of("0123456789abcdef"), absl::string_view::npos);
    EXPECT_EQ(&SpecOf(event.event), &event);
    EXPECT_TRUE(event.meaning.back() == '.' && event.runbook.back() == '.') << event.name;
  }
  EXPECT_EQ(names.size(), Events().size());
  EXPECT_EQ(ids.size(), Events().size());
}

TEST(Journal, IsKnownByItsStream) {
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  const Fd read(pipes[0]), write(pipes[1]);
  struct stat status = {};
  ASSERT_EQ(fstat(write.get(), &status), 0);
  unsetenv("JOURNAL_STREAM");
  EXPECT_FALSE(IsJournal(write.get()));
  setenv("JOURNAL_STREAM", absl::StrCat(status.st_dev, ":", status.st_ino).c_str(), 1);
  EXPECT_TRUE(IsJournal(write.get()));
  // Redirected to elsewhere by somebody who inherited the word.
  EXPECT_FALSE(IsJournal(STDIN_FILENO));
  unsetenv("JOURNAL_STREAM");
}

// In a child, whose /run is empty but for the socket.
std::set<std::string> Arrives(const News& news) {
  int pipes[2];
  if (pipe(pipes) != 0) return {};
  const pid_t child = fork();
  if (child == 0) {
    sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket"};
    const int socket = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", "/run", "tmpfs", 0, nullptr) != 0 || mkdir("/run/systemd", 0755) != 0 ||
        mkdir("/run/systemd/journal", 0755) != 0 ||
        bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
      _exit(1);
    if (!SendToJournal("corrald", "a line", news)) _exit(2);
    char packet[4096];
    const ssize_t size = recv(socket, packet, sizeof(packet), 0);
    _exit(write(pipes[1], packet, size) == size ? 0 : 3);
  }
  close(pipes[1]);
  const Fd read_end(pipes[0]);
  std::string packet(4096, '\0');
  const ssize_t size = read(read_end.get(), packet.data(), packet.size());
  packet.resize(size > 0 ? size : 0);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  std::set<std::string> fields;
  for (const absl::string_view field : absl::StrSplit(packet, '\n', absl::SkipEmpty()))
    fields.emplace(field);
  return fields;
}

TEST(Journal, GetsFieldsToFindAnEntryBy) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can put a socket where the journal's is";
  const std::set<std::string> fields =
      Arrives({Event::kUnprotected, "two\nlines", {{"VM", "web"}, {"VCPU", "1"}}});
  for (const std::string& field :
       {std::string("MESSAGE=a line"), std::string("PRIORITY=4"),
        absl::StrCat("MESSAGE_ID=", SpecOf(Event::kUnprotected).message_id),
        std::string("CORRAL_EVENT=unprotected"), std::string("CORRAL_VM=web"),
        std::string("CORRAL_VCPU=1"), std::string("SYSLOG_IDENTIFIER=corrald")})
    EXPECT_TRUE(fields.contains(field)) << field << " in " << testing::PrintToString(fields);
  const std::set<std::string> plain = Arrives("nothing special");
  EXPECT_TRUE(plain.contains("PRIORITY=6"));
  for (const std::string& field : plain) EXPECT_NE(field.find("MESSAGE_ID"), 0u);
}

}  // namespace
}  // namespace corral
