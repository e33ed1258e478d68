// SPDX-License-Identifier: Apache-2.0
// The control plane: what corral.yaml says, made true in the class, and kept true.
//
// One loop thread; libvirt's source has threads of its own, which touch only the keeper of VMs and
// the log. Nothing here is on a path that an agent or a VM waits for.
#ifndef CORRAL_AGENT_DAEMON_DAEMON_H_
#define CORRAL_AGENT_DAEMON_DAEMON_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "agent/class/paused_vms.h"
#include "agent/daemon/agent_supervisor.h"
#include "agent/daemon/bus_link.h"
#include "agent/daemon/bypass_stops.h"
#include "agent/daemon/control_socket.h"
#include "agent/daemon/ledger_keeper.h"
#include "agent/daemon/logger.h"
#include "agent/daemon/node_features.h"
#include "agent/daemon/recorder.h"
#include "agent/daemon/request.h"
#include "agent/daemon/thread_keeper.h"
#include "agent/daemon/tick_watch.h"
#include "agent/daemon/vcpu_watch.h"
#include "config/config.h"
#include "kernel/bpf/bpf_control_kernel.h"
#include "kernel/bpf/class_folder.h"
#include "vmm-integration/vm_source.h"

namespace corral {

struct DaemonOptions {
  std::string config = "/etc/corral/corral.yaml";
  std::string agent;  // program; "": beside corrald
  std::string runtime_dir = kRuntimeDir;
  std::string state_dir = report::kStateDir;
};

class Daemon {
 public:
  // `log` must outlive the daemon.
  Daemon(DaemonOptions options, Logger& log) : options_(std::move(options)), log_(log) {}
  ~Daemon() { log_.Tell(nullptr); }

  // Reads the configuration, then makes it true. On an error nothing has been changed that was
  // there before.
  absl::Status Start();
  enum class End {
    kSignal,
    kBeginAnew,  // exec, with paused() handed over: the class was loaded again and knows nothing,
                 // or is another one, or the configuration has another mode
    kClassLost,  // and could not be loaded again; what is to be done was logged
  };
  // Until a signal that ends it comes through `signal_fd`, a signalfd; SIGHUP reloads.
  End Run(int signal_fd);
  // Processes that wait for their threads to be in the class again.
  const PausedVms& paused() const { return paused_; }
  void TakeOver(PausedVms paused);
  // A class for the configured scope was tried and did not come to be in charge: the next life
  // leaves that alone until a reload asks again, or VMs would be held again and again.
  bool scope_refused() const { return scope_refused_; }
  void LeaveScope() { scope_refused_ = true; }

 private:
  // One enclave of the configuration, at work.
  struct Enclave {
    EnclaveConfig config;
    EnclaveId id;
    std::unique_ptr<AgentSupervisor> supervisor;
    std::unique_ptr<ThreadKeeper> threads;
    std::unique_ptr<TickWatch> ticks;  // if it shall be tickless
    Time served{};                     // when it last had an agent
    bool released = false;             // its threads were given back, because no agent came
  };

  End Serve(int signal_fd);
  absl::StatusOr<Config> ReadConfig() const;
  absl::Status Mend();
  absl::Status Observe();
  absl::Status Enforce();
  absl::Status BeginAll();
  absl::Status Begin(const EnclaveConfig& config);
  absl::Status Listen(const std::string& name);
  absl::Status StartSource();
  absl::StatusOr<std::unique_ptr<VmSink>> MakeVmKeeper(EnclaveId enclave,
                                                       const EnclaveConfig& config);
  absl::Status Protect(EnclaveId enclave, const EnclaveConfig& config);
  void WatchTicks(Enclave& enclave, const EnclaveConfig& config) const;
  void Record();
  void AwaitAgents();
  void Supervise();
  const EnclaveConfig* EnclaveOfVmsNow() const;
  void ReleaseIfAbandoned(Enclave& enclave);
  void ResumePaused();
  bool ClassIsCutOff() const;

  absl::Status Reload();
  absl::Status CheckModeChange(const Config& wanted) const;
  absl::Status CheckSwitch(const Enclave& enclave, const EnclaveConfig& wanted) const;
  absl::Status SwitchPolicy(Enclave& enclave, const EnclaveConfig& wanted,
                            bool drop_promises = false);
  static void FollowAgent(Enclave& enclave);

  // reshaping.cc
  bool Serves(const std::string& name) const;
  absl::Status CheckChange(const Enclave& enclave, const EnclaveConfig& wanted) const;
  absl::Status CheckCpus(const Config& wanted) const;
  absl::Status CheckReshape(const Config& wanted) const;
  absl::Status Reshape(const Config& wanted);
  absl::Status MoveCpus(const Config& wanted);
  absl::Status Close(Enclave& enclave);

  // daemon_calls.cc
  absl::StatusOr<Enclave*> Find(absl::string_view name);
  absl::StatusOr<nlohmann::json> Handle(const nlohmann::json& asked);
  absl::Status CheckEnforces() const;
  absl::StatusOr<nlohmann::json> Answer(const ModeRequest& request);
  absl::StatusOr<nlohmann::json> Answer(const ReloadRequest& request);
  absl::StatusOr<nlohmann::json> Answer(const PolicyRequest& request);
  absl::StatusOr<nlohmann::json> Answer(const UpgradeRequest& request);
  absl::StatusOr<nlohmann::json> Answer(const AttachRequest& request);
  void DropPromises(const Enclave& enclave);
  absl::StatusOr<std::optional<Duration>> UpgradeClass(bool another_corrald, bool whole_host);
  absl::Status MatchScope();
  absl::StatusOr<bool> UpgradeAgent(Enclave& enclave, const std::string& program);

  const DaemonOptions options_;
  Logger& log_;
  Config config_;
  // Another mode that it is to begin anew in, as soon as whoever asked for it has an answer.
  std::optional<Mode> next_mode_;
  bool scope_refused_ = false;
  std::string agent_program_;
  Fd lock_;
  std::unique_ptr<ControlServer> server_;
  std::unique_ptr<BusLink> bus_;
  std::unique_ptr<BpfControlKernel> kernel_;
  std::vector<Enclave> enclaves_;
  ClassFolder class_folder_;
  BypassStops bypass_stops_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<LedgerKeeper> ledger_;
  std::unique_ptr<NodeFeatures> features_;
  std::unique_ptr<VcpuWatch> watch_;
  Time look_at_{};  // when it looks again
  PausedVms paused_;
  Time give_up_at_{};  // on attaching the threads of paused_
  std::unique_ptr<VmSink> sink_;
  std::unique_ptr<VmSource> source_;  // last: it calls the sink until it is gone
};

}  // namespace corral

#endif  // CORRAL_AGENT_DAEMON_DAEMON_H_
