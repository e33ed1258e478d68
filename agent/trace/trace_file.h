// SPDX-License-Identifier: Apache-2.0
// Chrome's JSON trace format, which ui.perfetto.dev and chrome://tracing open: cores are processes,
// their CPUs are threads, and what ran there is a row of slices.
//
// One event per line, made one at a time: as one value they would take a hundred times the memory.
// One thread. Units: the file has microseconds with three decimals.
#ifndef CORRAL_AGENT_TRACE_TRACE_FILE_H_
#define CORRAL_AGENT_TRACE_TRACE_FILE_H_

#include <string>

#include <nlohmann/json.hpp>

#include "kernel/types.h"

namespace corral {

class TraceFile {
 public:
  static constexpr int kGrey = -1;

  void NameCore(int core, CpuId first_cpu, const std::string& label);
  void NameCpu(int core, CpuId cpu);
  // What a CPU ran. Colours with the same number are the same, and few neighbours look alike.
  struct Slice {
    int core = 0;
    CpuId cpu;
    std::string name;
    const char* category = "";
    int colour = kGrey;
    Time from{};
    Time to{};
    nlohmann::json args;
  };
  void Add(const Slice& slice);
  // Something that happened on a CPU at a moment; of all of the machine with `everywhere`.
  void Mark(int core, CpuId cpu, Time at, const std::string& name, nlohmann::json args = {},
            bool everywhere = false);

  // The whole file; `other` is what viewers show as its description.
  std::string Finish(const nlohmann::json& other) const;

 private:
  void Append(const nlohmann::json& event);

  std::string events_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_TRACE_TRACE_FILE_H_
