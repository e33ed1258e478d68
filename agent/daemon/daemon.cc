// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "agent/class/class_successor.h"
#include "agent/daemon/class_recovery.h"
#include "agent/daemon/enclaves.h"
#include "agent/daemon/vm_keeper.h"
#include "agent/daemon/vm_sources.h"
#include "agent/runtime/topology.h"
#include "kernel/bpf/ring_queue.h"
#include "policies/registry.h"

namespace corral {
namespace {

// How often everything is looked at: when nothing is going on, and while something is. A signal, a
// request, or the end of an agent that we started comes at once.
constexpr Duration kQuietPoll = std::chrono::milliseconds(250);
constexpr Duration kPoll = std::chrono::milliseconds(100);
// How often vCPUs are looked at for what the operator should know.
constexpr Duration kLook = std::chrono::seconds(1);
// An enclave without_agent: release waits so long for one.
constexpr Duration kAbandoned = std::chrono::seconds(3);
// How long the first agents may take until the daemon says that it is ready without them.
constexpr Duration kAgentsPatience = std::chrono::seconds(15);

// How long a process that was stopped waits for its threads to be attached again.
constexpr Duration kAttachPatience = std::chrono::seconds(20);

int Milliseconds(Duration duration) {
  return static_cast<int>(duration / std::chrono::milliseconds(1));
}

// None as well if the kernel has no such thing.
CpuSet NohzFullCpus() {
  std::ifstream file("/sys/devices/system/cpu/nohz_full");
  std::string list;
  std::getline(file, list);
  return CpuSet::Parse(list).value_or(CpuSet());
}

// One daemon per machine: two would start two agents.
absl::StatusOr<Fd> LockRuntimeDir(const std::string& dir) {
  mkdir(dir.c_str(), 0755);
  const std::string path = absl::StrCat(dir, "/corrald.lock");
  Fd lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock)
    return absl::PermissionDeniedError(
        absl::StrCat("cannot open ", path, ": ", strerror(errno), "; run as root"));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("corrald runs already (", path, " is locked); stop that one first"));
  }
  return lock;
}

// Looked for in the same places, and trusting the same ones.
bool SameVms(const Config& a, const Config& b) {
  return (EnclaveOfVms(a) == nullptr) == (EnclaveOfVms(b) == nullptr) &&
         a.libvirt_uris == b.libvirt_uris && a.trust_rules == b.trust_rules &&
         a.nova_projects == b.nova_projects;
}

// Put out of charge by the kernel. Whoever stops corral-class knows what he does.
bool ClassWasLost(const ControlKernel& kernel) {
  const ghost_class_info& info = kernel.info();
  return !info.enabled && info.exit_kind != 0 && info.exit_kind != GHOST_EXIT_UNREGISTERED;
}

}  // namespace

absl::StatusOr<Config> Daemon::ReadConfig() const {
  std::vector<PolicyOptions> policies;
  for (const PolicyInfo& policy : Policies()) policies.push_back({policy.name, policy.options});
  absl::StatusOr<Config> config = LoadConfig(options_.config, policies);
  if (!config.ok()) return config;
  const absl::StatusOr<Topology> topology = Topology::FromHost();
  if (!topology.ok()) return topology.status();
  HostCpus host{.nohz_full = NohzFullCpus()};
  for (const Core& core : topology->cores()) host.cores.push_back(core.siblings);
  if (const absl::Status status = ResolveCpus(*config, host); !status.ok()) return status;
  return config;
}

absl::Status Daemon::Start() {
  absl::StatusOr<Config> config = ReadConfig();
  if (!config.ok()) return config.status();
  config_ = *std::move(config);
  absl::StatusOr<Fd> lock = LockRuntimeDir(options_.runtime_dir);
  if (!lock.ok()) return lock.status();
  lock_ = *std::move(lock);
  if (const absl::Status mended = Mend(); !mended.ok()) return mended;
  if (config_.mode == Mode::kObserve) return Observe();
  absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = BpfControlKernel::OpenEvenIfLost();
  if (kernel.ok() && ClassWasLost(**kernel)) {
    // While no daemon was there. Its VMs may be stopped; Run() begins with that.
    kernel_ = *std::move(kernel);
    return absl::OkStatus();
  }
  if (kernel.ok()) kernel = BpfControlKernel::Open();
  if (!kernel.ok()) return kernel.status();
  class_folder_ = ClassFolder::Hold();
  kernel_ = *std::move(kernel);
  return Enforce();
}

// Before anything is looked at: the class may be half-way.
absl::Status Daemon::Mend() {
  const absl::StatusOr<bool> mended = MendHandover(options_.runtime_dir);
  if (!mended.ok()) return mended.status();
  if (*mended) {
    log_({Event::kHandoverMended,
          "a replacement of the class had come to no end; it has now, and the VMs go on"});
  }
  return absl::OkStatus();
}

absl::Status Daemon::Observe() {
  log_("mode: observe; no thread is touched");
  // Agents of a time when this process enforced: nobody waits for them any more.
  signal(SIGCHLD, SIG_IGN);
  if (const absl::Status status = Listen(kObserverSocketName); !status.ok()) return status;
  if (EnclaveOfVms(config_) == nullptr) return absl::OkStatus();
  sink_ = MakeObserver(log_);
  return StartSource();
}

absl::Status Daemon::Listen(const std::string& name) {
  const auto handle = [this](const nlohmann::json& request) { return Handle(request); };
  absl::StatusOr<ControlServer> server =
      ControlServer::Listen(absl::StrCat(options_.runtime_dir, "/", name), handle);
  if (!server.ok()) return server.status();
  server_ = std::make_unique<ControlServer>(*std::move(server));
  bus_ =
      std::make_unique<BusLink>(handle, [this] { return LookForBus(config_.mode, kernel_.get()); });
  return absl::OkStatus();
}

absl::Status Daemon::StartSource() {
  source_ = MakeVmSource(config_);
  return source_->Start(*sink_);
}

absl::Status Daemon::Enforce() {
  signal(SIGCHLD, SIG_DFL);  // agents are waited for, whatever this process did before
  agent_program_ = options_.agent.empty() ? InstalledAgent() : options_.agent;
  if (access(agent_program_.c_str(), X_OK) != 0) {
    return absl::NotFoundError(absl::StrCat("there is no agent program at ", agent_program_,
                                            "; give its path with --agent"));
  }
  Record();
  if (const absl::Status status = BeginAll(); !status.ok()) return status;
  if (const absl::Status status = Listen(kEnforcerSocketName); !status.ok()) return status;
  AwaitAgents();
  return sink_ == nullptr ? absl::OkStatus() : StartSource();
}

// Those that are there first: a new one may get CPUs that they have had.
absl::Status Daemon::BeginAll() {
  std::vector<const EnclaveConfig*> still_to_come;
  for (const EnclaveConfig& config : config_.enclaves) {
    if (!FindEnclave(*kernel_, config.name)) {
      still_to_come.push_back(&config);
    } else if (const absl::Status status = Begin(config); !status.ok()) {
      return status;
    }
  }
  if (const absl::Status status = CheckCpus(config_); !status.ok()) return status;
  if (const absl::Status status = MoveCpus(config_); !status.ok()) return status;
  for (const EnclaveConfig* const config : still_to_come) {
    if (const absl::Status status = Begin(*config); !status.ok()) return status;
  }
  for (Enclave& enclave : enclaves_) WatchTicks(enclave, enclave.config);
  return absl::OkStatus();
}

absl::Status Daemon::Begin(const EnclaveConfig& config) {
  const absl::StatusOr<EnclaveId> id = FindOrCreateEnclave(*kernel_, config);
  if (!id.ok()) return id.status();
  if (const absl::Status status = Protect(*id, config); !status.ok()) return status;
  Enclave enclave{.config = config, .id = *id};
  enclave.supervisor = std::make_unique<AgentSupervisor>(
      *kernel_, AgentFor(*kernel_, config_, config, *id, agent_program_, options_.runtime_dir));
  enclave.supervisor->set_trial(config_.switch_trial);
  if (const absl::Status matched = enclave.supervisor->MatchSpec(); !matched.ok()) {
    log_({Event::kPolicyRefused,
          absl::StrCat("enclave ", config.name, ": ", matched.message()),
          {{"ENCLAVE", config.name}}});
    FollowAgent(enclave);
  }
  enclave.threads = std::make_unique<ThreadKeeper>(
      *kernel_, *id, config.name, ThreadSelection{config.cgroup, config.units, config.processes});
  if (config.vms != Vms::kNone) {
    absl::StatusOr<std::unique_ptr<VmSink>> keeper = MakeVmKeeper(*id, config);
    if (!keeper.ok()) return keeper.status();
    sink_ = *std::move(keeper);
    watch_ = std::make_unique<VcpuWatch>(*kernel_);
  }
  enclaves_.push_back(std::move(enclave));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<VmSink>> Daemon::MakeVmKeeper(EnclaveId enclave,
                                                             const EnclaveConfig& config) {
  VmKeeper::Place place{.enclave = enclave, .isolate = ThreadsToIsolate(config.isolate)};
  const absl::StatusOr<CpuSet> housekeeping = CpuSet::Parse(config_.housekeeping);
  if (housekeeping.ok() && !housekeeping->empty()) {
    CpuSet online;
    for (uint32_t cpu = 0; cpu < kernel_->info().nr_cpus; ++cpu) {
      if (kernel_->cpu_states()[cpu].offline == 0 && kernel_->cpus()[cpu].present != 0)
        online.Insert(CpuId(static_cast<int>(cpu)));
    }
    absl::StatusOr<ConfinedThreads> confinement = ConfinedThreads::Open(*housekeeping, online);
    if (!confinement.ok()) return confinement.status();
    place.confinement = *std::move(confinement);
  } else {
    UndoConfinement();
  }
  return std::make_unique<VmKeeper>(*kernel_, std::move(place),
                                    [this](const News& news) { log_(news); });
}

absl::Status Daemon::Protect(EnclaveId enclave, const EnclaveConfig& config) {
  return kernel_->Protect(enclave, {.stop_on_loss = config_.class_loss != ClassLoss::kRelease,
                                    .strict = config.strict});
}

void Daemon::WatchTicks(Enclave& enclave, const EnclaveConfig& config) const {
  if (config.tickless == (enclave.ticks != nullptr)) return;
  enclave.ticks =
      config.tickless ? std::make_unique<TickWatch>(*kernel_, config.name, *config.cpus) : nullptr;
}

// What is told from now on is among the samples, so it comes before anything is done.
void Daemon::Record() {
  recorder_ = std::make_unique<Recorder>(*kernel_, options_.state_dir, config_.samples,
                                         [this](const News& news) { log_(news); });
  log_.Tell([this](const News& news) { recorder_->Note(news); });
  ledger_ = std::make_unique<LedgerKeeper>(*kernel_, options_.state_dir,
                                           [this](const News& news) { log_(news); });
  features_ = std::make_unique<NodeFeatures>([this](const News& news) { log_(news); });
}

void Daemon::AwaitAgents() {
  for (const Time end = kernel_->Now() + kAgentsPatience; kernel_->Now() < end;
       poll(nullptr, 0, Milliseconds(kPoll))) {
    Supervise();
    bool all = true;
    for (const Enclave& enclave : enclaves_) all = all && enclave.supervisor->Serving();
    if (all) return;
  }
  log_({Event::kAgentsMissing, "not every core has an agent yet; the class schedules those alone"});
}

void Daemon::Supervise() {
  for (Enclave& enclave : enclaves_) {
    if (const News news = enclave.supervisor->Poll(kernel_->Now()); !news.text.empty()) {
      log_(news);
      FollowAgent(enclave);
    }
    if (enclave.ticks != nullptr) {
      log_(
          {Event::kTicks, enclave.ticks->Look(kernel_->Now()), {{"ENCLAVE", enclave.config.name}}});
    }
    if (enclave.config.without_agent == WithoutAgent::kRelease) ReleaseIfAbandoned(enclave);
    if (enclave.released) continue;
    if (const std::string problems = enclave.threads->Scan(); !problems.empty()) log_(problems);
  }
  if (recorder_ != nullptr) recorder_->Poll(kernel_->Now());
  if (ledger_ != nullptr) ledger_->Poll(kernel_->Now());
  if (features_ != nullptr) features_->Poll(kernel_->Now(), absl::Now(), EnclaveOfVmsNow());
  if (watch_ == nullptr || kernel_->Now() < look_at_) return;
  look_at_ = kernel_->Now() + kLook;
  for (const News& news : watch_->Look()) log_(news);
}

// nullptr: there is none.
const EnclaveConfig* Daemon::EnclaveOfVmsNow() const {
  for (const Enclave& enclave : enclaves_) {
    if (enclave.config.vms != Vms::kNone && !enclave.released) return &enclave.config;
  }
  return nullptr;
}

// What ghOSt does with every enclave: where isolation does not matter, the default scheduler is
// better than round robin by the class.
void Daemon::ReleaseIfAbandoned(Enclave& enclave) {
  const Time now = kernel_->Now();
  if (enclave.supervisor->Serving()) {
    enclave.served = now;
    enclave.released = false;
  }
  if (enclave.served == Time{}) enclave.served = now;
  if (now - enclave.served < kAbandoned) return;
  const size_t threads = enclave.threads->Release();
  if (!enclave.released || threads > 0) {
    log_({Event::kThreadsReleased,
          absl::StrCat("enclave ", enclave.config.name, " has no agent; ", threads,
                       " threads went back to where they came from (without_agent: release)"),
          {{"ENCLAVE", enclave.config.name}}});
  }
  enclave.released = true;
}

void Daemon::TakeOver(PausedVms paused) {
  paused_ = std::move(paused);
  give_up_at_ = MonotonicNow() + kAttachPatience;
}

// Whoever cannot be attached goes on as well, but not in silence.
void Daemon::ResumePaused() {
  if (paused_.empty()) return;
  if (const size_t resumed = paused_.ResumeProtected().size(); resumed > 0)
    log_({Event::kVmsResumed,
          absl::StrCat("resumed ", resumed, " processes whose threads are in the class again")});
  if (paused_.empty() || MonotonicNow() < give_up_at_ || config_.class_loss == ClassLoss::kPause)
    return;
  log_({Event::kVmsResumedUnprotected,
        absl::StrCat("UNPROTECTED: processes ", absl::StrJoin(paused_.ResumeAll(), ", "),
                     " go on, though not all of their threads could be attached again")});
}

// It goes on for as long as this process does, and no longer.
bool Daemon::ClassIsCutOff() const { return kernel_->info().enabled && class_folder_.IsCutOff(); }

Daemon::End Daemon::Run(int signal_fd) {
  const End end = Serve(signal_fd);
  if (recorder_ != nullptr) recorder_->Finish();
  if (ledger_ != nullptr) ledger_->Finish();
  return end;
}

Daemon::End Daemon::Serve(int signal_fd) {
  if (!scope_refused_) {
    if (const absl::Status matched = MatchScope(); !matched.ok())
      log_(absl::StrCat("scope: not taken up: ", matched.message()));
  }
  if (next_mode_) return End::kBeginAnew;
  log_("ready");
  sd_notify(0, "READY=1");
  for (;;) {
    if (next_mode_) {
      if (source_ != nullptr) source_->Stop();
      return End::kBeginAnew;
    }
    if (kernel_ != nullptr && (ClassWasLost(*kernel_) || ClassIsCutOff())) {
      if (source_ != nullptr) source_->Stop();
      const bool back = ClassRecovery(*kernel_, config_, log_).Run(paused_);
      return back ? End::kBeginAnew : End::kClassLost;
    }
    sd_notify(0, "WATCHDOG=1");
    ResumePaused();
    if (kernel_ != nullptr) {
      if (const size_t resumed = bypass_stops_.Resume(*kernel_); resumed > 0) {
        log_({Event::kBypassed,
              absl::StrCat("the kernel ran threads past the class for a while (as it does around a "
                           "suspend); ",
                           resumed, " processes were stopped meanwhile and go on now")});
      }
    }
    pollfd fds[] = {{.fd = signal_fd, .events = POLLIN},
                    {.fd = server_ != nullptr ? server_->fd() : -1, .events = POLLIN},
                    bus_ != nullptr ? bus_->events() : pollfd{.fd = -1}};
    const int ready = poll(fds, std::size(fds), Milliseconds(paused_.empty() ? kQuietPoll : kPoll));
    Supervise();
    if (bus_ != nullptr) {
      log_(bus_->Poll(MonotonicNow()));
    }
    if (next_mode_ || ready <= 0) continue;
    if (fds[1].revents != 0) server_->Serve();
    signalfd_siginfo signal;
    if ((fds[0].revents & POLLIN) == 0 ||
        read(signal_fd, &signal, sizeof(signal)) != sizeof(signal))
      continue;
    if (signal.ssi_signo == SIGCHLD) continue;
    if (signal.ssi_signo != SIGHUP) break;
    sd_notify(0, "RELOADING=1");
    const absl::Status reloaded = Reload();
    if (!reloaded.ok()) {
      log_({Event::kReloadRefused,
            absl::StrCat("reload refused, everything goes on as it was:\n", reloaded.message())});
    } else if (!next_mode_) {
      log_({Event::kReloaded, "reloaded"});
    }
    // In another mode it is ready when it has begun anew.
    if (!next_mode_) sd_notify(0, "READY=1");
  }
  sd_notify(0, "STOPPING=1");
  if (source_ != nullptr) source_->Stop();
  log_("stopped; class, agents and VMs go on as they are");
  return End::kSignal;
}

// Whose threads the class has is settled when it is loaded, so another one takes its place.
absl::Status Daemon::MatchScope() {
  if (kernel_ == nullptr || config_.whole_host == (kernel_->info().whole_host != 0))
    return absl::OkStatus();
  const absl::StatusOr<std::optional<Duration>> changed =
      UpgradeClass(/*another_corrald=*/false, config_.whole_host);
  scope_refused_ = !changed.ok();
  if (changed.ok() && !*changed)
    return absl::NotFoundError("there is no corral-class beside corrald to load another class");
  return changed.status();
}

// Nothing may be changed that cannot be carried through.
absl::Status Daemon::CheckModeChange(const Config& wanted) const {
  if (wanted.mode == Mode::kObserve) return absl::OkStatus();
  return BpfControlKernel::Open().status();
}

// Policies, their options and enclaves' CPUs are taken up; what cannot be is refused, with what to
// do instead. For another mode, or for other VMs to observe, this process begins anew, which leaves
// agents and VMs alone as any restart does.
absl::Status Daemon::Reload() {
  absl::StatusOr<Config> config = ReadConfig();
  if (!config.ok()) return config.status();
  const bool same_vms = SameVms(*config, config_);
  if (config->mode != config_.mode || (config_.mode == Mode::kObserve && !same_vms)) {
    if (const absl::Status status = CheckModeChange(*config); !status.ok()) return status;
    log_(absl::StrCat("beginning anew with mode: ", NameOf(config->mode)));
    next_mode_ = config->mode;
    return absl::OkStatus();
  }
  if (config_.mode == Mode::kObserve) {
    config_ = *std::move(config);
    return absl::OkStatus();
  }
  if (const absl::Status status = CheckReshape(*config); !status.ok()) return status;
  if (!same_vms) {
    return absl::FailedPreconditionError(absl::StrCat(
        options_.config,
        ": libvirt's URIs and trust_domains cannot be changed by a reload yet; restart "
        "corrald.service"));
  }
  if (const absl::Status status = Reshape(*config); !status.ok()) return status;
  config_ = *std::move(config);
  if (recorder_ != nullptr) recorder_->SetInterval(config_.samples);
  for (size_t i = 0; i < enclaves_.size(); ++i) {
    if (const absl::Status status = Protect(enclaves_[i].id, config_.enclaves[i]); !status.ok())
      return status;
    WatchTicks(enclaves_[i], config_.enclaves[i]);
    enclaves_[i].supervisor->set_trial(config_.switch_trial);
    if (const absl::Status status = SwitchPolicy(enclaves_[i], config_.enclaves[i]); !status.ok())
      return status;
  }
  return MatchScope();
}

}  // namespace corral
