// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/side_by_side/contenders.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/runtime/topology.h"
#include "agent/selftest/vm_process.h"
#include "kernel/bpf/sched_ext_state.h"
#include "tests/bench/corral_in_charge.h"

namespace corral::bench {
namespace {

constexpr Duration kPoll = std::chrono::milliseconds(10);
constexpr Duration kPatience = std::chrono::seconds(30);

bool WaitUntil(const std::function<bool()>& done) {
  for (const auto end = std::chrono::steady_clock::now() + kPatience;
       std::chrono::steady_clock::now() < end;) {
    if (done()) return true;
    std::this_thread::sleep_for(kPoll);
  }
  return done();
}

bool Write(const std::string& file, const std::string& text) {
  std::ofstream out(file);
  out << text << std::flush;
  return out.good();
}

// One cookie for each VM: the kernel lets them share no core.
class CoreScheduling : public Contender {
 public:
  static absl::StatusOr<std::unique_ptr<Contender>> Start() {
    const absl::StatusOr<BenchVm> any = BenchVm::Start({});
    if (!any.ok()) return any.status();
    if (const absl::Status status = any->Separate(); !status.ok()) return status;
    return std::make_unique<CoreScheduling>();
  }
  absl::Status Adopt(absl::Span<const BenchVm> vms) override {
    for (const BenchVm& vm : vms) {
      if (const absl::Status status = vm.Separate(); !status.ok()) return status;
    }
    return absl::OkStatus();
  }
};

// scx_pair pairs each CPU with the one that is so many further.
absl::StatusOr<std::string> DistanceOfSiblings() {
  const absl::StatusOr<Topology> topology = Topology::FromHost();
  if (!topology.ok()) return topology.status();
  const Core& core = topology->cores().front();
  if (core.nr_cpus < 2) return absl::UnimplementedError("this machine has no SMT siblings");
  return absl::StrCat(core.cpu[1].value() - core.cpu[0].value());
}

// One thread per core: of each core, all siblings but one are offline.
class SmtOff : public Contender {
 public:
  static absl::StatusOr<std::unique_ptr<Contender>> Start() {
    const absl::StatusOr<Topology> topology = Topology::FromHost();
    if (!topology.ok()) return topology.status();
    auto contender = std::make_unique<SmtOff>();
    for (const Core& core : topology->cores()) {
      for (int i = 1; i < core.nr_cpus; ++i) {
        if (!SetOnline(core.cpu[i], false))
          return absl::UnimplementedError(
              absl::StrCat("CPU ", core.cpu[i].value(), " cannot go offline"));
        contender->offline_.push_back(core.cpu[i]);
      }
    }
    return contender;
  }
  ~SmtOff() override {
    for (const CpuId cpu : offline_) SetOnline(cpu, true);
  }
  absl::Status Adopt(absl::Span<const BenchVm>) override { return absl::OkStatus(); }

 private:
  static bool SetOnline(CpuId cpu, bool online) {
    return Write(absl::StrCat("/sys/devices/system/cpu/cpu", cpu.value(), "/online"),
                 online ? "1" : "0");
  }

  std::vector<CpuId> offline_;
};

// A sched_ext scheduler with a program of its own, for the whole machine. A cgroup for each VM:
// scx_pair lets tasks of one cgroup only share a core.
class OtherScheduler : public Contender {
 public:
  static absl::StatusOr<std::unique_ptr<Contender>> Start(const std::string& program,
                                                          const std::vector<std::string>& options) {
    if (access(program.c_str(), X_OK) != 0)
      return absl::UnimplementedError(
          absl::StrCat("there is no ", program, "; build it with tests/bench/build-peers"));
    auto contender = std::make_unique<OtherScheduler>();
    if (const absl::Status status = contender->Run(program, options); !status.ok()) return status;
    return contender;
  }
  ~OtherScheduler() override {
    if (pid_ > 0) {
      kill(pid_, SIGINT);
      // One that does not end is ended, and the kernel takes its scheduler out.
      if (!WaitUntil([this] { return waitpid(pid_, nullptr, WNOHANG) == pid_; })) {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
      }
      WaitUntil([] { return ReadSchedExtState().Disabled(); });
    }
    for (const std::string& cgroup : cgroups_) rmdir(cgroup.c_str());
  }
  absl::Status Adopt(absl::Span<const BenchVm> vms) override {
    for (const BenchVm& vm : vms) {
      const std::string cgroup = absl::StrCat("/sys/fs/cgroup/corral-bench-", vm.pid());
      if (mkdir(cgroup.c_str(), 0755) != 0)
        return absl::InternalError(absl::StrCat("cannot make ", cgroup, ": ", strerror(errno)));
      cgroups_.push_back(cgroup);
      if (!Write(cgroup + "/cgroup.procs", absl::StrCat(vm.pid())))
        return absl::InternalError(absl::StrCat("cannot move a VM to ", cgroup));
    }
    return absl::OkStatus();
  }
  Duration OwnTime() const override { return CpuTime(pid_); }

 private:
  // It dies with us.
  absl::Status Run(const std::string& program, const std::vector<std::string>& options) {
    std::vector<std::string> words = {"setpriv", "--pdeathsig", "KILL", program};
    words.insert(words.end(), options.begin(), options.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    const int error =
        posix_spawnp(&pid_, arguments.front(), &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
      pid_ = -1;
      return absl::InternalError(absl::StrCat("cannot run ", program, ": ", strerror(error)));
    }
    const bool enabled = WaitUntil([this] {
      if (waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
      return pid_ < 0 || ReadSchedExtState().state == "enabled";
    });
    if (pid_ > 0 && enabled) return absl::OkStatus();
    return absl::UnimplementedError(absl::StrCat("this kernel does not take ", program));
  }

  pid_t pid_ = -1;
  std::vector<std::string> cgroups_;
};

class Corral : public Contender {
 public:
  static absl::StatusOr<std::unique_ptr<Contender>> Start(const std::string& agent,
                                                          const std::string& options) {
    absl::StatusOr<std::unique_ptr<CorralInCharge>> corral =
        CorralInCharge::Make({.agent = agent, .options = options});
    if (!corral.ok()) return corral.status();
    auto contender = std::make_unique<Corral>();
    contender->corral_ = *std::move(corral);
    return contender;
  }
  absl::Status Adopt(absl::Span<const BenchVm> vms) override {
    for (const BenchVm& vm : vms) {
      if (const absl::Status status = corral_->Attach(vm.pid(), vm.tids()); !status.ok())
        return status;
    }
    return absl::OkStatus();
  }
  Duration OwnTime() const override { return corral_->AgentTime(); }

 private:
  std::unique_ptr<CorralInCharge> corral_;
};

}  // namespace

std::vector<ContenderKind> Contenders(const ContenderPrograms& programs) {
  const std::string simple = programs.peers + "/scx_simple", pair = programs.peers + "/scx_pair";
  const auto corral = [&programs](const char* name, const char* options) {
    return ContenderKind{
        name, [agent = programs.agent, options] { return Corral::Start(agent, options); }};
  };
  return {{"core_sched", CoreScheduling::Start},
          {"scx_simple", [simple] { return OtherScheduler::Start(simple, {}); }},
          {"scx_pair",
           [pair]() -> absl::StatusOr<std::unique_ptr<Contender>> {
             const absl::StatusOr<std::string> distance = DistanceOfSiblings();
             if (!distance.ok()) return distance.status();
             return OtherScheduler::Start(pair, {"-S", *distance});
           }},
          {"smt_off", SmtOff::Start},
          corral("corral", "{}"),
          corral("corral_slow_path", "{\"sharing\":\"off\"}")};
}

}  // namespace corral::bench
