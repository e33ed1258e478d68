// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/libvirt_source.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "vmm-integration/qemu_process.h"

namespace corral {
namespace {

// A VM is looked at again so soon after a report: what belongs to it has come by then, and libvirt
// has written down whose a vCPU is that nobody knew.
constexpr std::chrono::milliseconds kSoon{20};

}  // namespace

absl::Status LibvirtSource::Start(VmSink& sink) {
  sink_ = &sink;
  vms_.emplace(sink, options_.root);
  settings_.emplace(sink, options_.trust, options_.root);
  stop_ = false;
  wake_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_) return absl::ResourceExhaustedError(absl::StrCat("eventfd: ", strerror(errno)));
  // Watch before the first scan, so that nothing falls between the two.
  if (options_.watch_cgroups) {
    absl::StatusOr<std::unique_ptr<CgroupWatcher>> watcher =
        CgroupWatcher::Start(options_.held_pin);
    if (!watcher.ok()) return watcher.status();
    watcher_ = *std::move(watcher);
    lost_ = 0;
  }
  // By a daemon that died.
  const std::vector<pid_t> left_behind = watcher_ ? watcher_->held().All() : std::vector<pid_t>();
  status_watch_ = std::make_unique<StatusWatch>(options_.root + kRecordsDir);
  pace_.Scan([this] { Rescan(); });
  sink_->OnPause();
  if (watcher_) watcher_->held().ReleaseAll(left_behind);
  for (const std::string& uri : options_.uris) {
    connections_.push_back(LibvirtConnection::Begin(
        uri, {.changed = [this] { Post([](Inbox& inbox) { inbox.changed = true; }); },
              .notice =
                  [this](const std::string& text) {
                    Post([&](Inbox& inbox) { inbox.notices.push_back(text); });
                  },
              .domains =
                  [this, uri](std::map<std::string, std::string> domains) {
                    Post([&](Inbox& inbox) { inbox.domains[uri] = std::move(domains); });
                  }}));
  }
  thread_ = std::thread(&LibvirtSource::Run, this);
  return absl::OkStatus();
}

void LibvirtSource::Stop() {
  connections_.clear();
  if (thread_.joinable()) {
    stop_ = true;
    Post([](Inbox&) {});
    thread_.join();
  }
  watcher_.reset();
  status_watch_.reset();
}

void LibvirtSource::Post(const std::function<void(Inbox&)>& change) {
  {
    const std::lock_guard<std::mutex> lock(inbox_mutex_);
    change(inbox_);
  }
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the reader is awake anyway.
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
}

bool LibvirtSource::ReadInbox() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(wake_.get(), &count, sizeof(count));
  Inbox inbox;
  {
    const std::lock_guard<std::mutex> lock(inbox_mutex_);
    std::swap(inbox, inbox_);
  }
  for (const std::string& notice : inbox.notices) sink_->OnNotice(notice);
  for (auto& [uri, domains] : inbox.domains) domains_[uri] = std::move(domains);
  return inbox.changed;
}

void LibvirtSource::Run() {
  // QEMU is told to continue soon after its vCPUs are reported; on a busy host our turn must come
  // first. Without the right to it we are merely slower.
  setpriority(PRIO_PROCESS, gettid(), -20);
  while (!stop_) {
    // poll() passes over a descriptor of -1.
    pollfd fds[] = {{.fd = wake_.get(), .events = POLLIN},
                    {.fd = watcher_ ? watcher_->fd() : -1, .events = POLLIN},
                    {.fd = status_watch_->fd(), .events = POLLIN}};
    const Clock::time_point due = std::min({pace_.next(), next_look_, next_pause_});
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now()).count();
    poll(fds, 3, static_cast<int>(std::max<int64_t>(left, 0)));
    TakeUpEntries();
    status_watch_->Drain([this](const std::string& vm) { OnStatusWritten(vm); });
    const bool changed = ReadInbox();
    const uint64_t lost = watcher_ ? watcher_->lost() : 0;
    if (changed || lost != lost_) pace_.Hasten();
    lost_ = lost;
    if (Clock::now() >= next_look_) LookAgain();
    if (Clock::now() >= pace_.next()) pace_.Scan([this] { Rescan(); });
    if (Clock::now() < next_pause_) continue;
    next_pause_ = Clock::now() + kPause;
    TellUnseen();
    sink_->OnPause();
  }
}

KnownVm* LibvirtSource::Add(const Vm& vm) {
  const std::optional<uint64_t> start_time = StartTime(vm.pid, vm.pid, options_.root);
  if (!start_time) return nullptr;
  KnownVm& known = vms_->Add(vm, *start_time);
  // What the process that had this id before was told is void.
  settings_->ForgetIf([&](pid_t pid) { return pid == vm.pid; });
  settings_->Read(vm);
  return &known;
}

void LibvirtSource::OnStatusWritten(const std::string& name) {
  for (const auto& [pid, known] : vms_->all()) {
    if (known.vm.name != name) continue;
    settings_->Read(known.vm);
    return LookSoon(pid, kSoon);
  }
}

void LibvirtSource::AddThread(KnownVm& vm, pid_t tid, int vcpu, Time entered) {
  const std::optional<uint64_t> start_time = StartTime(vm.vm.pid, tid, options_.root);
  if (!start_time) return;  // it has ended, or is a thread of another process
  vms_->AddVcpu(vm, {.tid = tid, .vcpu = vcpu, .start_time = *start_time, .entered = entered});
}

void LibvirtSource::AddHelpers(KnownVm& vm) {
  vms_->SetHelpers(vm, HelperThreadsOf(vm.vm.pid, options_.which, options_.root));
}

void LibvirtSource::TakeUpEntries() {
  if (!watcher_) return;
  watcher_->Drain([this](const VcpuCgroupEntry& entry) {
    // Its helpers can wait until the other vCPUs have come, for which QEMU does not wait.
    LookSoon(entry.tgid, kSoon);
    if (OnEntry(entry))
      Release(entry);
    else
      unknown_.push_back(entry);
  });
}

void LibvirtSource::Release(const VcpuCgroupEntry& entry) {
  if (entry.hold != 0) watcher_->held().Release(entry.tgid, entry.hold);
}

bool LibvirtSource::OnEntry(const VcpuCgroupEntry& entry) {
  KnownVm* vm = vms_->Find(entry.tgid);
  if (vm == nullptr) {
    const std::optional<Vm> fresh = IdentifyNewVm(entry.tgid, options_.root);
    if (!fresh) return false;
    vm = Add(*fresh);
  }
  if (vm != nullptr) AddThread(*vm, entry.tid, entry.vcpu, entry.time);
  return true;
}

void LibvirtSource::Rescan() {
  status_watch_->Retry();
  vms_->ForgetDeadVms();
  settings_->ForgetIf([this](pid_t pid) { return !vms_->all().contains(pid); });
  for (const PidRecord& record : PidRecords(options_.root)) LookAt(record);
}

void LibvirtSource::LookSoon(pid_t pid, std::chrono::milliseconds in) {
  soon_.insert(pid);
  next_look_ = std::min(next_look_, Clock::now() + in);
}

void LibvirtSource::LookAgain() {
  next_look_ = Clock::time_point::max();
  const std::vector<VcpuCgroupEntry> unknown = std::exchange(unknown_, {});
  const std::set<pid_t> soon = std::exchange(soon_, {});
  for (const pid_t pid : soon) {
    const KnownVm* const vm = vms_->Find(pid);
    if (vm != nullptr) LookAt({.name = vm->vm.name, .pid = pid});
  }
  if (unknown.empty()) return;
  for (const PidRecord& record : PidRecords(options_.root)) {
    if (soon.contains(record.pid) && vms_->Find(record.pid) == nullptr) LookAt(record);
  }
  // Found now, or nobody's.
  for (const VcpuCgroupEntry& entry : unknown) Release(entry);
}

void LibvirtSource::LookAt(const PidRecord& record) {
  KnownVm* vm = vms_->Find(record.pid);
  if (vm != nullptr && vms_->ForgetDeadVcpus(*vm)) LookSoon(record.pid, KnownVms::kDying);
  const std::vector<ScannedVcpu> vcpus = VcpuThreadsOf(record.pid, options_.root);
  if (vcpus.empty()) return;
  if (vm == nullptr) {
    const std::string uuid = UuidOf(record.name);
    if (uuid.empty()) return;
    vm = Add({.uuid = uuid, .name = record.name, .pid = record.pid});
  }
  if (vm == nullptr) return;
  settings_->Read(vm->vm);
  for (const ScannedVcpu& vcpu : vcpus) {
    if (!vm->threads.contains(vcpu.tid)) AddThread(*vm, vcpu.tid, vcpu.vcpu, Time{});
  }
  AddHelpers(*vm);
  // There may be hundreds of VMs, and a vCPU that comes meanwhile runs soon.
  TakeUpEntries();
}

// As libvirt wrote it down, or said; "" if it did neither.
std::string LibvirtSource::UuidOf(const std::string& name) const {
  if (const absl::StatusOr<DomainXml> xml = ReadStatus(name, options_.root); xml.ok())
    return xml->uuid;
  for (const auto& [uri, domains] : domains_) {
    const auto said = domains.find(name);
    if (said != domains.end()) return said->second;
  }
  return "";
}

void LibvirtSource::TellUnseen() {
  std::map<std::string, Clock::time_point> unseen;
  std::map<std::string, std::string> running;
  for (const auto& [uri, domains] : domains_) running.insert(domains.begin(), domains.end());
  for (const auto& [name, uuid] : running) {
    const bool seen =
        std::any_of(vms_->all().begin(), vms_->all().end(), [&uuid = uuid](const auto& known) {
          return known.second.vm.uuid == uuid && !known.second.threads.empty();
        });
    if (seen) continue;
    const auto before = unseen_.find(uuid);
    // Told ones stay in the list with a time that never comes.
    Clock::time_point since = before == unseen_.end() ? Clock::now() : before->second;
    if (since != Clock::time_point::max() && Clock::now() - since >= kUnseenPatience) {
      since = Clock::time_point::max();
      sink_->OnNotice(absl::StrCat(
          "UNPROTECTED: libvirt runs VM ", name,
          ", but no vCPU thread of it is in a vcpuN cgroup; check that it is a QEMU VM of the "
          "system daemon and that the cpu or cpuset controller is in cgroup_controllers of "
          "/etc/libvirt/qemu.conf"));
    }
    unseen[uuid] = since;
  }
  unseen_ = std::move(unseen);
}

}  // namespace corral
