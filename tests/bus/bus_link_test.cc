// SPDX-License-Identifier: Apache-2.0
// corrald without a bus, and with one that goes and comes back.
#include "agent/daemon/bus_link.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/bus/private_bus.h"

namespace corral {
namespace {

using std::chrono::seconds;

BusLink NewLink() {
  return BusLink([](const nlohmann::json&) { return nlohmann::json::object(); },
                 [] { return LookForBus(Mode::kObserve, nullptr); });
}

TEST(BusLink, AHostWithoutABusIsToldOnce) {
  setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/socket", 1);
  BusLink link = NewLink();
  Time now{seconds(100)};
  const std::string told = link.Poll(now);
  EXPECT_EQ(told.find("cannot be org.corral.Corral1 on the system bus: No such file"), 0u) << told;
  EXPECT_EQ(link.events().fd, -1);
  EXPECT_EQ(link.Poll(now + seconds(10)), "");
  unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
}

TEST(BusLink, FindsABusThatComesBack) {
  if (geteuid() != 0) GTEST_SKIP() << "only root may be corrald on the bus";
  BusLink link = NewLink();
  Time now{seconds(100)};
  {
    PrivateBus first;
    ASSERT_TRUE(first.works());
    EXPECT_EQ(link.Poll(now), "");
    EXPECT_GE(link.events().fd, 0);
    first.Stop();
    std::string gone;
    for (int i = 0; i < 100 && gone.empty(); ++i) {
      usleep(10'000);
      gone = link.Poll(now += std::chrono::milliseconds(10));
    }
    EXPECT_EQ(gone.find("the system bus is gone"), 0u) << gone;
  }
  EXPECT_EQ(link.events().fd, -1);
  PrivateBus second;
  ASSERT_TRUE(second.works());
  EXPECT_EQ(link.Poll(now += seconds(1)), "") << "too early";
  EXPECT_EQ(link.Poll(now += seconds(10)), "");
  EXPECT_GE(link.events().fd, 0);
}

}  // namespace
}  // namespace corral
