// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/qemu_source.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "vmm-integration/qemu_process.h"

namespace corral {
namespace {

// Reports are lost, and limits written, as often as some user likes: each is looked at so much
// later, once for all.
constexpr std::chrono::milliseconds kBreath{50};

}  // namespace

absl::Status QemuSource::Start(VmSink& sink) {
  sink_ = &sink;
  stop_ = false;
  wake_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_) return absl::ResourceExhaustedError(absl::StrCat("eventfd: ", strerror(errno)));
  const absl::StatusOr<BootId> boot = PrepareToLook(options_.root);
  if (!boot.ok()) return boot.status();
  boot_ = *boot;
  // Watch before the first scan, so that nothing falls between the two.
  if (options_.watch_names) {
    absl::StatusOr<std::unique_ptr<NameWatcher>> names = NameWatcher::Start();
    if (!names.ok()) return names.status();
    names_ = *std::move(names);
    lost_ = 0;
  }
  absl::StatusOr<CgroupLimitsWatcher> groups = CgroupLimitsWatcher::Start(options_.root);
  if (!groups.ok()) return groups.status();
  groups_ = *std::move(groups);
  vms_.emplace(sink, options_.root);
  nameless_.clear();
  limits_.clear();
  pace_.Scan([this] { Rescan(); });
  sink_->OnPause();
  thread_ = std::thread(&QemuSource::Run, this);
  return absl::OkStatus();
}

void QemuSource::Stop() {
  if (thread_.joinable()) {
    stop_ = true;
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
    thread_.join();
  }
  names_.reset();
  groups_.reset();
}

void QemuSource::Run() {
  // QEMU is told to continue soon after its vCPUs are reported; on a busy host our turn must come
  // first. Without the right to it we are merely slower.
  setpriority(PRIO_PROCESS, gettid(), -20);
  while (!stop_) {
    // poll() passes over a descriptor of -1.
    pollfd fds[] = {{.fd = wake_.get(), .events = POLLIN},
                    {.fd = names_ ? names_->fd() : -1, .events = POLLIN},
                    {.fd = groups_ ? groups_->fd() : -1, .events = POLLIN}};
    const Clock::time_point due = std::min({pace_.next(), next_limits_, next_pause_});
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now()).count();
    poll(fds, 3, static_cast<int>(std::max<int64_t>(left, 0)));
    DrainNames();
    const uint64_t lost = names_ ? names_->lost() : 0;
    if (lost != lost_) pace_.Hasten(kBreath);
    lost_ = lost;
    if (groups_ && groups_->Drain()) next_limits_ = std::min(next_limits_, Clock::now() + kBreath);
    if (Clock::now() >= pace_.next()) pace_.Scan([this] { Rescan(); });
    if (Clock::now() >= next_limits_) LookAtLimits();
    if (Clock::now() < next_pause_) continue;
    next_pause_ = Clock::now() + kPause;
    sink_->OnPause();
  }
}

std::string QemuSource::UniqueName(pid_t pid) const {
  const std::string name = DisplayName(pid, options_.root);
  const bool taken = std::any_of(vms_->all().begin(), vms_->all().end(), [&](const auto& known) {
    return known.second.vm.name == name &&
           StartTime(known.first, known.first, options_.root) == known.second.start_time;
  });
  return taken ? absl::StrCat(name, " (", pid, ")") : name;
}

KnownVm* QemuSource::FindOrAdd(pid_t pid) {
  if (KnownVm* const known = vms_->Find(pid); known != nullptr) return known;
  const std::optional<uint64_t> start_time = StartTime(pid, pid, options_.root);
  if (!start_time || !IsOurs(pid)) return nullptr;
  KnownVm& fresh = vms_->Add(
      {.uuid = UuidOfProcess(boot_, pid, *start_time), .name = UniqueName(pid), .pid = pid},
      *start_time);
  TellLimits(fresh.vm);
  return &fresh;
}

// libvirt makes a group `emulator` for the process before it makes a vCPU.
bool QemuSource::IsOurs(pid_t pid) const {
  if (!IsQemu(pid, options_.root)) return false;
  if (!options_.skip_system_libvirts) return true;
  const std::optional<std::filesystem::path> group = CgroupOf(pid, options_.root);
  return !group || group->filename() != "emulator";
}

void QemuSource::OnName(const VcpuName& name) {
  const std::optional<uint64_t> start_time = StartTime(name.tgid, name.tid, options_.root);
  if (!start_time) return;  // it has ended
  KnownVm* const vm = FindOrAdd(name.tgid);
  if (vm == nullptr) return;  // a thread of something else
  vms_->AddVcpu(
      *vm, {.tid = name.tid, .vcpu = name.vcpu, .start_time = *start_time, .entered = name.time});
  fresh_.insert(name.tgid);
}

void QemuSource::DrainNames() {
  if (!names_) return;
  names_->Drain([this](const VcpuName& name) { OnName(name); });
  if (fresh_.empty()) return;
  for (const pid_t pid : std::exchange(fresh_, {})) {
    KnownVm* const vm = vms_->Find(pid);
    if (vm != nullptr && options_.which != VmThreads::kVcpus)
      AddHelpers(*vm, ThreadsOfQemu(pid, options_.root));
  }
  next_limits_ = std::min(next_limits_, Clock::now() + kBreath);
}

void QemuSource::AddHelpers(KnownVm& vm, const QemuThreads& threads) {
  if (options_.which == VmThreads::kVcpus) return;
  std::vector<HelperThread> helpers;
  for (const NamedThread& thread : threads.threads) {
    if (thread.vcpu) continue;
    helpers.push_back({.tid = thread.tid, .process = vm.vm.pid, .start_time = thread.start_time});
  }
  vms_->SetHelpers(vm, helpers);
}

void QemuSource::Rescan() {
  vms_->ForgetDeadVms();
  std::map<pid_t, Nameless> nameless;
  for (const pid_t pid : AllProcesses(options_.root)) ScanProcess(pid, nameless);
  nameless_ = std::move(nameless);
  LookAtLimits();
}

void QemuSource::ScanProcess(pid_t pid, std::map<pid_t, Nameless>& nameless) {
  KnownVm* vm = vms_->Find(pid);
  if (vm == nullptr && !IsOurs(pid)) return;
  // What is missed the first time the next scan tells.
  if (vm != nullptr) vms_->ForgetDeadVcpus(*vm);
  const QemuThreads threads = ThreadsOfQemu(pid, options_.root);
  if (vm == nullptr && threads.vcpus == 0) {
    if (threads.nameless > 0) nameless[pid] = LookAtNameless(pid, threads.start_time);
    return;
  }
  if (vm == nullptr) vm = FindOrAdd(pid);
  if (vm == nullptr) return;
  for (const NamedThread& thread : threads.threads) {
    if (!thread.vcpu) continue;
    vms_->AddVcpu(*vm, {.tid = thread.tid, .vcpu = *thread.vcpu, .start_time = thread.start_time});
  }
  AddHelpers(*vm, threads);
}

QemuSource::Nameless QemuSource::LookAtNameless(pid_t pid, uint64_t start_time) {
  const auto before = nameless_.find(pid);
  Nameless now{.start_time = start_time, .since = Clock::now()};
  if (before != nameless_.end() && before->second.start_time == start_time) now = before->second;
  if (!now.told && Clock::now() - now.since >= kNamelessPatience) {
    now.told = true;
    sink_->OnNotice(absl::StrCat(
        "UNPROTECTED: QEMU process ", pid, " (", DisplayName(pid, options_.root),
        ") gives its threads no names, so its vCPUs cannot be told from the others; start it with "
        "-name NAME,debug-threads=on, or use QEMU 11 or later"));
  }
  return now;
}

void QemuSource::TellLimits(const Vm& vm) {
  const CgroupLimits now = LimitsOfProcess(vm.pid, options_.root);
  const auto [told, first] = limits_.try_emplace(vm.uuid, now);
  if (!first && told->second == now) return;
  told->second = now;
  sink_->OnSettings(vm, SettingsOf(now, vm.uuid, vm.name));
}

void QemuSource::LookAtLimits() {
  next_limits_ = Clock::time_point::max();
  std::vector<pid_t> pids;
  for (const auto& [pid, known] : vms_->all()) pids.push_back(pid);
  groups_->Watch(pids);
  std::map<std::string, CgroupLimits> former = std::exchange(limits_, {});
  for (const auto& [pid, known] : vms_->all()) {
    if (const auto told = former.find(known.vm.uuid); told != former.end()) limits_.insert(*told);
    TellLimits(known.vm);
  }
}

}  // namespace corral
