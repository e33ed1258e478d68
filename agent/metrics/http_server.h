// SPDX-License-Identifier: Apache-2.0
// Metrics by HTTP, for a Prometheus that scrapes: prometheus-cpp's server, asked anew at each
// scrape.
#ifndef CORRAL_AGENT_METRICS_HTTP_SERVER_H_
#define CORRAL_AGENT_METRICS_HTTP_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "agent/metrics/families.h"

namespace corral::metrics {

class HttpServer {
 public:
  // Answers GET /metrics on `address` ("127.0.0.1:9817"; port 0: a free one) as long as it lives.
  // `collect` is called from threads of the server's, at most two at once. InvalidArgument: it is
  // no address; Unavailable: others have it.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Listen(const std::string& address,
                                                            std::function<Families()> collect);
  virtual ~HttpServer() = default;

  virtual int port() const = 0;
};

}  // namespace corral::metrics

#endif  // CORRAL_AGENT_METRICS_HTTP_SERVER_H_
