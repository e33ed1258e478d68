// SPDX-License-Identifier: Apache-2.0
// The names by which corrald is known on D-Bus: part of its interface, see org.corral.Corral1(5).
#ifndef CORRAL_AGENT_BUS_NAMES_H_
#define CORRAL_AGENT_BUS_NAMES_H_

namespace corral::bus {

inline constexpr char kName[] = "org.corral.Corral1";
inline constexpr char kPath[] = "/org/corral/Corral1";
inline constexpr char kInterface[] = "org.corral.Corral1.Manager";
inline constexpr char kEnclavePrefix[] = "/org/corral/Corral1/enclave";
inline constexpr char kEnclaveInterface[] = "org.corral.Corral1.Enclave";
inline constexpr char kDomainPrefix[] = "/org/corral/Corral1/domain";
inline constexpr char kDomainInterface[] = "org.corral.Corral1.Domain";
// Of packaging/polkit.
inline constexpr char kManageAction[] = "org.corral.Corral1.manage";

}  // namespace corral::bus

#endif  // CORRAL_AGENT_BUS_NAMES_H_
