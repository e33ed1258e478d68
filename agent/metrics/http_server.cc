// SPDX-License-Identifier: Apache-2.0
#include "agent/metrics/http_server.h"

#include <prometheus/exposer.h>

#include <exception>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace corral::metrics {
namespace {

class Source final : public prometheus::Collectable {
 public:
  explicit Source(std::function<Families()> collect) : collect_(std::move(collect)) {}
  Families Collect() const override { return collect_(); }

 private:
  const std::function<Families()> collect_;
};

class Server final : public HttpServer {
 public:
  // Throws if it cannot listen.
  Server(const std::string& address, std::function<Families()> collect)
      : source_(std::make_shared<Source>(std::move(collect))), exposer_(address) {
    exposer_.RegisterCollectable(source_);
  }
  int port() const override {
    const std::vector<int> ports = exposer_.GetListeningPorts();
    return ports.empty() ? 0 : ports.front();
  }

 private:
  const std::shared_ptr<Source> source_;
  prometheus::Exposer exposer_;
};

// The server would take a list of them, and options of its own.
absl::Status CheckAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  const bool sound = colon != std::string::npos && colon > 0 &&
                     address.find_first_not_of("0123456789abcdefABCDEF.:[]") == std::string::npos &&
                     absl::SimpleAtoi(address.substr(colon + 1), &port) && port >= 0 &&
                     port <= 65535;
  if (sound) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", address, "\" is no address and port; write 127.0.0.1:9817, or [::1]:9817"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Listen(const std::string& address,
                                                               std::function<Families()> collect) {
  if (absl::Status status = CheckAddress(address); !status.ok()) return status;
  try {
    return std::make_unique<Server>(address, std::move(collect));
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", address, " (", error.what(),
                                               "); does another program have that port?"));
  }
}

}  // namespace corral::metrics
