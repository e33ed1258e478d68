// SPDX-License-Identifier: Apache-2.0
// A dbus-daemon of its own that passes for the system bus, with the rules of packaging/dbus. Root
// only, because those let nobody else be corrald. One thread.
#ifndef CORRAL_TESTS_BUS_PRIVATE_BUS_H_
#define CORRAL_TESTS_BUS_PRIVATE_BUS_H_

#include <sys/types.h>

#include <string>

namespace corral {

class PrivateBus {
 public:
  // Sets DBUS_SYSTEM_BUS_ADDRESS for this process and its children, which polkitd heeds as well.
  PrivateBus();
  ~PrivateBus();
  PrivateBus(const PrivateBus&) = delete;
  PrivateBus& operator=(const PrivateBus&) = delete;

  bool works() const { return !address_.empty(); }
  const std::string& address() const { return address_; }
  // Ends the daemon, as when the bus is restarted.
  void Stop();

 private:
  std::string dir_;
  std::string address_;
  pid_t daemon_ = 0;
};

struct Outcome {
  int code = -1;
  std::string output;  // of both streams
};
// Runs a shell command as that user.
Outcome RunAs(uid_t user, const std::string& command);

}  // namespace corral

#endif  // CORRAL_TESTS_BUS_PRIVATE_BUS_H_
