// SPDX-License-Identifier: Apache-2.0
#include "tests/bus/private_bus.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace corral {
namespace {

// The system bus's, as far as it matters here: nobody may call whom no file of a service allows.
std::string ConfigText(const std::string& socket) {
  return absl::StrCat(R"(<busconfig><type>system</type><listen>unix:path=)", socket,
                      R"(</listen><auth>EXTERNAL</auth>
<policy context="default">
<allow user="*"/><deny own="*"/><deny send_type="method_call"/>
<allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>
<allow send_requested_reply="true" send_type="error"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/>
<allow receive_type="error"/><allow receive_type="signal"/>
<allow send_destination="org.freedesktop.DBus"/>
</policy>
<policy user="root"><allow own="org.freedesktop.PolicyKit1"/></policy>
<policy user="polkitd"><allow own="org.freedesktop.PolicyKit1"/></policy>
<policy context="default"><allow send_destination="org.freedesktop.PolicyKit1"/></policy>
<include>)",
                      CORRAL_BUS_RULES, "</include></busconfig>");
}

// A socket is there a moment before anybody can connect to it.
bool Listens(const std::string& path) {
  sockaddr_un address = {.sun_family = AF_UNIX};
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool listens =
      connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  close(probe);
  return listens;
}

}  // namespace

PrivateBus::PrivateBus() {
  char dir[] = "/tmp/corral-bus.XXXXXX";
  if (mkdtemp(dir) == nullptr) return;
  chmod(dir, 0755);  // others shall connect
  dir_ = dir;
  const std::string config = dir_ + "/bus.conf", socket = dir_ + "/socket";
  std::ofstream(config) << ConfigText(socket);
  daemon_ = fork();
  if (daemon_ == 0) {
    execlp("dbus-daemon", "dbus-daemon", "--nofork", "--nopidfile", "--nosyslog",
           ("--config-file=" + config).c_str(), nullptr);
    _exit(127);
  }
  for (int i = 0; i < 500 && !Listens(socket); ++i) usleep(10'000);
  if (!Listens(socket)) return;
  address_ = "unix:path=" + socket;
  setenv("DBUS_SYSTEM_BUS_ADDRESS", address_.c_str(), 1);
}

void PrivateBus::Stop() {
  if (daemon_ <= 0) return;
  kill(daemon_, SIGTERM);
  waitpid(daemon_, nullptr, 0);
  daemon_ = 0;
}

PrivateBus::~PrivateBus() {
  Stop();
  unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
  std::error_code error;
  if (!dir_.empty()) std::filesystem::remove_all(dir_, error);
}

Outcome RunAs(uid_t user, const std::string& command) {
  const std::string line = absl::StrCat("setpriv --reuid=", user, " --regid=", user,
                                        " --clear-groups -- ", command, " 2>&1");
  Outcome outcome;
  FILE* const pipe = popen(line.c_str(), "r");
  if (pipe == nullptr) return outcome;
  char buffer[4096];
  while (const size_t size = fread(buffer, 1, sizeof(buffer), pipe))
    outcome.output.append(buffer, size);
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

}  // namespace corral
