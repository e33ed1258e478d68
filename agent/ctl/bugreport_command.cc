// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/bugreport_command.h"

#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "agent/check/host_tree.h"
#include "agent/ctl/tar_file.h"

namespace corral::ctl {
namespace {

constexpr size_t kMaxOutput = 32 * 1024 * 1024;

// One that hangs shall not keep the others from being told.
constexpr char kPatience[] = "timeout 60 ";

struct Command {
  const char* file;
  const char* line;
};
// Those of corralctl are run as whoever reads them would, so that one that fails tells how.
constexpr Command kOurs[] = {
    {"version.txt", "--version"},
    {"check.json", "check --json"},
    {"config-check.json", "config check --json"},
    {"config-show.json", "config show --json"},
    {"status.json", "status --json"},
    {"cores.json", "cores --json"},
    {"domains.json", "domains --json"},
    {"audit.json", "audit read --json"},
    {"metrics.txt", "metrics"},
};
constexpr Command kOthers[] = {
    {"journal.txt",
     "journalctl --no-pager -o short-precise -n 5000 -u corrald.service -u corral-class.service"},
    {"units.txt", "systemctl --no-pager -l status corrald.service corral-class.service"},
    {"dmesg.txt", "dmesg"},
    {"processes.txt", "ps -eLo pid,tid,cls,rtprio,ni,psr,comm -q \"$(pgrep -d, corral)\""},
};
constexpr const char* kFiles[] = {
    "/proc/cmdline",
    "/proc/version",
    "/etc/os-release",
    "/etc/corral/corral.yaml",
    "/sys/kernel/sched_ext/state",
    "/sys/kernel/sched_ext/enable_seq",
    "/sys/kernel/sched_ext/nr_rejected",
    "/sys/kernel/sched_ext/root/ops",
    "/sys/kernel/sched_ext/root/events",
    "/sys/devices/system/cpu/online",
    "/sys/devices/system/cpu/smt/control",
    "/sys/devices/system/cpu/nohz_full",
    "/sys/devices/system/node/online",
};

// Both streams, and how it ended if that was no success.
std::string OutputOf(const std::string& line) {
  FILE* const pipe = popen(absl::StrCat(kPatience, line, " 2>&1").c_str(), "re");
  if (pipe == nullptr) return "it could not be started\n";
  std::string output;
  char buffer[16384];
  while (const size_t size = fread(buffer, 1, sizeof(buffer), pipe)) {
    if (output.size() < kMaxOutput) output.append(buffer, size);
  }
  const int status = pclose(pipe);
  if (status != 0) {
    absl::StrAppend(&output, "\n(ended with ",
                    WIFEXITED(status) ? absl::StrCat("status ", WEXITSTATUS(status))
                                      : absl::StrCat("signal ", WTERMSIG(status)),
                    ")\n");
  }
  return output;
}

std::string DefaultName() {
  utsname names = {};
  uname(&names);
  return absl::StrCat("corral-bugreport-", names.nodename, "-",
                      absl::FormatTime("%Y%m%dT%H%M%S", absl::Now(), absl::LocalTimeZone()),
                      ".tar.gz");
}

absl::Status Collect(TarFile& tar) {
  for (const Command& command : kOurs) {
    const std::string output = OutputOf(absl::StrCat("/proc/", getpid(), "/exe ", command.line));
    if (const absl::Status added = tar.Add(command.file, output); !added.ok()) return added;
  }
  for (const Command& command : kOthers) {
    if (const absl::Status added = tar.Add(command.file, OutputOf(command.line)); !added.ok())
      return added;
  }
  for (const char* const file : kFiles) {
    const absl::StatusOr<std::string> text = ReadWholeFile(file, kMaxOutput);
    const absl::Status added =
        tar.Add(absl::StrCat("files", file),
                text.ok() ? *text : absl::StrCat("(", text.status().message(), ")\n"));
    if (!added.ok()) return added;
  }
  return tar.Close();
}

int RunBugreport(const std::string& output) {
  const std::string file = output.empty() ? DefaultName() : output;
  absl::StatusOr<TarFile> tar = TarFile::Create(file);
  if (!tar.ok()) return Fail(tar.status());
  if (const absl::Status status = Collect(*tar); !status.ok()) {
    unlink(file.c_str());
    return Fail(absl::InternalError(absl::StrCat("cannot write ", file, ": ", status.message())));
  }
  std::cout << file << "\n"
            << "It holds corral.yaml, the names and ids of VMs, the kernel's log and corrald's; "
               "look through it before you\ngive it away.\n";
  return kOk;
}

}  // namespace

void AddBugreportCommand(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand(
      "bugreport", "Collect what a maintainer asks for first, in one file; changes nothing");
  const auto output = std::make_shared<std::string>();
  command
      ->add_option("--output", *output,
                   "The .tar.gz to make; default: a name with host and time, in this folder")
      ->type_name("FILE");
  command->footer("Example: corralctl bugreport --output /tmp/corral.tar.gz\n");
  command->callback([&action, output] { action = [output] { return RunBugreport(*output); }; });
}

}  // namespace corral::ctl
