// SPDX-License-Identifier: Apache-2.0
// What loading the class costs, and that the kernel has nothing to say about it. Runs as root in
// the test host.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "agent/class/load_class.h"
#include "ghost.skel.h"
#include "kernel/fd.h"

namespace corral {
namespace {

// The verifier gives up at a million instructions; a program that comes near it fails on the next
// kernel.
constexpr int kMostInstructions = 100000;

struct Price {
  int instructions = 0;
  int states = 0;
};

// From "processed 1234 insns (limit 1000000) max_states_per_insn 5 total_states 67 peak_states 65
// mark_read 4".
Price PriceIn(const char* log) {
  Price price;
  const char* const line = strstr(log, "processed ");
  if (line != nullptr) sscanf(line, "processed %d insns", &price.instructions);
  const char* const states = line == nullptr ? nullptr : strstr(line, "total_states ");
  if (states != nullptr) sscanf(states, "total_states %d", &price.states);
  return price;
}

TEST(ClassLoad, ThePriceOfEachProgram) {
  const auto destroy = [](ghost* s) { ghost::destroy(s); };
  const std::unique_ptr<ghost, decltype(destroy)> skeleton(ghost::open(), destroy);
  ASSERT_NE(skeleton, nullptr);
  std::map<std::string, std::vector<char>> logs;
  bpf_program* program;
  bpf_object__for_each_program(program, skeleton->obj) {
    std::vector<char>& log = logs[bpf_program__name(program)];
    log.resize(1 << 16);
    constexpr uint32_t kStatistics = 4;
    bpf_program__set_log_level(program, kStatistics);
    bpf_program__set_log_buf(program, log.data(), log.size());
  }
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(ghost::load(skeleton.get()), 0);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  int sum = 0;
  for (const auto& [name, log] : logs) {
    const Price price = PriceIn(log.data());
    printf("%-32s %7d instructions %6d states\n", name.c_str(), price.instructions, price.states);
    EXPECT_GT(price.instructions, 0) << name << ": the verifier said nothing of it";
    EXPECT_LT(price.instructions, kMostInstructions) << name;
    sum += price.instructions;
  }
  printf("all %zu programs: %d instructions, loaded in %.2f s (emulated)\n", logs.size(), sum,
         took.count());
}

std::string LogSince(int kmsg) {
  std::string text;
  char record[8192];
  for (ssize_t size; (size = read(kmsg, record, sizeof(record))) > 0;) {
    text.append(record, static_cast<size_t>(size));
  }
  return text;
}

TEST(ClassLoad, NoWarningInTheKernelsLog) {
  const Fd kmsg(open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  ASSERT_GE(kmsg.get(), 0);
  ASSERT_EQ(lseek(kmsg.get(), 0, SEEK_END), 0);
  for (int round = 0; round < 3; ++round) {
    const absl::Status loaded = LoadClassHere();
    ASSERT_TRUE(loaded.ok()) << loaded;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    const absl::Status unloaded = UnloadClass();
    ASSERT_TRUE(unloaded.ok()) << unloaded;
  }
  const std::string log = LogSince(kmsg.get());
  EXPECT_NE(log.find("\"corral\" enabled"), std::string::npos) << "this is not the kernel's log";
  for (const char* word : {"WARN", "BUG", "Oops", "RIP:", "deprecated", "Call Trace", "error"})
    EXPECT_EQ(log.find(word), std::string::npos) << log;
}

}  // namespace
}  // namespace corral
