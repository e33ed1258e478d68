// SPDX-License-Identifier: Apache-2.0
// Whose VMs corral.yaml wants held, and what tells of them: libvirt's driver, plain QEMU's, or
// both.
//
// Sources of both kinds may call their sink at the same time; what is made here calls it once at a
// time. Otherwise as vm_source.h says.
#ifndef CORRAL_AGENT_DAEMON_VM_SOURCES_H_
#define CORRAL_AGENT_DAEMON_VM_SOURCES_H_

#include <memory>

#include "absl/status/status.h"
#include "agent/daemon/logger.h"
#include "config/config.h"
#include "vmm-integration/vm_source.h"

namespace corral {

// The enclave that holds VMs; nullptr if none does.
const EnclaveConfig* EnclaveOfVms(const Config& config);

// Which threads of a VM go into the class.
VmThreads ThreadsToIsolate(Isolate isolate);

// For a configuration that has an enclave of VMs. Whether libvirt answers is not waited for: at
// boot corrald comes first, so that libvirt's first VM finds it, and what does not answer is a
// notice.
std::unique_ptr<VmSource> MakeVmSource(const Config& config);

// In mode: observe, tells what would be attached. `log` must outlive it.
std::unique_ptr<VmSink> MakeObserver(Logger& log);

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_VM_SOURCES_H_
