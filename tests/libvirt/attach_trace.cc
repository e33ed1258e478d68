// SPDX-License-Identifier: Apache-2.0
#include "tests/libvirt/attach_trace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <regex>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/libvirt/live_corral.h"
#include "tests/libvirt/virsh.h"

namespace corral {
namespace {

constexpr char kTracing[] = "/sys/kernel/tracing/";
constexpr const char* kCall[] = {"events/syscalls/sys_enter_sched_setscheduler/enable",
                                 "events/syscalls/sys_exit_sched_setscheduler/enable"};

void Write(const std::string& file, const char* text) {
  std::ofstream out(kTracing + file);
  out << text << std::flush;
  EXPECT_TRUE(out) << file;
}

Duration Seconds(const std::string& text) { return Duration(std::llround(std::stod(text) * 1e9)); }

}  // namespace

AttachTrace::AttachTrace() {
  Write("trace_clock", "mono");
  Write("trace", "");
  for (const char* const event : kCall) Write(event, "1");
}

AttachTrace::~AttachTrace() {
  for (const char* const event : kCall) Write(event, "0");
}

// Lines are "NAME-TID [CPU] FLAGS SECONDS: CALL".
std::map<pid_t, Duration> AttachTrace::Times() const {
  std::map<pid_t, Duration> times;
  std::map<std::string, pid_t> calls;  // by caller
  std::ifstream trace(absl::StrCat(kTracing, "trace"));
  const std::regex enter(R"((\S+) +\[.* (\S+): sys_sched_setscheduler\(pid: (\w+), policy: 7,.*)");
  const std::regex exit(R"((\S+) +\[.* (\S+): sys_sched_setscheduler -> 0x0)");
  for (std::string line; std::getline(trace, line);) {
    std::smatch found;
    if (std::regex_search(line, found, enter)) calls[found[1]] = std::stoi(found[3], nullptr, 16);
    if (!std::regex_search(line, found, exit)) continue;
    times[calls[found[1]]] = Seconds(found[2]);
  }
  return times;
}

ResumeEvent::ResumeEvent() { events_.Say("qemu-monitor-event --event RESUME --timeout 120"); }

Duration ResumeEvent::Time() {
  const std::string text = events_.AwaitReturn().text;
  const std::vector<std::string> words = absl::StrSplit(text, ' ');
  const auto at = std::find(words.begin(), words.end(), "at");
  if (at == words.end() || at + 1 == words.end()) {
    ADD_FAILURE() << text;
    return {};
  }
  return Seconds(*(at + 1)) - (std::chrono::system_clock::now().time_since_epoch() -
                               std::chrono::steady_clock::now().time_since_epoch());
}

Duration HeadStart(const AttachTrace& trace, ResumeEvent& resume, const std::string& vm) {
  const Duration resumed = resume.Time();
  const std::map<pid_t, Duration> attached = trace.Times();
  Duration least = Duration::max();
  for (const auto& [vcpu, tid] : VcpusInProc(ProcessOf(vm))) {
    const auto at = attached.find(tid);
    EXPECT_NE(at, attached.end()) << "vCPU " << vcpu << " of " << vm;
    if (at != attached.end()) least = std::min(least, resumed - at->second);
  }
  return least;
}

}  // namespace corral
