// SPDX-License-Identifier: Apache-2.0
// corral.yaml as values: what the operator asked for, validated.
//
// A file and its drop-ins are read as a whole: every error in them is told at once, with file, line
// and column, what is wrong and what would be right. Nothing is applied if there is an error. No
// exception leaves these functions. Plain values; any thread.
#ifndef CORRAL_CONFIG_CONFIG_H_
#define CORRAL_CONFIG_CONFIG_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "agent/runtime/options.h"
#include "config/error_list.h"
#include "kernel/cpu_set.h"

namespace corral {

// Words of the file as values stand in the order that keys.cc has them in.
enum class Mode {
  kObserve,  // watches and tells; touches no thread
  kEnforce,
};

std::string NameOf(Mode mode);  // "observe", "enforce"

// What happens when the kernel puts the class out of charge; agent/daemon/class_recovery.h.
enum class ClassLoss {
  kRecover,
  kPause,
  kRelease,
};

// Which threads of a VM may not share a core with another VM's.
enum class Isolate {
  kVcpus,
  kEmulator,  // all threads of its QEMU process
  kFull,      // and those of the programs that libvirt started for it
};

// Whose VMs an enclave holds, all of them.
enum class Vms {
  kNone,
  kLibvirt,
  kQemu,  // plain QEMU processes, with no libvirt in reach
};

// What becomes of a VM's start that cannot be protected.
enum class Admission {
  kOpen,    // it starts, and is told to be unprotected
  kStrict,  // libvirt's hook refuses it: agent/ctl/admit_command.h
};

// What becomes of an enclave's threads when no agent can be had for it.
enum class WithoutAgent {
  kSchedule,  // the class runs them by itself
  kRelease,   // they go back to where they came from
};

struct EnclaveConfig {
  std::string name;
  std::optional<CpuSet> cpus;  // none: all that no other enclave has
  std::string policy = "secure_vm";
  OptionValues options;
  Vms vms = Vms::kNone;
  Admission admission = Admission::kOpen;
  Isolate isolate = Isolate::kVcpus;
  WithoutAgent without_agent = WithoutAgent::kSchedule;
  bool strict = false;    // its threads leave a core while a user task of the host runs on it
  bool tickless = false;  // no timer ticks shall interrupt them
  // It holds the threads of these, together; agent/daemon/thread_search.h.
  std::string cgroup;  // a path below the cgroup file system
  std::vector<std::string> units;
  std::vector<std::string> processes;
  // For messages that need the machine.
  FilePosition position;  // where it begins
  FilePosition cpus_position;
  FilePosition tickless_position;
};

// VMs whose libvirt name one of the globs matches belong to one trust domain.
struct TrustRule {
  std::string name;
  std::vector<std::string> globs;  // with * and ?

  bool operator==(const TrustRule&) const = default;
};

struct Config {
  std::vector<std::string> files;  // that were read, for messages: corral.yaml, then its drop-ins
  Mode mode = Mode::kObserve;
  FilePosition mode_position;
  ClassLoss class_loss = ClassLoss::kRecover;
  bool whole_host = false;  // `scope`: the class has all of the host's threads
  Duration switch_trial = std::chrono::seconds(10);            // 0: none
  std::vector<std::string> libvirt_uris = {"qemu:///system"};  // one at least
  std::string housekeeping;  // cpulist for the agents' threads; empty: each on its own core
  FilePosition housekeeping_position;
  std::vector<EnclaveConfig> enclaves;
  Duration samples = std::chrono::seconds(10);  // how often corrald records one; 0: never
  std::vector<TrustRule> trust_rules;           // the first that matches counts
  bool nova_projects = false;  // VMs of one project of OpenStack's trust each other
};

// The first rule that a VM of this name falls under; nullptr if there is none.
const TrustRule* FindTrustRule(absl::Span<const TrustRule> rules, const std::string& vm);

// A policy that corral.yaml may name, with the options that it has.
struct PolicyOptions {
  absl::string_view name;
  absl::Span<const OptionSpec> options;
};

// What a configuration has to fit.
struct HostCpus {
  std::vector<CpuSet> cores;  // each a set of SMT siblings that are online
  CpuSet nohz_full;           // where the kernel does without ticks
};

struct ConfigText {
  std::string file;
  std::string text;
};

// corral.yaml and its drop-ins, in the order in which they are read: a file that comes later wins.
// config/drop_ins.h tells which these are. NotFound: one of them cannot be read.
absl::StatusOr<std::vector<ConfigText>> ReadConfigTexts(const std::string& file);

// InvalidArgument: one line per error. The tables must outlive the configuration.
absl::StatusOr<Config> ParseConfig(absl::Span<const ConfigText> texts,
                                   absl::Span<const PolicyOptions> policies);
absl::StatusOr<Config> ParseConfig(const std::string& text, const std::string& file,
                                   absl::Span<const PolicyOptions> policies);
absl::StatusOr<Config> LoadConfig(const std::string& file,
                                  absl::Span<const PolicyOptions> policies);

// The same with each error by itself, those of ResolveCpus included unless `host` has no cores.
struct ConfigCheck {
  std::vector<ConfigError> errors;
  Config config;  // counts only if there is no error
};
ConfigCheck CheckConfigTexts(absl::Span<const ConfigText> texts,
                             absl::Span<const PolicyOptions> policies, const HostCpus& host);

// Gives every enclave its CPUs. InvalidArgument: one line per core that an enclave splits, enclave
// with CPUs that are not there or with none or that shall be tickless and cannot, and for
// housekeeping CPUs that are not there.
absl::Status ResolveCpus(Config& config, const HostCpus& host);

}  // namespace corral

#endif  // CORRAL_CONFIG_CONFIG_H_
