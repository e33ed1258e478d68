// SPDX-License-Identifier: Apache-2.0
// May a VM start, where corral.yaml says admission: strict? Only if each vCPU that it may ever have
// will be in the class: libvirt asks nobody when one is plugged later.
//
// Pure: facts in, a verdict out; admit_command.h collects the facts. Refusals are
// FailedPrecondition with the fact and the remedy.
#ifndef CORRAL_AGENT_CTL_ADMISSION_H_
#define CORRAL_AGENT_CTL_ADMISSION_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "config/config.h"
#include "kernel/cpu_set.h"
#include "vmm-integration/domain_xml.h"

namespace corral::ctl {

// The enclave of a corral.yaml, with its drop-ins, that VMs have to be protected in; "" if
// admission is open, or there is no enclave to enforce. Texts with errors are refused if they may
// ask for strict admission.
absl::StatusOr<std::string> StrictEnclave(absl::Span<const ConfigText> texts,
                                          absl::Span<const PolicyOptions> policies);

struct AdmissionFacts {
  std::string enclave;         // that shall hold the VM
  absl::Status class_status;   // OK: it is in charge; PermissionDenied: whoever asks is not root
  absl::Status daemon_status;  // OK: it serves, and will take the VM's threads in
  std::optional<CpuSet> cpus;  // of the enclave, by the class; none: it is not there
  std::string sched_core;      // of qemu.conf; "" is libvirt's default
  absl::StatusOr<DomainXml> vm;
};

absl::Status Admit(const AdmissionFacts& facts);

// The one line that libvirt passes on. Whatever `vm` is named and `refusal` quotes, it is
// printable.
std::string RefusalLine(absl::string_view vm, const absl::Status& refusal);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_ADMISSION_H_
