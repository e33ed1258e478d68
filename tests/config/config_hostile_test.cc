// SPDX-License-Identifier: Apache-2.0
// Files that nobody wrote in good faith: refused with an error, quickly, without a crash.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <fstream>
#include <random>
#include <sstream>

#include "tests/config/test_policies.h"

namespace corral {
namespace {

using std::chrono::steady_clock;

std::string Repeat(const std::string& text, int times) {
  std::string out;
  out.reserve(text.size() * times);
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

// The error, which must come soon. "" if the file is good.
std::string Errors(const std::string& text) {
  const steady_clock::time_point begin = steady_clock::now();
  const absl::StatusOr<Config> config = ParseConfig(text, "f", kTestPolicies);
  EXPECT_LT(steady_clock::now() - begin, std::chrono::seconds(20)) << text.substr(0, 80);
  if (config.ok()) return "";
  EXPECT_TRUE(absl::IsInvalidArgument(config.status()));
  EXPECT_LT(config.status().message().size(), 64 * 1024u) << text.substr(0, 80);
  EXPECT_EQ(config.status().message().substr(0, 2), "f:");
  EXPECT_EQ(config.status().message().find("bad_alloc"), absl::string_view::npos) << text;
  return std::string(config.status().message());
}

// A parser that eats memory shall fail here and not take the machine with it.
class HostileConfig : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const rlimit limit = {.rlim_cur = 1 << 30, .rlim_max = 1 << 30};
    // The sanitizers reserve more than any limit.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
#endif
    (void)limit;
  }
};

TEST_F(HostileConfig, Depth) {
  constexpr int kDepth = 100000;
  for (const char* nest : {"[", "{", "- ", "? ", "{a: ", "[[", "{[", "a: {", "!x [", "&x ["}) {
    EXPECT_NE(Errors(Repeat(nest, kDepth)), "") << nest;
    EXPECT_NE(Errors("version: 1\nenclaves: " + Repeat(nest, kDepth)), "") << nest;
  }
  std::string indented;
  for (int i = 0; i < 600; ++i) indented += std::string(i, ' ') + "a:\n";
  EXPECT_NE(Errors(indented), "");
}

TEST_F(HostileConfig, Size) {
  EXPECT_EQ(Errors(std::string(300 * 1024, '#')),
            "f: it is larger than 256 KiB; this is no corral.yaml");
  const int kLines = 250 * 1024 / 4;
  const std::string many_keys = Errors("version: 1\n" + Repeat("a:\n", kLines));
  EXPECT_NE(many_keys.find("more errors"), std::string::npos);
  EXPECT_NE(Errors(Repeat("- a\n", kLines)), "");
  EXPECT_NE(Errors("version: 1\nmode: " + std::string(250 * 1024, 'x')), "");
  EXPECT_NE(Errors("version: 1\n? " + std::string(250 * 1024, 'x') + "\n"), "");
  EXPECT_NE(Errors("version: 1\nenclaves: [" + Repeat("{},", kLines) + "]"), "");
}

TEST_F(HostileConfig, AliasBombs) {
  std::string bomb = "version: 1\na0: &a0 [x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 60; ++i) {
    const std::string before = "*a" + std::to_string(i - 1) + ",";
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + Repeat(before, 9) + "]\n";
  }
  EXPECT_NE(Errors(bomb + "enclaves: *a59\n"), "");
  EXPECT_NE(Errors("version: 1\nenclaves: &a [*a]"), "");
  EXPECT_NE(Errors("&a {version: *a}"), "");
  EXPECT_NE(Errors("version: 1\nenclaves: &a\n- options: *a\n  name: b\n"), "");
  EXPECT_NE(Errors("version: *nobody"), "");
}

TEST_F(HostileConfig, Bytes) {
  EXPECT_EQ(Errors(std::string("version: 1\nmode: a\0b", 20)),
            "f:2:8: here is the byte 0x00; a corral.yaml is UTF-8 text");
  EXPECT_EQ(Errors("\x7f"
                   "ELF\x02"),
            "f:1:1: here is the byte 0x7f; a corral.yaml is UTF-8 text");
  EXPECT_EQ(Errors("version: 1\nmode: \"\\e[31m\""),
            "f:2:7: mode \"\\x1b[31m\" is not observe or enforce");
  EXPECT_NE(Errors("version: 1\nmode: \xff\xfe\xc3"), "");
  for (const char* text : {"",
                           "\n",
                           "---",
                           "...",
                           "%YAML 9.9\n---\n",
                           "%TAG\n",
                           "!",
                           "&",
                           "*",
                           "|",
                           ">",
                           "'",
                           "\"",
                           "\"\\x",
                           "\"\\U00110000\"",
                           "\t",
                           "a:\t- b",
                           "? :",
                           "- ? : -",
                           "@",
                           "`",
                           "!<",
                           "!!",
                           "|9999999999999\n a",
                           "[?]",
                           "{,}",
                           "[,]",
                           "{: }",
                           "\xef\xbb\xbf"}) {
    EXPECT_NE(Errors(text), "") << text;
  }
}

// A name that a tenant chose, and a glob that makes a matcher without care go back for ever.
TEST_F(HostileConfig, Globs) {
  const std::vector<TrustRule> rules = {{"a", {Repeat("*a", 60) + "*b", Repeat("?*", 60)}}};
  const steady_clock::time_point begin = steady_clock::now();
  EXPECT_EQ(FindTrustRule(rules, std::string(250, 'a')), rules.data());
  EXPECT_EQ(FindTrustRule(absl::MakeSpan(rules), "\xff[*]\\"), nullptr);
  EXPECT_LT(steady_clock::now() - begin, std::chrono::seconds(20));
  const std::string many = Repeat("- {name: a, vms: [x,x,x]}\n", 8000);
  EXPECT_NE(Errors("version: 1\ntrust_domains:\n  rules:\n" + many), "");
  EXPECT_NE(Errors("version: 1\ntrust_domains: &a {rules: *a}"), "");
  EXPECT_NE(Errors("version: 1\ntrust_domains: {rules: &a [*a]}"), "");
  EXPECT_NE(Errors("version: 1\nlibvirt: {uri: [" + Repeat("a://b,", 30000) + "]}"), "");
}

// Whatever one does to a good file, the answer is a Config or errors.
TEST_F(HostileConfig, Mutations) {
  std::ostringstream shipped;
  shipped << std::ifstream(CORRAL_SHIPPED_YAML).rdbuf();
  const std::string good = shipped.str();
  ASSERT_EQ(Errors(good), "");
  const std::string letters = "[]{}:-,?&*!|>'\"%@`# \n\t\\~<=0a\xc3";
  std::mt19937 random(42);
  const auto below = [&](size_t n) {
    return std::uniform_int_distribution<size_t>(0, n - 1)(random);
  };
  for (int i = 0; i < 20000; ++i) {
    std::string text = good;
    for (size_t n = 1 + below(6); n > 0; --n) {
      const size_t at = below(text.size());
      switch (below(4)) {
        case 0:
          text[at] = letters[below(letters.size())];
          break;
        case 1:
          text.insert(at, 1, letters[below(letters.size())]);
          break;
        case 2:
          text.erase(at, 1 + below(20));
          break;
        default:
          text.insert(at, text.substr(below(text.size()), below(60)));
      }
      if (text.empty()) break;
    }
    Errors(text);
  }
}

}  // namespace
}  // namespace corral
