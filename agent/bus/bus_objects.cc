// SPDX-License-Identifier: Apache-2.0
// The objects of BusService: which there are, their properties, and what has changed in them.
#include <cstdlib>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "agent/bus/bus_service.h"
#include "agent/bus/names.h"
#include "policies/registry.h"

namespace corral {
namespace {

int Append(sd_bus_message* reply, const std::string& value) {
  return sd_bus_message_append(reply, "s", value.c_str());
}
int Append(sd_bus_message* reply, uint32_t value) {
  return sd_bus_message_append(reply, "u", value);
}
int Append(sd_bus_message* reply, uint64_t value) {
  return sd_bus_message_append(reply, "t", value);
}
int Append(sd_bus_message* reply, Duration value) {
  return sd_bus_message_append(reply, "t", static_cast<uint64_t>(value.count()));
}
int Append(sd_bus_message* reply, const CpuSet& value) { return Append(reply, value.Format()); }
int Append(sd_bus_message* reply, const std::vector<std::string>& values) {
  int error = sd_bus_message_open_container(reply, 'a', "s");
  for (const std::string& value : values) {
    if (error >= 0) error = Append(reply, value);
  }
  return error < 0 ? error : sd_bus_message_close_container(reply);
}

template <typename T>
struct MemberOf;
template <typename Object, typename Value>
struct MemberOf<Value Object::*> {
  using Type = Object;
};

// How sd-bus reads a member of what `object` points to.
template <auto member>
int Get(sd_bus*, const char*, const char*, const char*, sd_bus_message* reply, void* object,
        sd_bus_error*) {
  return Append(reply,
                static_cast<const typename MemberOf<decltype(member)>::Type*>(object)->*member);
}

// The same of the state of what `service` points to.
template <auto member>
int GetOfState(sd_bus* connection, const char* path, const char* interface, const char* property,
               sd_bus_message* reply, void* service, sd_bus_error* error) {
  auto* const state = const_cast<BusState*>(&static_cast<const BusService*>(service)->state());
  return Get<member>(connection, path, interface, property, reply, state, error);
}

int GetVersion(sd_bus*, const char*, const char*, const char*, sd_bus_message* reply, void*,
               sd_bus_error*) {
  return sd_bus_message_append(reply, "s", CORRAL_VERSION);
}

// What SetPolicy takes, with a line on each.
int GetPolicies(sd_bus*, const char*, const char*, const char*, sd_bus_message* reply, void*,
                sd_bus_error*) {
  int error = sd_bus_message_open_container(reply, 'a', "(ss)");
  for (const PolicyInfo& policy : Policies()) {
    if (error >= 0)
      error = sd_bus_message_append(reply, "(ss)", std::string(policy.name).c_str(),
                                    std::string(policy.summary).c_str());
  }
  return error < 0 ? error : sd_bus_message_close_container(reply);
}

std::string Encoded(const char* prefix, const std::string& label) {
  char* path = nullptr;
  if (sd_bus_path_encode(prefix, label.c_str(), &path) < 0) return "";
  std::string text(path);
  free(path);
  return text;
}

std::string PathOf(const EnclaveView& enclave) {
  return Encoded(bus::kEnclavePrefix, enclave.name);
}
// Domains of one name can be in two enclaves.
std::string PathOf(const DomainView& domain) {
  return Encoded(bus::kDomainPrefix, absl::StrCat(domain.id));
}

template <typename Object>
std::vector<std::string> PathsOf(const std::vector<Object>& objects) {
  std::vector<std::string> paths;
  for (const Object& object : objects) paths.push_back(PathOf(object));
  return paths;
}

template <auto objects>
int GetPaths(sd_bus*, const char*, const char*, const char*, sd_bus_message* reply, void* service,
             sd_bus_error*) {
  int error = sd_bus_message_open_container(reply, 'a', "o");
  for (const std::string& path :
       PathsOf(static_cast<const BusService*>(service)->state().*objects)) {
    if (error >= 0) error = sd_bus_message_append(reply, "o", path.c_str());
  }
  return error < 0 ? error : sd_bus_message_close_container(reply);
}

template <auto objects>
int Find(sd_bus*, const char* path, const char*, void* state, void** found, sd_bus_error*) {
  for (auto& object : static_cast<BusState*>(state)->*objects) {
    if (PathOf(object) != path) continue;
    *found = &object;
    return 1;
  }
  return 0;
}

int Enumerate(sd_bus*, const char*, void* state, char*** nodes, sd_bus_error*) {
  const auto* const there = static_cast<const BusState*>(state);
  std::vector<std::string> paths = PathsOf(there->enclaves);
  for (std::string& path : PathsOf(there->domains)) paths.push_back(std::move(path));
  // sd-bus frees them one by one.
  auto** const list = static_cast<char**>(calloc(paths.size() + 1, sizeof(char*)));
  if (list == nullptr) return -ENOMEM;
  for (size_t i = 0; i < paths.size(); ++i) list[i] = strdup(paths[i].c_str());
  *nodes = list;
  return 0;
}

constexpr uint64_t kConst = SD_BUS_VTABLE_PROPERTY_CONST;
constexpr uint64_t kChanges = SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE;
// It changes all the time, and nobody is told.
constexpr uint64_t kCounter = 0;

const sd_bus_vtable kEnclave[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Id", "u", Get<&EnclaveView::id>, 0, kConst),
    SD_BUS_PROPERTY("Name", "s", Get<&EnclaveView::name>, 0, kConst),
    SD_BUS_PROPERTY("Cpus", "s", Get<&EnclaveView::cpus>, 0, kChanges),
    SD_BUS_PROPERTY("Cores", "u", Get<&EnclaveView::cores>, 0, kChanges),
    SD_BUS_PROPERTY("Agents", "u", Get<&EnclaveView::agents>, 0, kChanges),
    SD_BUS_PROPERTY("Stalled", "u", Get<&EnclaveView::stalled>, 0, kChanges),
    SD_BUS_PROPERTY("Policy", "s", Get<&EnclaveView::policy>, 0, kChanges),
    SD_BUS_PROPERTY("TenureNSec", "t", Get<&EnclaveView::tenure>, 0, kChanges),
    SD_BUS_VTABLE_END};

const sd_bus_vtable kDomain[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Id", "u", Get<&DomainView::id>, 0, kConst),
    SD_BUS_PROPERTY("Name", "s", Get<&DomainView::name>, 0, kConst),
    SD_BUS_PROPERTY("Uuid", "s", Get<&DomainView::uuid>, 0, kConst),
    SD_BUS_PROPERTY("EnclaveId", "u", Get<&DomainView::enclave>, 0, kConst),
    SD_BUS_PROPERTY("Vcpus", "u", Get<&DomainView::vcpus>, 0, kChanges),
    SD_BUS_PROPERTY("Running", "u", Get<&DomainView::running>, 0, kCounter),
    SD_BUS_PROPERTY("Waiting", "u", Get<&DomainView::waiting>, 0, kCounter),
    SD_BUS_PROPERTY("RuntimeNSec", "t", Get<&DomainView::runtime>, 0, kCounter),
    SD_BUS_VTABLE_END};

// The properties of whom listeners are told, and whether they are what they were.
template <typename Object>
struct Told {
  const char* property;
  bool (*same)(const Object&, const Object&);
};
template <auto member>
bool Same(const typename MemberOf<decltype(member)>::Type& a,
          const typename MemberOf<decltype(member)>::Type& b) {
  return a.*member == b.*member;
}
template <auto objects>
bool SamePaths(const BusState& a, const BusState& b) {
  return PathsOf(a.*objects) == PathsOf(b.*objects);
}

constexpr Told<BusState> kToldOfState[] = {
    {"Mode", Same<&BusState::mode>},
    {"ClassState", Same<&BusState::class_state>},
    {"Breaches", Same<&BusState::breaches>},
    {"Unprotected", Same<&BusState::unprotected>},
    {"Refused", Same<&BusState::refused>},
    {"Conflicts", Same<&BusState::conflicts>},
    {"Enclaves", SamePaths<&BusState::enclaves>},
    {"Domains", SamePaths<&BusState::domains>},
};
constexpr Told<EnclaveView> kToldOfEnclave[] = {
    {"Cpus", Same<&EnclaveView::cpus>},     {"Cores", Same<&EnclaveView::cores>},
    {"Agents", Same<&EnclaveView::agents>}, {"Stalled", Same<&EnclaveView::stalled>},
    {"Policy", Same<&EnclaveView::policy>}, {"TenureNSec", Same<&EnclaveView::tenure>},
};
constexpr Told<DomainView> kToldOfDomain[] = {{"Vcpus", Same<&DomainView::vcpus>}};

template <typename Object>
void TellChanges(sd_bus* connection, const std::string& path, const char* interface,
                 const Object& before, const Object& now, absl::Span<const Told<Object>> told) {
  std::vector<char*> names;
  for (const Told<Object>& one : told) {
    if (!one.same(before, now)) names.push_back(const_cast<char*>(one.property));
  }
  if (names.empty()) return;
  names.push_back(nullptr);
  sd_bus_emit_properties_changed_strv(connection, path.c_str(), interface, names.data());
}

template <typename Object>
const Object* FindById(const std::vector<Object>& objects, const Object& like) {
  for (const Object& object : objects) {
    if (PathOf(object) == PathOf(like)) return &object;
  }
  return nullptr;
}

template <typename Object>
void TellObjects(sd_bus* connection, const char* interface, const std::vector<Object>& before,
                 const std::vector<Object>& now, absl::Span<const Told<Object>> told) {
  for (const Object& object : before) {
    if (FindById(now, object) == nullptr)
      sd_bus_emit_interfaces_removed(connection, PathOf(object).c_str(), interface, nullptr);
  }
  for (const Object& object : now) {
    if (const Object* const was = FindById(before, object)) {
      TellChanges(connection, PathOf(object), interface, *was, object, told);
    } else {
      sd_bus_emit_interfaces_added(connection, PathOf(object).c_str(), interface, nullptr);
    }
  }
}

}  // namespace

// Who may call them is not the bus's business but ours.
const sd_bus_vtable BusService::kManager[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Version", "s", GetVersion, 0, kConst),
    SD_BUS_PROPERTY("Policies", "a(ss)", GetPolicies, 0, kConst),
    SD_BUS_PROPERTY("Mode", "s", GetOfState<&BusState::mode>, 0, kChanges),
    SD_BUS_PROPERTY("ClassState", "s", GetOfState<&BusState::class_state>, 0, kChanges),
    SD_BUS_PROPERTY("LookedNSec", "t", GetOfState<&BusState::looked>, 0, kCounter),
    SD_BUS_PROPERTY("Breaches", "t", GetOfState<&BusState::breaches>, 0, kChanges),
    SD_BUS_PROPERTY("Unprotected", "as", GetOfState<&BusState::unprotected>, 0, kChanges),
    SD_BUS_PROPERTY("Refused", "as", GetOfState<&BusState::refused>, 0, kChanges),
    SD_BUS_PROPERTY("Conflicts", "as", GetOfState<&BusState::conflicts>, 0, kChanges),
    SD_BUS_PROPERTY("Enclaves", "ao", GetPaths<&BusState::enclaves>, 0, kChanges),
    SD_BUS_PROPERTY("Domains", "ao", GetPaths<&BusState::domains>, 0, kChanges),
    SD_BUS_METHOD_WITH_NAMES("SetPolicy", "ss", SD_BUS_PARAM(enclave) SD_BUS_PARAM(policy), "", ,
                             SetPolicy, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_NAMES("Attach", "si", SD_BUS_PARAM(enclave) SD_BUS_PARAM(pid), "", , Attach,
                             SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Reload", "", "", Reload, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_NAMES("ListCores", "", , "a(uuuua(iubb))", SD_BUS_PARAM(cores), ListCores,
                             SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END};

int BusService::RegisterObjects() {
  sd_bus* const connection = bus_.get();
  int error = sd_bus_add_object_manager(connection, nullptr, bus::kPath);
  if (error >= 0)
    error =
        sd_bus_add_object_vtable(connection, nullptr, bus::kPath, bus::kInterface, kManager, this);
  if (error >= 0)
    error =
        sd_bus_add_fallback_vtable(connection, nullptr, bus::kEnclavePrefix, bus::kEnclaveInterface,
                                   kEnclave, Find<&BusState::enclaves>, &state_);
  if (error >= 0)
    error =
        sd_bus_add_fallback_vtable(connection, nullptr, bus::kDomainPrefix, bus::kDomainInterface,
                                   kDomain, Find<&BusState::domains>, &state_);
  if (error >= 0)
    error = sd_bus_add_node_enumerator(connection, nullptr, bus::kPath, Enumerate, &state_);
  return error;
}

void BusService::TellManager(const BusState& before) {
  TellChanges<BusState>(bus_.get(), bus::kPath, bus::kInterface, before, state_, kToldOfState);
}

void BusService::TellEnclaves(const BusState& before) {
  TellObjects<EnclaveView>(bus_.get(), bus::kEnclaveInterface, before.enclaves, state_.enclaves,
                           kToldOfEnclave);
}

void BusService::TellDomains(const BusState& before) {
  TellObjects<DomainView>(bus_.get(), bus::kDomainInterface, before.domains, state_.domains,
                          kToldOfDomain);
}

}  // namespace corral
