// SPDX-License-Identifier: Apache-2.0
// overheads: what a message, a validated transaction, a commit and a decision cost on this machine,
// beside the ghOSt paper's figures.
//
// The class's BPF functions are loaded into the machine's own kernel, which needs no sched_ext;
// nothing is attached, so nothing is scheduled by them. Needs root. About half a minute.
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>

#include "tests/bench/agent_half.h"
#include "tests/bench/class_half.h"
#include "tests/bench/loaded_class.h"
#include "tests/bench/measure.h"
#include "tests/bench/report.h"

namespace corral::bench {
namespace {

absl::Status WriteJson(const Report& report, const std::string& file) {
  std::ofstream out(file);
  out << Json(report).dump(2) << "\n";
  out.close();
  return out ? absl::OkStatus() : absl::UnavailableError("cannot write " + file);
}

absl::Status Run(int repetitions, const std::string& json_file) {
  using Domains = LoadedClass::Domains;
  const auto loaded = LoadedClass::Load(Domains::kOnePerCore);
  if (!loaded.ok()) return loaded.status();
  const auto other = LoadedClass::Load(Domains::kOne);
  if (!other.ok()) return other.status();
  const absl::StatusOr<std::unique_ptr<CentralFifo>> central = CentralFifo::Make(**other);
  if (!central.ok()) return central.status();
  Report report = {.figures = ClassFigures(**loaded), .repetitions = repetitions};
  for (Figure& figure : AgentFigures(**loaded, **central))
    report.figures.push_back(std::move(figure));
  absl::StatusOr<std::map<std::string, Result>> results = Measure(report.figures, repetitions);
  if (!results.ok()) return results.status();
  report.results = *std::move(results);
  std::cout << Text(report);
  return json_file.empty() ? absl::OkStatus() : WriteJson(report, json_file);
}

}  // namespace
}  // namespace corral::bench

int main(int argc, char** argv) {
  CLI::App app("Measures what the class and an agent cost, beside the ghOSt paper's figures.");
  int repetitions = 11;
  std::string json_file;
  app.add_option("--repetitions", repetitions, "of which the median is taken")
      ->check(CLI::Range(3, 1000))
      ->capture_default_str();
  app.add_option("--json", json_file, "a file for the figures as JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  const absl::Status status = corral::bench::Run(repetitions, json_file);
  if (status.ok()) return 0;
  std::cerr << "overheads: " << status.message() << "\n";
  return 1;
}
