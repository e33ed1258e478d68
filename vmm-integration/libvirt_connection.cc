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
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace corral {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kFirstRetry{1};
constexpr std::chrono::seconds kLastRetry{16};
constexpr std::chrono::seconds kOpenPatience{5};
constexpr std::chrono::seconds kClosePatience{2};
// Between attempts of an event loop that fails.
constexpr std::chrono::milliseconds kLoopPause{500};

std::string LastError() {
  const virErrorPtr error = virGetLastError();
  return error != nullptr && error->message != nullptr ? error->message : "no reason given";
}

// To be called before a connection is opened. The loop only takes events in and never calls libvirt
// back, so it waits for no daemon.
absl::Status StartEventLoop() {
  static const bool running = [] {
    // Errors are returned; libvirt would print them as well.
    virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
    if (virEventRegisterDefaultImpl() != 0) return false;
    std::thread([] {
      while (true) {
        if (virEventRunDefaultImpl() != 0) std::this_thread::sleep_for(kLoopPause);
      }
    }).detach();
    return true;
  }();
  return running ? absl::OkStatus() : absl::InternalError("libvirt's event loop cannot be set up");
}

}  // namespace

class LibvirtConnection::Worker : public std::enable_shared_from_this<Worker> {
 public:
  Worker(std::string uri, Callbacks callbacks)
      : uri_(std::move(uri)), callbacks_(std::move(callbacks)) {}

  void Run();
  absl::Status AwaitFirstAttempt();
  void Stop();

 private:
  // What the event loop leaves for the worker.
  struct News {
    bool changed = false;
    bool domains = false;  // the list of those that run
    bool closed = false;
  };

  absl::Status Connect();
  bool Register(int event, virConnectDomainEventGenericCallback callback);
  void Disconnect();
  void Attempt();
  void Lose();
  void TellDomains();
  void Take(const News& news);
  void Post(const News& news);
  // Calls it, unless the connection's owner has gone.
  template <typename Callback, typename... Args>
  void Tell(const Callback& callback, Args&&... args) {
    const std::lock_guard<std::mutex> lock(telling_);
    if (!stop_ && callback) callback(std::forward<Args>(args)...);
  }

  // Of the event loop's thread. `self` is a std::shared_ptr<Worker>*, of the last one a Worker*.
  static void PostChange(void* self);
  static int OnLifecycle(virConnectPtr, virDomainPtr, int event, int detail, void* self);
  static void OnTunable(virConnectPtr, virDomainPtr, virTypedParameterPtr, int count, void* self);
  static void OnMetadata(virConnectPtr, virDomainPtr, int type, const char* uri, void* self);
  static void OnDevice(virConnectPtr, virDomainPtr, const char* alias, void* self);
  static void OnClosed(virConnectPtr, int reason, void* self);

  const std::string uri_;
  const Callbacks callbacks_;

  std::mutex telling_;  // held during a callback
  std::mutex mutex_;    // of what follows; not held in libvirt's calls
  std::condition_variable wake_, progress_;
  News news_;
  bool attempted_ = false;
  bool ended_ = false;
  absl::Status first_attempt_;
  std::atomic<bool> stop_{false};

  // Of the worker's thread.
  virConnectPtr connection_ = nullptr;
  std::vector<int> events_;  // libvirt's ids of what is registered
  bool told_absence_ = false;
  steady_clock::time_point retry_at_{};
  std::chrono::seconds retry_after_ = kFirstRetry;
};

bool LibvirtConnection::Worker::Register(int event, virConnectDomainEventGenericCallback callback) {
  // An event may be on its way when it is given up, so libvirt has its own share in the worker.
  auto* const self = new std::shared_ptr<Worker>(shared_from_this());
  const auto free_self = [](void* shared) { delete static_cast<std::shared_ptr<Worker>*>(shared); };
  const int id =
      virConnectDomainEventRegisterAny(connection_, nullptr, event, callback, self, +free_self);
  if (id < 0) {
    delete self;
    return false;
  }
  events_.push_back(id);
  return true;
}

absl::Status LibvirtConnection::Worker::Connect() {
  if (const absl::Status status = StartEventLoop(); !status.ok()) return status;
  connection_ = virConnectOpenReadOnly(uri_.c_str());
  if (connection_ == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("libvirt does not answer at ", uri_, " (", LastError(),
                     "); start libvirtd or virtqemud, or set libvirt.uri in corral.yaml"));
  }
  // No call of it is under way any more when it is unregistered.
  virConnectRegisterCloseCallback(connection_, &OnClosed, this, nullptr);
  if (!Register(VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(&OnLifecycle))) {
    const std::string error = LastError();
    Disconnect();
    return absl::UnavailableError(
        absl::StrCat("libvirt at ", uri_, " gives no events (", error,
                     "); set libvirt.uri in corral.yaml to one that does"));
  }
  // Whoever does not know one of these sends it never; then what it would tell is found by looking.
  Register(VIR_DOMAIN_EVENT_ID_TUNABLE, VIR_DOMAIN_EVENT_CALLBACK(&OnTunable));
  Register(VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(&OnMetadata));
  Register(VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(&OnDevice));
  Register(VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(&OnDevice));
  // A daemon that hangs is a lost one.
  virConnectSetKeepAlive(connection_, /*interval=*/5, /*count=*/3);
  return absl::OkStatus();
}

void LibvirtConnection::Worker::Disconnect() {
  if (connection_ == nullptr) return;
  for (const int event : std::exchange(events_, {}))
    virConnectDomainEventDeregisterAny(connection_, event);
  virConnectUnregisterCloseCallback(connection_, &OnClosed);
  virConnectClose(connection_);
  connection_ = nullptr;
}

void LibvirtConnection::Worker::Attempt() {
  const absl::Status status = Connect();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!attempted_) first_attempt_ = status;
    attempted_ = true;
  }
  progress_.notify_all();
  if (status.ok()) {
    if (told_absence_) Tell(callbacks_.notice, absl::StrCat("libvirt at ", uri_, " is back"));
    told_absence_ = false;
    retry_after_ = kFirstRetry;
    TellDomains();
    return;
  }
  if (!told_absence_) Tell(callbacks_.notice, std::string(status.message()));
  told_absence_ = true;
  retry_at_ = steady_clock::now() + retry_after_;
  retry_after_ = std::min(2 * retry_after_, kLastRetry);
}

void LibvirtConnection::Worker::Lose() {
  Disconnect();
  {
    // It is no news of the next connection.
    const std::lock_guard<std::mutex> lock(mutex_);
    news_.closed = false;
  }
  told_absence_ = true;
  retry_at_ = steady_clock::now();
  Tell(callbacks_.domains, std::map<std::string, std::string>());
  Tell(callbacks_.notice,
       absl::StrCat("lost libvirt at ", uri_,
                    "; its VMs stay as they are, new ones are found through their cgroups"));
}

void LibvirtConnection::Worker::TellDomains() {
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

void LibvirtConnection::Worker::Take(const News& news) {
  if (connection_ == nullptr) {
    Attempt();
  } else if (news.closed) {
    Lose();
  } else if (news.changed) {
    Tell(callbacks_.changed);
    if (news.domains) TellDomains();
  }
}

void LibvirtConnection::Worker::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stop_) {
    const bool connected = connection_ != nullptr;
    const auto due = [&] { return stop_ || (connected && (news_.changed || news_.closed)); };
    if (connected) {
      wake_.wait(lock, due);
    } else {
      wake_.wait_until(lock, retry_at_, due);
    }
    if (stop_) break;
    const News news = std::exchange(news_, {});
    lock.unlock();
    Take(news);
    lock.lock();
  }
  lock.unlock();
  Disconnect();
  lock.lock();
  ended_ = true;
  progress_.notify_all();
}

absl::Status LibvirtConnection::Worker::AwaitFirstAttempt() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (progress_.wait_for(lock, kOpenPatience, [this] { return attempted_; })) return first_attempt_;
  return absl::UnavailableError(absl::StrCat("libvirt at ", uri_, " hangs (no answer within ",
                                             kOpenPatience.count(),
                                             " s); restart libvirtd or virtqemud"));
}

void LibvirtConnection::Worker::Stop() {
  std::unique_lock<std::mutex> lock(mutex_);
  stop_ = true;
  wake_.notify_all();
  progress_.wait_for(lock, kClosePatience, [this] { return ended_; });
  lock.unlock();
  // A callback that is under way ends before its owner does.
  const std::lock_guard<std::mutex> told(telling_);
}

void LibvirtConnection::Worker::Post(const News& news) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    news_.changed |= news.changed;
    news_.domains |= news.domains;
    news_.closed |= news.closed;
  }
  wake_.notify_all();
}

void LibvirtConnection::Worker::PostChange(void* self) {
  (*static_cast<std::shared_ptr<Worker>*>(self))->Post({.changed = true});
}

int LibvirtConnection::Worker::OnLifecycle(virConnectPtr, virDomainPtr, int, int, void* self) {
  (*static_cast<std::shared_ptr<Worker>*>(self))->Post({.changed = true, .domains = true});
  return 0;
}

void LibvirtConnection::Worker::OnTunable(virConnectPtr, virDomainPtr, virTypedParameterPtr, int,
                                          void* self) {
  PostChange(self);
}

void LibvirtConnection::Worker::OnMetadata(virConnectPtr, virDomainPtr, int, const char*,
                                           void* self) {
  PostChange(self);
}

void LibvirtConnection::Worker::OnDevice(virConnectPtr, virDomainPtr, const char*, void* self) {
  PostChange(self);
}

void LibvirtConnection::Worker::OnClosed(virConnectPtr, int, void* self) {
  static_cast<Worker*>(self)->Post({.closed = true});
}

std::unique_ptr<LibvirtConnection> LibvirtConnection::Begin(std::string uri, Callbacks callbacks) {
  auto worker = std::make_shared<Worker>(std::move(uri), std::move(callbacks));
  std::thread([worker] { worker->Run(); }).detach();
  return std::unique_ptr<LibvirtConnection>(new LibvirtConnection(std::move(worker)));
}

absl::StatusOr<std::unique_ptr<LibvirtConnection>> LibvirtConnection::Open(std::string uri,
                                                                           Callbacks callbacks) {
  std::unique_ptr<LibvirtConnection> connection = Begin(std::move(uri), std::move(callbacks));
  if (const absl::Status status = connection->worker_->AwaitFirstAttempt(); !status.ok())
    return status;
  return connection;
}

LibvirtConnection::~LibvirtConnection() { worker_->Stop(); }

}  // namespace corral
