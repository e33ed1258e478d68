// SPDX-License-Identifier: Apache-2.0
#include "config/resolve.h"

#include "absl/strings/str_cat.h"

namespace corral {
namespace {

// "CPU 4 is" or "CPUs 4-7 are".
std::string Are(const CpuSet& cpus) {
  return cpus.size() == 1 ? absl::StrCat("CPU ", cpus.Format(), " is")
                          : absl::StrCat("CPUs ", cpus.Format(), " are");
}

std::string Split(const std::string& name, const CpuSet& in, const CpuSet& out) {
  return absl::StrCat("enclave ", name, in.size() == 1 ? " has CPU " : " has CPUs ", in.Format(),
                      in.size() == 1 ? " but not its" : " but not their",
                      out.size() == 1 ? " SMT sibling " : " SMT siblings ", out.Format(), "; add ",
                      out.Format(), " or take ", in.Format(), " out");
}

void CheckEnclave(const EnclaveConfig& enclave, const HostCpus& host, const CpuSet& online,
                  FileErrors& errors) {
  // Of a default that is where the enclave begins.
  const FilePosition& where =
      enclave.cpus_position.file < 0 ? enclave.position : enclave.cpus_position;
  if (enclave.cpus->empty()) {
    errors.Add(where,
               absl::StrCat("enclave ", enclave.name,
                            " has no CPU left; the other enclaves have them all, so take some out "
                            "of one of them"));
  }
  if (const CpuSet missing = *enclave.cpus - online; !missing.empty()) {
    errors.Add(where,
               absl::StrCat("enclave ", enclave.name, ": ", Are(missing), " not online; online ",
                            online.size() == 1 ? "is " : "are ", online.Format()));
  }
  for (const CpuSet& core : host.cores) {
    if (!core.Intersects(*enclave.cpus) || enclave.cpus->Contains(core)) continue;
    errors.Add(where, Split(enclave.name, core & *enclave.cpus, core - *enclave.cpus));
  }
  const CpuSet ticking = (*enclave.cpus & online) - host.nohz_full;
  if (enclave.tickless && !ticking.empty()) {
    errors.Add(enclave.tickless_position,
               absl::StrCat("enclave ", enclave.name, ": ", Are(ticking),
                            " not nohz_full, so the timer ticks there; boot with nohz_full=",
                            enclave.cpus->Format(), " or leave tickless out"));
  }
}

}  // namespace

void ResolveCpus(Config& config, const HostCpus& host, FileErrors& errors) {
  CpuSet online;
  for (const CpuSet& core : host.cores) online = online | core;
  CpuSet left = online;
  for (const EnclaveConfig& enclave : config.enclaves) {
    if (enclave.cpus) left = left - *enclave.cpus;
  }
  for (EnclaveConfig& enclave : config.enclaves) {
    if (!enclave.cpus) enclave.cpus = left;
    CheckEnclave(enclave, host, online, errors);
  }
  const absl::StatusOr<CpuSet> housekeeping = CpuSet::Parse(config.housekeeping);
  if (housekeeping.ok() && !online.Contains(*housekeeping)) {
    errors.Add(config.housekeeping_position,
               absl::StrCat("housekeeping: ", Are(*housekeeping - online), " not online"));
  }
}

absl::Status ResolveCpus(Config& config, const HostCpus& host) {
  FileErrors errors(config.files);
  ResolveCpus(config, host, errors);
  return errors.ToStatus();
}

}  // namespace corral
