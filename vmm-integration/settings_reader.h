// SPDX-License-Identifier: Apache-2.0
// What libvirt's status files, and its cgroups, say of VMs, told to a sink when it changes, and
// each mistake in them once.
//
// A file that cannot be read, or is about another VM, changes nothing: what was in force stays.
// Calls the sink from whoever calls it. Used from one thread at a time.
#ifndef CORRAL_VMM_INTEGRATION_SETTINGS_READER_H_
#define CORRAL_VMM_INTEGRATION_SETTINGS_READER_H_

#include <functional>
#include <map>
#include <string>

#include "vmm-integration/libvirt_cgroups.h"
#include "vmm-integration/libvirt_records.h"
#include "vmm-integration/vm_settings.h"
#include "vmm-integration/vm_source.h"

namespace corral {

class SettingsReader {
 public:
  // The sink must outlive this; `root` as in qemu_process.h.
  SettingsReader(VmSink& sink, TrustRules rules, std::string root)
      : sink_(sink), rules_(std::move(rules)), root_(std::move(root)) {}

  // Takes up what libvirt has written of the VM since the last time, if anything. The first time
  // settings are told in any case.
  void Read(const Vm& vm);
  // Those of VMs that are gone.
  void ForgetIf(const std::function<bool(pid_t pid)>& gone);

 private:
  struct Told {
    StatusStamp stamp;  // of the file that they came from
    CgroupTuning tuning;
    VmSettings settings;
    std::string unreadable;  // why the present file was not taken
  };

  VmSink& sink_;
  const TrustRules rules_;
  const std::string root_;
  std::map<pid_t, Told> told_;  // by the VM's process
};

}  // namespace corral

#endif  // CORRAL_VMM_INTEGRATION_SETTINGS_READER_H_
