// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/libvirt_connection.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace corral {
namespace {

using std::chrono::steady_clock;

// The loop wakes this often to see whether it shall try a lost connection again.
constexpr int kTickMs = 500;
constexpr std::chrono::seconds kFirstRetry{1};
constexpr std::chrono::seconds kLastRetry{16};
constexpr std::chrono::seconds kOpenPatience{5};
constexpr std::chrono::seconds kClosePatience{2};

std::string LastError() {
  const virErrorPtr error = virGetLastError();
  return error != nullptr && error->message != nullptr ? error->message : "no reason given";
}

// The loop must be registered once in a process, before the first connection is opened.
absl::Status RegisterEventLoop() {
  static const bool registered = [] {
    // Errors are returned; libvirt would print them as well.
    virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
    return virEventRegisterDefaultImpl() == 0;
  }();
  return registered ? absl::OkStatus()
                    : absl::InternalError("libvirt's event loop cannot be set up");
}

}  // namespace

class LibvirtConnection::Loop {
 public:
  Loop(std::string uri, Callbacks callbacks)
      : uri_(std::move(uri)), callbacks_(std::move(callbacks)) {}

  void Run();
  absl::Status AwaitFirstAttempt();
  void Stop();

 private:
  absl::Status Connect();
  void Disconnect();
  void Attempt();
  void Lose();
  void TellDomains();
  // Calls it, unless the connection's owner has gone.
  template <typename Callback, typename... Args>
  void Tell(const Callback& callback, Args&&... args) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!stop_ && callback) callback(std::forward<Args>(args)...);
  }
  static int OnLifecycle(virConnectPtr, virDomainPtr, int event, int detail, void* self);
  static void OnClosed(virConnectPtr, int reason, void* self);

  const std::string uri_;
  const Callbacks callbacks_;

  std::mutex mutex_;  // held during a callback
  std::condition_variable changed_;
  bool attempted_ = false;
  bool ended_ = false;
  absl::Status first_attempt_;
  std::atomic<bool> stop_{false};
  std::atomic<int> tick_{-1};

  // Of the loop's thread.
  virConnectPtr connection_ = nullptr;
  int lifecycle_id_ = -1;
  bool closed_ = false;
  bool stale_ = false;  // the list of domains that was told last
  bool told_absence_ = false;
  steady_clock::time_point retry_at_{};
  std::chrono::seconds retry_after_ = kFirstRetry;
};

absl::Status LibvirtConnection::Loop::Connect() {
  connection_ = virConnectOpenReadOnly(uri_.c_str());
  if (connection_ == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("libvirt does not answer at ", uri_, " (", LastError(),
                     "); start libvirtd or virtqemud, or set libvirt.uri in corral.yaml"));
  }
  closed_ = false;
  virConnectRegisterCloseCallback(connection_, &OnClosed, this, nullptr);
  lifecycle_id_ =
      virConnectDomainEventRegisterAny(connection_, nullptr, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                       VIR_DOMAIN_EVENT_CALLBACK(&OnLifecycle), this, nullptr);
  if (lifecycle_id_ < 0) {
    const std::string error = LastError();
    Disconnect();
    return absl::UnavailableError(
        absl::StrCat("libvirt at ", uri_, " gives no events (", error,
                     "); set libvirt.uri in corral.yaml to one that does"));
  }
  // A daemon that hangs is a lost one.
  virConnectSetKeepAlive(connection_, /*interval=*/5, /*count=*/3);
  return absl::OkStatus();
}

void LibvirtConnection::Loop::Disconnect() {
  if (connection_ == nullptr) return;
  if (lifecycle_id_ >= 0) virConnectDomainEventDeregisterAny(connection_, lifecycle_id_);
  virConnectUnregisterCloseCallback(connection_, &OnClosed);
  virConnectClose(connection_);
  connection_ = nullptr;
  lifecycle_id_ = -1;
}

void LibvirtConnection::Loop::Attempt() {
  const absl::Status status = Connect();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!attempted_) first_attempt_ = status;
    attempted_ = true;
  }
  changed_.notify_all();
  if (status.ok()) {
    if (told_absence_) Tell(callbacks_.notice, absl::StrCat("libvirt at ", uri_, " is back"));
    told_absence_ = false;
    stale_ = true;
    retry_after_ = kFirstRetry;
    return;
  }
  if (!told_absence_) Tell(callbacks_.notice, std::string(status.message()));
  told_absence_ = true;
  retry_at_ = steady_clock::now() + retry_after_;
  retry_after_ = std::min(2 * retry_after_, kLastRetry);
}

void LibvirtConnection::Loop::Lose() {
  Disconnect();
  closed_ = false;
  told_absence_ = true;
  retry_at_ = steady_clock::now();
  Tell(callbacks_.domains, std::map<std::string, std::string>());
  Tell(callbacks_.notice,
       absl::StrCat("lost libvirt at ", uri_,
                    "; its VMs stay as they are, new ones are found through their cgroups"));
}

void LibvirtConnection::Loop::TellDomains() {
  stale_ = false;
  virDomainPtr* domains = nullptr;
  const int count =
      virConnectListAllDomains(connection_, &domains, VIR_CONNECT_LIST_DOMAINS_RUNNING);
  if (count < 0) return;  // the connection is going; what comes after it asks again
  std::map<std::string, std::string> uuids;
  for (int i = 0; i < count; ++i) {
    char uuid[VIR_UUID_STRING_BUFLEN];
    const char* const name = virDomainGetName(domains[i]);
    if (name != nullptr && virDomainGetUUIDString(domains[i], uuid) == 0) {
      uuids[name] = absl::AsciiStrToLower(uuid);
    }
    virDomainFree(domains[i]);
  }
  free(domains);
  Tell(callbacks_.domains, std::move(uuids));
  Tell(callbacks_.changed);
}

void LibvirtConnection::Loop::Run() {
  if (const absl::Status status = RegisterEventLoop(); !status.ok()) {
    first_attempt_ = status;
    stop_ = true;
  }
  tick_ = virEventAddTimeout(
      kTickMs, [](int, void*) {}, nullptr, nullptr);
  while (!stop_) {
    if (connection_ == nullptr && steady_clock::now() >= retry_at_) Attempt();
    if (connection_ != nullptr && stale_) TellDomains();
    if (!stop_) virEventRunDefaultImpl();
    if (closed_) Lose();
  }
  Disconnect();
  virEventRemoveTimeout(tick_);
  const std::lock_guard<std::mutex> lock(mutex_);
  attempted_ = true;
  ended_ = true;
  changed_.notify_all();
}

absl::Status LibvirtConnection::Loop::AwaitFirstAttempt() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (changed_.wait_for(lock, kOpenPatience, [this] { return attempted_; })) return first_attempt_;
  return absl::UnavailableError(absl::StrCat("libvirt at ", uri_, " hangs (no answer within ",
                                             kOpenPatience.count(),
                                             " s); restart libvirtd or virtqemud"));
}

void LibvirtConnection::Loop::Stop() {
  std::unique_lock<std::mutex> lock(mutex_);
  stop_ = true;
  // Wakes the loop at once. If the timer is not there yet or no more, nobody sleeps.
  virEventUpdateTimeout(tick_, 0);
  changed_.wait_for(lock, kClosePatience, [this] { return ended_; });
}

int LibvirtConnection::Loop::OnLifecycle(virConnectPtr, virDomainPtr, int, int, void* self) {
  Loop* const loop = static_cast<Loop*>(self);
  loop->stale_ = true;
  loop->Tell(loop->callbacks_.changed);
  return 0;
}

void LibvirtConnection::Loop::OnClosed(virConnectPtr, int, void* self) {
  static_cast<Loop*>(self)->closed_ = true;
}

std::unique_ptr<LibvirtConnection> LibvirtConnection::Begin(std::string uri, Callbacks callbacks) {
  auto loop = std::make_shared<Loop>(std::move(uri), std::move(callbacks));
  std::thread([loop] { loop->Run(); }).detach();
  return std::unique_ptr<LibvirtConnection>(new LibvirtConnection(std::move(loop)));
}

absl::StatusOr<std::unique_ptr<LibvirtConnection>> LibvirtConnection::Open(std::string uri,
                                                                           Callbacks callbacks) {
  std::unique_ptr<LibvirtConnection> connection = Begin(std::move(uri), std::move(callbacks));
  if (const absl::Status status = connection->loop_->AwaitFirstAttempt(); !status.ok())
    return status;
  return connection;
}

LibvirtConnection::~LibvirtConnection() { loop_->Stop(); }

}  // namespace corral
