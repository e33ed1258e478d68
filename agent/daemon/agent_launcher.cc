// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/agent_launcher.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/views/running_agent.h"
#include "kernel/bpf/bpf_agent_kernel.h"

extern char** environ;

namespace corral {
namespace {

constexpr int kFirstPassedFd = 3;  // SD_LISTEN_FDS_START
constexpr int kWaitingHinters = 16;
constexpr int kSafeFd = 512;  // above every number that a passed descriptor may need

absl::StatusOr<Fd> SealedOptions(const std::string& json) {
  Fd fd(memfd_create(kAgentOptionsFd, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd || write(fd.get(), json.data(), json.size()) != static_cast<ssize_t>(json.size()) ||
      fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
    return absl::InternalError(absl::StrCat("cannot make the agent's options: ", strerror(errno)));
  }
  return fd;
}

// Everything that the child needs, allocated before the fork.
struct Prepared {
  std::vector<NamedFd> fds;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  std::vector<char*> argv;
  std::vector<char*> envp;
  char listen_pid[32] = "LISTEN_PID=";
};

absl::Status Prepare(const AgentSpec& spec, const AgentEnds& ends, Prepared& p) {
  absl::StatusOr<std::vector<NamedFd>> fds = DescriptorsForAgent(spec.cores);
  if (!fds.ok()) return fds.status();
  p.fds = *std::move(fds);
  absl::StatusOr<Fd> options = SealedOptions(spec.options_json);
  if (!options.ok()) return options.status();
  p.fds.push_back({"options", *std::move(options)});
  for (const auto& [name, end] :
       {std::pair{"hints", &ends.hints}, std::pair{"ready", &ends.ready}}) {
    if (*end) p.fds.push_back({name, Fd(fcntl(end->get(), F_DUPFD_CLOEXEC, 0))});
  }

  p.arguments = {spec.program, "--enclave", spec.enclave, "--policy", spec.policy};
  if (!spec.housekeeping.empty())
    p.arguments.insert(p.arguments.end(), {"--housekeeping", spec.housekeeping});
  for (std::string& argument : p.arguments) p.argv.push_back(argument.data());
  p.argv.push_back(nullptr);

  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (strncmp(*variable, "LISTEN_", 7) != 0 && strncmp(*variable, "NOTIFY_SOCKET", 13) != 0)
      p.environment.push_back(*variable);
  }
  p.environment.push_back(absl::StrCat("LISTEN_FDS=", p.fds.size()));
  p.environment.push_back(absl::StrCat(
      "LISTEN_FDNAMES=", absl::StrJoin(p.fds, ":", [](std::string* out, const NamedFd& fd) {
        out->append(fd.name);
      })));
  for (std::string& variable : p.environment) p.envp.push_back(variable.data());
  p.envp.push_back(p.listen_pid);
  p.envp.push_back(nullptr);
  return absl::OkStatus();
}

// In the child: nothing here may allocate or take a lock.
[[noreturn]] void RunChild(Prepared& p, int go_fd) {
  setsid();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  char go;
  if (read(go_fd, &go, 1) != 1) _exit(127);  // the launcher gave up
  // Twice, because a source may have a number that is a target.
  for (size_t i = 0; i < p.fds.size(); ++i) {
    if (fcntl(p.fds[i].fd.get(), F_DUPFD_CLOEXEC, kSafeFd + static_cast<int>(i)) !=
        kSafeFd + static_cast<int>(i))
      _exit(127);
  }
  for (size_t i = 0; i < p.fds.size(); ++i) {
    if (dup2(kSafeFd + static_cast<int>(i), kFirstPassedFd + static_cast<int>(i)) < 0) _exit(127);
  }
  char* const digits = p.listen_pid + strlen(p.listen_pid);
  *std::to_chars(digits, p.listen_pid + sizeof(p.listen_pid) - 1, getpid()).ptr = '\0';
  execve(p.argv[0], p.argv.data(), p.envp.data());
  _exit(127);
}

}  // namespace

std::string InstalledProgram(const std::string& name) {
  std::error_code error;
  const std::filesystem::path self =
      std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* const folder : {"../main", "../class", "../sbin"}) {
    const std::filesystem::path program = (self / folder / name).lexically_normal();
    if (std::filesystem::exists(program, error)) return program.string();
  }
  return (self / name).string();
}

std::string InstalledAgent() { return InstalledProgram("corral-agent"); }

absl::StatusOr<Fd> ListenForHints(const AgentSpec& spec) {
  std::error_code error;
  const std::filesystem::path dir = std::filesystem::path(spec.hints).parent_path();
  std::filesystem::create_directories(dir, error);
  chmod(dir.c_str(), 0755);  // whatever the umask is
  sockaddr_un address = {.sun_family = AF_UNIX};
  if (spec.hints.size() >= sizeof(address.sun_path))
    return absl::InvalidArgumentError(absl::StrCat("the socket path ", spec.hints, " is too long"));
  spec.hints.copy(address.sun_path, spec.hints.size());
  Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  unlink(spec.hints.c_str());
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      chmod(spec.hints.c_str(), 0666) != 0 || listen(socket.get(), kWaitingHinters) != 0) {
    return absl::InternalError(
        absl::StrCat("cannot listen for hints on ", spec.hints, ": ", strerror(errno)));
  }
  return socket;
}

absl::StatusOr<pid_t> LaunchAgent(ControlKernel& kernel, const AgentSpec& spec,
                                  const AgentEnds& ends) {
  if (access(spec.program.c_str(), X_OK) != 0) {
    return absl::NotFoundError(absl::StrCat("there is no agent program at ", spec.program,
                                            "; give its path with --agent"));
  }
  Prepared prepared;
  if (const absl::Status status = Prepare(spec, ends, prepared); !status.ok()) return status;
  int go[2];
  if (pipe2(go, O_CLOEXEC) != 0)
    return absl::InternalError(absl::StrCat("cannot make a pipe: ", strerror(errno)));
  const Fd go_read(go[0]);
  const Fd go_write(go[1]);
  const pid_t pid = fork();
  if (pid < 0) return absl::InternalError(absl::StrCat("cannot start an agent: ", strerror(errno)));
  if (pid == 0) {
    close(go_write.get());
    RunChild(prepared, go_read.get());
  }
  const absl::Status blessed = kernel.BlessAgent(pid, spec.enclave_id);
  if (!blessed.ok() || write(go_write.get(), "g", 1) != 1) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return blessed.ok() ? absl::InternalError("the new agent process died at once") : blessed;
  }
  return pid;
}

}  // namespace corral
