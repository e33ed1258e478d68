// SPDX-License-Identifier: Apache-2.0
// A scrape, as a client on this machine makes it.
#include "agent/metrics/http_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace corral::metrics {
namespace {

// What the server answers, headers first; "" if nobody does.
std::string Get(int port, const std::string& path) {
  FILE* const said = popen(
      absl::StrCat("curl -sS -i --max-time 10 http://127.0.0.1:", port, path, " 2>&1").c_str(),
      "r");
  std::string all;
  char piece[4096];
  while (const size_t got = fread(piece, 1, sizeof(piece), said)) all.append(piece, got);
  return pclose(said) == 0 ? all : "";
}

TEST(HttpServer, AsksAnewAtEachScrape) {
  std::atomic<int> scrapes = 0;
  auto server = HttpServer::Listen("127.0.0.1:0", [&] {
    Families families;
    Family::Counter(families, "corral_scrapes_total", "So many.").Add({}, ++scrapes);
    return families;
  });
  ASSERT_TRUE(server.ok()) << server.status();
  ASSERT_GT((*server)->port(), 0);
  const std::string first = Get((*server)->port(), "/metrics");
  EXPECT_TRUE(absl::StartsWith(first, "HTTP/1.1 200 OK")) << first;
  EXPECT_TRUE(absl::StrContains(first, "\ncorral_scrapes_total 1")) << first;
  EXPECT_TRUE(absl::StrContains(Get((*server)->port(), "/metrics"), "\ncorral_scrapes_total 2"));
  EXPECT_TRUE(absl::StartsWith(Get((*server)->port(), "/"), "HTTP/1.1 404"));
  EXPECT_EQ(scrapes, 2);

  const auto second =
      HttpServer::Listen(absl::StrCat("127.0.0.1:", (*server)->port()), [] { return Families(); });
  EXPECT_TRUE(absl::IsUnavailable(second.status())) << second.status();
  const int port = (*server)->port();
  server->reset();
  EXPECT_EQ(Get(port, "/metrics"), "");
}

TEST(HttpServer, TakesNothingButAnAddress) {
  for (const char* const wrong :
       {"", "9817", ":9817", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000",
        "127.0.0.1:-1", "localhost:9817", "127.0.0.1:80,0.0.0.0:81", "127.0.0.1:9817s", "a b:1"}) {
    const auto server = HttpServer::Listen(wrong, [] { return Families(); });
    EXPECT_TRUE(absl::IsInvalidArgument(server.status())) << wrong << ": " << server.status();
  }
}

}  // namespace
}  // namespace corral::metrics
