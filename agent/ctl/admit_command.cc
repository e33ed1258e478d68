// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/admit_command.h"

#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/check/host_findings.h"
#include "agent/check/kernel_findings.h"
#include "agent/ctl/admission.h"
#include "agent/ctl/corral_yaml.h"
#include "agent/daemon/control_socket.h"
#include "agent/views/protection.h"
#include "kernel/bpf/bpf_control_kernel.h"
#include "kernel/text_field.h"

namespace corral::ctl {
namespace {

struct Options {
  std::vector<std::string> call;  // as libvirt calls its hooks
  std::string config = kCorralYaml;
  std::string socket = kControlSocket;
};

absl::StatusOr<std::string> EnclaveThatIsStrict(const std::string& file) {
  if (access(file.c_str(), F_OK) != 0 && errno == ENOENT) return "";
  const absl::StatusOr<std::vector<ConfigText>> texts = ReadConfigTexts(file);
  if (!texts.ok()) {
    return absl::Status(
        texts.status().code(),
        absl::StrCat(texts.status().message(), ", because it may ask for strict admission"));
  }
  return StrictEnclave(*texts, AllPolicies());
}

// More than the parser takes is not read: that it is too long is known by then.
std::string ReadStdin() {
  constexpr size_t kMaxBytes = (16 << 20) + 1;
  std::string text;
  char piece[1 << 16];
  while (text.size() < kMaxBytes) {
    const ssize_t got = read(STDIN_FILENO, piece, sizeof(piece));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(piece, got);
  }
  return text;
}

std::optional<CpuSet> CpusOfEnclave(const ControlKernel& kernel, const std::string& name) {
  for (uint32_t id = 1; id < kernel.enclaves().size(); ++id) {
    const ghost_enclave& enclave = kernel.enclaves()[id];
    if (enclave.in_use && TextOf(enclave.name) == name) return CpusOf(kernel, EnclaveId(id));
  }
  return std::nullopt;
}

// After a boot into a kernel that cannot have the class, "start it" would be no remedy.
absl::Status WhyNoClass(const absl::Status& missing) {
  if (absl::IsPermissionDenied(missing)) return missing;
  for (const Finding& finding : CheckRunningKernel(HostTree()).findings) {
    if (finding.level != Level::kFail) continue;
    return absl::FailedPreconditionError(absl::StrCat(finding.fact, "; ", finding.remedy));
  }
  return missing;
}

AdmissionFacts CollectFacts(const std::string& enclave, const std::string& socket) {
  AdmissionFacts facts{.enclave = enclave,
                       .daemon_status = CheckDaemon(socket),
                       .sched_core = SchedCore(HostTree()).value_or(""),
                       .vm = ParseDomainXml(ReadStdin())};
  const absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = BpfControlKernel::Open();
  if (kernel.ok())
    facts.cpus = CpusOfEnclave(**kernel, enclave);
  else
    facts.class_status = WhyNoClass(kernel.status());
  return facts;
}

int RunAdmit(const Options& options) {
  if (options.call.size() < 2 || options.call[1] != "prepare") return kOk;
  const absl::StatusOr<std::string> enclave = EnclaveThatIsStrict(options.config);
  if (enclave.ok() && enclave->empty()) return kOk;
  const absl::Status verdict =
      enclave.ok() ? Admit(CollectFacts(*enclave, options.socket)) : enclave.status();
  if (verdict.ok()) return kOk;
  std::cerr << RefusalLine(options.call[0], verdict) << "\n";
  return kFailure;
}

}  // namespace

void AddAdmitCommand(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("admit", "For libvirt's hook: may this VM start? Its XML is on stdin");
  const auto options = std::make_shared<Options>();
  command->add_option("CALL", options->call, "Domain, operation, sub-operation, extra; behind --")
      ->required();
  command->add_option("--config", options->config, "The configuration")
      ->type_name("FILE")
      ->capture_default_str();
  command->add_option("--socket", options->socket, "corrald's socket")
      ->type_name("FILE")
      ->capture_default_str();
  command->footer(
      "Example: virsh dumpxml --inactive web |\n"
      "         corralctl admit -- web prepare begin -\n");
  command->callback([&action, options] { action = [options] { return RunAdmit(*options); }; });
}

}  // namespace corral::ctl
