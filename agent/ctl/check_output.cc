// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/check_output.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace corral::ctl {
namespace {

int64_t CountOf(const Findings& findings, Level level) {
  return std::count_if(findings.begin(), findings.end(),
                       [level](const Finding& f) { return f.level == level; });
}

}  // namespace

nlohmann::ordered_json FindingsJson(const Findings& findings) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Finding& f : findings) {
    nlohmann::ordered_json& finding = list.emplace_back(nlohmann::ordered_json{
        {"id", f.id}, {"level", LevelName(f.level)}, {"fact", f.fact}, {"remedy", nullptr}});
    if (!f.remedy.empty()) finding["remedy"] = f.remedy;
  }
  return list;
}

nlohmann::ordered_json CheckJson(const KernelFindings& found, absl::string_view subject) {
  return {{"subject", std::string(subject)},
          {"release", found.release},
          {"usable", !AnyFails(found.findings)},
          {"findings", FindingsJson(found.findings)}};
}

std::string CheckText(const KernelFindings& found, absl::string_view subject) {
  std::string text;
  for (const Finding& f : found.findings) {
    absl::StrAppendFormat(&text, "%-4s  %-36s %s%s%s\n", LevelName(f.level), f.id, f.fact,
                          f.remedy.empty() ? "" : " -> ", f.remedy);
  }
  absl::StrAppend(&text, "this ", subject, AnyFails(found.findings) ? " cannot" : " can",
                  " run Corral: ", CountOf(found.findings, Level::kFail), " fail, ",
                  CountOf(found.findings, Level::kWarn), " warn, ",
                  CountOf(found.findings, Level::kOk), " ok\n");
  return text;
}

}  // namespace corral::ctl
