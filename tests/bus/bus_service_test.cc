// SPDX-License-Identifier: Apache-2.0
// corrald's D-Bus interface as other programs meet it: a real bus, systemd's busctl as the caller,
// and the class on a simulated machine.
#include "agent/bus/bus_service.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/bus/names.h"
#include "kernel/sim/sim_kernel.h"
#include "policies/registry.h"
#include "tests/bus/private_bus.h"
#include "tests/bus/served.h"
#include "tests/sim/bare_vms.h"

namespace corral {
namespace {

using nlohmann::json;
using sim::Machine;

constexpr uid_t kNobody = 65534;

class BusServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root may be corrald on the bus";
    bus_.emplace();
    ASSERT_TRUE(bus_->works());
    Machine::Spec spec;
    spec.cores = {{.cpus = {CpuId(0), CpuId(1)}}, {.cpus = {CpuId(2), CpuId(3)}}};
    machine_ = Machine::Create(spec).value();
    control_ = sim::SimControlKernel::Create(*machine_).value();
    enclave_ = control_->CreateEnclave({.name = "vms", .cpus = {0, 1, 2, 3}}).value();
    NewDomain("web");
    served_ = std::make_unique<Served>(Look());
  }
  DomainId NewDomain(const std::string& name) {
    DomainKey key = {};
    std::copy(name.begin(), name.end(), key.begin());
    return control_->CreateDomain(enclave_, key, name).value();
  }
  BusState Look() const { return LookForBus(Mode::kEnforce, control_.get()); }
  Outcome Busctl(const std::string& arguments, uid_t user = 0) const {
    return RunAs(user, absl::StrCat("busctl --address=", bus_->address(), " ", arguments));
  }
  Outcome Get(const std::string& property, uid_t user = kNobody) const {
    return Busctl(absl::StrCat("get-property ", bus::kName, " ", bus::kPath, " ", bus::kInterface,
                               " ", property),
                  user);
  }
  Outcome Call(const std::string& method, uid_t user = 0) const {
    return Busctl(
        absl::StrCat("call ", bus::kName, " ", bus::kPath, " ", bus::kInterface, " ", method),
        user);
  }
  // Until it is so, for 10 s.
  template <typename Condition>
  static bool Await(Condition condition) {
    for (int i = 0; i < 200; ++i) {
      if (condition()) return true;
      usleep(50'000);
    }
    return false;
  }

  std::optional<PrivateBus> bus_;
  std::unique_ptr<Machine> machine_;
  std::unique_ptr<sim::SimControlKernel> control_;
  EnclaveId enclave_;
  std::unique_ptr<Served> served_;
};

TEST_F(BusServiceTest, EveryoneReadsEverything) {
  EXPECT_EQ(Get("Mode").output, "s \"enforce\"\n");
  EXPECT_EQ(Get("ClassState").output, "s \"in-charge\"\n");
  EXPECT_EQ(Get("Breaches").output, "t 0\n");
  const std::string looked = Get("LookedNSec").output;
  machine_->RunFor(std::chrono::milliseconds(250));
  served_->Update(Look());
  const std::string later =
      absl::StrCat("t ", machine_->now().time_since_epoch() / std::chrono::nanoseconds(1), "\n");
  EXPECT_NE(looked, later);
  EXPECT_TRUE(Await([&] { return Get("LookedNSec").output == later; })) << later;
  json policies = json::array();
  for (const PolicyInfo& policy : Policies())
    policies.push_back({std::string(policy.name), std::string(policy.summary)});
  const Outcome told = Busctl(absl::StrCat("--json=short get-property ", bus::kName, " ",
                                           bus::kPath, " ", bus::kInterface, " Policies"),
                              kNobody);
  EXPECT_EQ(json::parse(told.output)["data"], policies) << told.output;
  EXPECT_EQ(Get("Unprotected").output, "as 0\n");
  EXPECT_EQ(Get("Enclaves").output, "ao 1 \"/org/corral/Corral1/enclave/vms\"\n");
  const std::string domains = Get("Domains").output;
  ASSERT_TRUE(absl::StartsWith(domains, "ao 1 \"/org/corral/Corral1/domain/")) << domains;
  const std::string path = domains.substr(6, domains.size() - 8);
  const auto read = [&](const std::string& object, const std::string& property) {
    return Busctl(absl::StrCat("get-property ", bus::kName, " ", object, " ", property), kNobody)
        .output;
  };
  EXPECT_EQ(read(path, absl::StrCat(bus::kDomainInterface, " Name")), "s \"web\"\n");
  EXPECT_EQ(read(path, absl::StrCat(bus::kDomainInterface, " Vcpus")), "u 0\n");
  const std::string vms = absl::StrCat(bus::kEnclavePrefix, "/vms");
  EXPECT_EQ(read(vms, absl::StrCat(bus::kEnclaveInterface, " Cpus")), "s \"0-3\"\n");
  EXPECT_EQ(read(vms, absl::StrCat(bus::kEnclaveInterface, " Agents")), "u 0\n");
  const Outcome cores = Call("ListCores", kNobody);
  EXPECT_EQ(cores.output, absl::StrCat("a(uuuua(iubb)) 2 0 0 ", enclave_.value(),
                                       " 0 2 0 0 false false 1 0 false false 1 0 ",
                                       enclave_.value(), " 0 2 2 0 false false 3 0 false false\n"));
}

// One domain's thread has a core, another's waits for it, and the sibling in between idles.
TEST_F(BusServiceTest, ShowsWhoIsForcedIdle) {
  BareVms vms(1, 2);
  vms.AddVm<Spinner>(1, "web");
  vms.AddVm<Spinner>(1, "db");
  vms.machine().RunFor(std::chrono::milliseconds(50));
  served_->Update(LookForBus(Mode::kEnforce, &vms.control()));
  json siblings;
  EXPECT_TRUE(Await([&] {
    const Outcome cores = Busctl(absl::StrCat("--json=short call ", bus::kName, " ", bus::kPath,
                                              " ", bus::kInterface, " ListCores"));
    const json answer = json::parse(cores.output)["data"][0];
    siblings = answer[0][4];
    return answer.size() == 1;
  }));
  ASSERT_EQ(siblings.size(), 2u);
  const bool first_runs = siblings[0][1] != 0;
  EXPECT_EQ(siblings[first_runs ? 0 : 1][3], false) << siblings;
  EXPECT_EQ(siblings[first_runs ? 1 : 0][1], 0) << siblings;
  EXPECT_EQ(siblings[first_runs ? 1 : 0][3], true) << siblings;
}

TEST_F(BusServiceTest, IsIntrospectable) {
  const std::string tree = Busctl(absl::StrCat("tree --list ", bus::kName), kNobody).output;
  EXPECT_TRUE(absl::StrContains(tree, "/org/corral/Corral1/enclave/vms")) << tree;
  EXPECT_TRUE(absl::StrContains(tree, "/org/corral/Corral1/domain/")) << tree;
  const Outcome manager = Busctl(absl::StrCat("introspect ", bus::kName, " ", bus::kPath), kNobody);
  EXPECT_EQ(manager.code, 0) << manager.output;
  for (const char* const word :
       {".SetPolicy", ".Attach", ".Reload", ".ListCores", ".Policies", ".Unprotected",
        "org.freedesktop.DBus.ObjectManager", "emits-change"})
    EXPECT_TRUE(absl::StrContains(manager.output, word)) << word << " in " << manager.output;
}

TEST_F(BusServiceTest, RootChangesThings) {
  EXPECT_EQ(Call("SetPolicy ss vms fifo").code, 0);
  EXPECT_EQ(Call("Reload").code, 0);
  EXPECT_EQ(Call("Attach si vms 4711").code, 0);
  EXPECT_EQ(served_->requests(),
            (std::vector<json>{{{"call", "policy.set"}, {"enclave", "vms"}, {"policy", "fifo"}},
                               {{"call", "reload"}},
                               {{"call", "attach"}, {"enclave", "vms"}, {"pid", 4711}}}));
  const Outcome refused = Call("SetPolicy ss none fifo");
  EXPECT_NE(refused.code, 0);
  EXPECT_TRUE(absl::StrContains(refused.output, "there is no enclave \"none\"; there are: vms"))
      << refused.output;
  const Outcome named = RunAs(
      0, absl::StrCat("dbus-send --print-reply --bus=", bus_->address(), " --dest=", bus::kName,
                      " ", bus::kPath, " ", bus::kInterface, ".SetPolicy string:none string:fifo"));
  EXPECT_TRUE(absl::StrContains(named.output, "org.corral.Corral1.Error.NotFound")) << named.output;
}

TEST_F(BusServiceTest, OthersChangeNothingWithoutPolkit) {
  for (const char* const call : {"SetPolicy ss vms fifo", "Reload", "Attach si vms 1"}) {
    const Outcome denied = Call(call, kNobody);
    EXPECT_NE(denied.code, 0) << call;
    EXPECT_TRUE(absl::StrContains(denied.output, "org.corral.Corral1.manage")) << denied.output;
  }
  EXPECT_TRUE(served_->requests().empty());
}

TEST_F(BusServiceTest, NobodyElseCanBeCorrald) {
  served_.reset();
  const Outcome owned =
      RunAs(kNobody, absl::StrCat("dbus-send --print-reply --bus=", bus_->address(),
                                  " --dest=org.freedesktop.DBus / org.freedesktop.DBus.RequestName "
                                  "string:",
                                  bus::kName, " uint32:0"));
  EXPECT_TRUE(absl::StrContains(owned.output, "AccessDenied")) << owned.output;
}

// Whoever listens is told of what comes, changes and goes.
TEST_F(BusServiceTest, ChangesAreTold) {
  sd_bus* listener = nullptr;
  ASSERT_GE(sd_bus_open_system(&listener), 0);
  std::vector<std::string> heard;
  const auto hear = [](sd_bus_message* signal, void* to, sd_bus_error*) {
    std::string line =
        absl::StrCat(sd_bus_message_get_path(signal), " ", sd_bus_message_get_member(signal));
    const char* text = nullptr;
    if (sd_bus_message_read(signal, "s", &text) > 0) absl::StrAppend(&line, " ", text);
    static_cast<std::vector<std::string>*>(to)->push_back(line);
    return 0;
  };
  ASSERT_GE(
      sd_bus_match_signal(listener, nullptr, bus::kName, nullptr, nullptr, nullptr, hear, &heard),
      0);
  const auto told = [&](const std::string& part) {
    return Await([&] {
      while (sd_bus_process(listener, nullptr) > 0) {
      }
      return std::any_of(heard.begin(), heard.end(),
                         [&](const std::string& line) { return absl::StrContains(line, part); });
    });
  };
  served_->Update(Look());
  EXPECT_TRUE(heard.empty());
  const DomainId db = NewDomain("db");
  served_->Update(Look());
  EXPECT_TRUE(told("InterfacesAdded")) << testing::PrintToString(heard);
  EXPECT_TRUE(told("/org/corral/Corral1 PropertiesChanged org.corral.Corral1.Manager"));
  heard.clear();
  machine_->NewThread("db", nullptr);
  ASSERT_TRUE(control_->AttachTask(machine_->NewThread("db", nullptr).tid(), db, 0, 100).ok());
  machine_->RunFor(std::chrono::milliseconds(1));
  served_->Update(Look());
  EXPECT_TRUE(told(absl::StrCat("/org/corral/Corral1/domain/_3", db.value(),
                                " PropertiesChanged org.corral.Corral1.Domain")))
      << testing::PrintToString(heard);
  heard.clear();
  BusState without = Look();
  without.domains.pop_back();
  served_->Update(std::move(without));
  EXPECT_TRUE(told("InterfacesRemoved")) << testing::PrintToString(heard);
  sd_bus_flush_close_unref(listener);
}

// A message that no vtable knows, or with arguments that do not fit.
void AppendGarbage(sd_bus_message* call, std::mt19937& random) {
  for (int i = static_cast<int>(random() % 4); i > 0; --i) {
    switch (random() % 6) {
      case 0:
        sd_bus_message_append(call, "s", std::string(random() % 5000, 'x').c_str());
        break;
      case 1:
        sd_bus_message_append(call, "i", static_cast<int>(random()));
        break;
      case 2:
        sd_bus_message_append(call, "a{sv}", 1, "enclave", "s", "vms");
        break;
      case 3:
        sd_bus_message_append(call, "s", "vms\n\"\\\x01");
        break;
      case 4:
        sd_bus_message_append(call, "v", "(sx)", "", int64_t{-1});
        break;
      default:
        sd_bus_message_append(call, "as", 3, "", "vms", "fifo");
    }
  }
}

TEST_F(BusServiceTest, AThousandMalformedCallsChangeNothing) {
  sd_bus* caller = nullptr;
  ASSERT_GE(sd_bus_open_system(&caller), 0);
  constexpr const char* kPaths[] = {"/", "/org/corral/Corral1", "/org/corral/Corral1/enclave/no",
                                    "/org/corral/Corral1/domain/_39",
                                    "/org/corral/Corral1/enclave"};
  constexpr const char* kInterfaces[] = {"org.corral.Corral1.Manager", "org.corral.Corral1.Enclave",
                                         "org.freedesktop.DBus.Properties", "a.b"};
  constexpr const char* kMethods[] = {"SetPolicy", "Attach", "Set", "Reload1", "GetAll", "X"};
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 1000; ++i) {
    sd_bus_message* call = nullptr;
    ASSERT_GE(sd_bus_message_new_method_call(caller, &call, bus::kName, kPaths[random() % 5],
                                             kInterfaces[random() % 4], kMethods[random() % 6]),
              0);
    AppendGarbage(call, random);
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message* answer = nullptr;
    if (sd_bus_call(caller, call, 5'000'000, &error, &answer) < 0) {
      ++refused;
      EXPECT_TRUE(error.message != nullptr && *error.message != '\0') << error.name;
      EXPECT_STRNE(error.name, "org.freedesktop.DBus.Error.NoReply");
    }
    sd_bus_error_free(&error);
    sd_bus_message_unref(answer);
    sd_bus_message_unref(call);
  }
  sd_bus_flush_close_unref(caller);
  EXPECT_GT(refused, 900);
  EXPECT_TRUE(served_->requests().empty()) << served_->requests().front();
  EXPECT_EQ(Get("Mode").output, "s \"enforce\"\n");
}

}  // namespace
}  // namespace corral
