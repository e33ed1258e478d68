// SPDX-License-Identifier: Apache-2.0
// What a new configuration may change about enclaves while their threads run: which CPUs they have,
// and which there are beside that of the VMs.
//
// While its cores come and go an enclave has no agent: the class schedules it, isolated.
#include <poll.h>

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "agent/daemon/daemon.h"
#include "agent/daemon/enclaves.h"
#include "agent/views/protection.h"

namespace corral {
namespace {

// Threads that were released leave the class's memory a moment later.
constexpr Duration kUntilGone = std::chrono::seconds(5);

const EnclaveConfig* EnclaveIn(const Config& config, const std::string& name) {
  for (const EnclaveConfig& enclave : config.enclaves) {
    if (enclave.name == name) return &enclave;
  }
  return nullptr;
}

bool HoldSameThreads(const EnclaveConfig& a, const EnclaveConfig& b) {
  return a.vms == b.vms && a.cgroup == b.cgroup && a.units == b.units &&
         a.processes == b.processes && a.isolate == b.isolate;
}

absl::Status Refuse(const EnclaveConfig& enclave, absl::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat("enclave ", enclave.name, ": ", why));
}

absl::Status DestroyWhenEmpty(ControlKernel& kernel, EnclaveId enclave) {
  absl::Status status;
  for (const Time end = kernel.Now() + kUntilGone; kernel.Now() < end; poll(nullptr, 0, 10)) {
    status = kernel.DestroyEnclave(enclave);
    if (status.ok()) break;
  }
  return status;
}

}  // namespace

bool Daemon::Serves(const std::string& name) const {
  return std::any_of(enclaves_.begin(), enclaves_.end(),
                     [&](const Enclave& enclave) { return enclave.config.name == name; });
}

absl::Status Daemon::CheckCpus(const Config& wanted) const {
  for (const Enclave& enclave : enclaves_) {
    const EnclaveConfig* const then = EnclaveIn(wanted, enclave.config.name);
    if (then != nullptr && (CpusOf(*kernel_, enclave.id) & *then->cpus).empty())
      return Refuse(*then, "it would keep none of its CPUs; move it in two steps");
  }
  return absl::OkStatus();
}

// One enclave that is there, and what it shall become.
absl::Status Daemon::CheckChange(const Enclave& enclave, const EnclaveConfig& wanted) const {
  if (!HoldSameThreads(enclave.config, wanted)) {
    return Refuse(wanted,
                  "what it holds cannot be changed by a reload yet; restart corrald.service");
  }
  return wanted.policy == enclave.config.policy ? absl::OkStatus() : CheckSwitch(enclave, wanted);
}

absl::Status Daemon::CheckReshape(const Config& wanted) const {
  for (const Enclave& enclave : enclaves_) {
    const EnclaveConfig* const then = EnclaveIn(wanted, enclave.config.name);
    if (then == nullptr && enclave.config.vms != Vms::kNone) {
      return Refuse(
          enclave.config,
          "it holds VMs, so it goes with the class only; stop corral-class.service first");
    }
    if (then == nullptr) continue;
    if (const absl::Status status = CheckChange(enclave, *then); !status.ok()) return status;
  }
  for (const EnclaveConfig& enclave : wanted.enclaves) {
    if (enclave.vms != Vms::kNone && !Serves(enclave.name))
      return Refuse(enclave, "one for VMs cannot come by a reload yet; restart corrald.service");
  }
  return CheckCpus(wanted);
}

// Its threads go back to where they came from.
absl::Status Daemon::Close(Enclave& enclave) {
  enclave.threads->Release();
  enclave.supervisor->Retire();
  return DestroyWhenEmpty(*kernel_, enclave.id);
}

// Those that lose CPUs first, whoever gets them.
absl::Status Daemon::MoveCpus(const Config& wanted) {
  std::map<Enclave*, CpuSet> moves;
  for (Enclave& enclave : enclaves_) {
    const CpuSet cpus = *EnclaveIn(wanted, enclave.config.name)->cpus;
    if (cpus != CpusOf(*kernel_, enclave.id)) moves[&enclave] = cpus;
  }
  for (const auto& [enclave, cpus] : moves) enclave->supervisor->Retire();
  absl::Status status;
  for (const auto& [enclave, cpus] : moves)
    status.Update(kernel_->ReshapeEnclave(enclave->id, CpusOf(*kernel_, enclave->id) & cpus));
  for (const auto& [enclave, cpus] : moves) {
    status.Update(kernel_->ReshapeEnclave(enclave->id, cpus));
    enclave->config.cpus = CpusOf(*kernel_, enclave->id);
    enclave->supervisor->set_cores(CoresOf(*kernel_, enclave->id));
    enclave->ticks = nullptr;  // of the CPUs that it had
    log_({Event::kEnclaveReshaped,
          absl::StrCat("enclave ", enclave->config.name, " has CPUs ",
                       enclave->config.cpus->Format(), " now"),
          {{"ENCLAVE", enclave->config.name}}});
  }
  return status;
}

absl::Status Daemon::Reshape(const Config& wanted) {
  absl::Status status;
  for (size_t i = 0; i < enclaves_.size();) {
    if (EnclaveIn(wanted, enclaves_[i].config.name) != nullptr) {
      ++i;
      continue;
    }
    status.Update(Close(enclaves_[i]));
    log_({Event::kEnclaveReshaped,
          absl::StrCat("enclave ", enclaves_[i].config.name, " is gone"),
          {{"ENCLAVE", enclaves_[i].config.name}}});
    enclaves_.erase(enclaves_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  status.Update(MoveCpus(wanted));
  if (!status.ok()) return status;
  for (const EnclaveConfig& enclave : wanted.enclaves) {
    if (Serves(enclave.name)) continue;
    if (status = Begin(enclave); !status.ok()) return status;
    log_({Event::kEnclaveReshaped,
          absl::StrCat("enclave ", enclave.name, " is new, with CPUs ", enclave.cpus->Format()),
          {{"ENCLAVE", enclave.name}}});
  }
  // As in the file, which the rest of the reload goes through.
  std::sort(enclaves_.begin(), enclaves_.end(), [&](const Enclave& a, const Enclave& b) {
    return EnclaveIn(wanted, a.config.name) < EnclaveIn(wanted, b.config.name);
  });
  AwaitAgents();
  return status;
}

}  // namespace corral
