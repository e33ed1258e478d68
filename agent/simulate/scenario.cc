// SPDX-License-Identifier: Apache-2.0
#include "agent/simulate/scenario.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "config/nearest.h"
#include "config/node_reader.h"
#include "config/value.h"
#include "config/yaml_text.h"

namespace corral {
namespace {

constexpr int64_t kMaxVcpus = 20000;  // of all domains
constexpr Duration kMaxTime = std::chrono::minutes(10);

class ScenarioReader : private NodeReader {
 public:
  explicit ScenarioReader(ErrorList& errors) : NodeReader(errors) {}

  Scenario Read(const YAML::Node& root) {
    Scenario scenario;
    if (!root.IsMap()) {
      Error(root, "this is not a scenario; it begins with \"version: 1\"");
      return scenario;
    }
    CheckKeys(root, {"version", "topology", "policy", "options", "housekeeping", "time", "seed",
                     "domains"});
    ReadVersion(root);
    if (const YAML::Node node = root["topology"])
      scenario.topology = Text(node, "topology", "\"numa:2 core:4 pu:2\"").value_or("");
    if (const YAML::Node node = root["housekeeping"])
      scenario.housekeeping = ReadCpus(node, "housekeeping").value_or(CpuSet());
    if (const YAML::Node node = root["time"])
      scenario.time = ReadDuration(node, "time", "2s", kMaxTime);
    if (const YAML::Node node = root["seed"])
      scenario.seed = static_cast<uint64_t>(ReadNumber(node, "seed", 0, 1'000'000'000));
    ReadPolicy(root, scenario);
    if (const YAML::Node node = root["domains"]) {
      ReadDomains(node, scenario);
    } else {
      Error(root, "there are no domains; write \"domains:\" and a list");
    }
    return scenario;
  }

 private:
  int64_t ReadNumber(const YAML::Node& node, absl::string_view key, int64_t low, int64_t high) {
    const std::optional<std::string> text = Text(node, key, absl::StrCat(low));
    int64_t value = low;
    if (text && (!absl::SimpleAtoi(*text, &value) || value < low || value > high)) {
      Error(node, absl::StrCat(key, " ", Quoted(*text), " is not a whole number from ", low, " to ",
                               high));
      return low;
    }
    return value;
  }

  bool ReadBool(const YAML::Node& node, absl::string_view key) {
    const std::optional<std::string> text = Text(node, key, "true");
    if (!text) return false;
    const absl::Status status = CheckValue({.name = key, .type = KeyType::kBool}, key, *text, IsQuoted(node));
    if (!status.ok()) Error(node, std::string(status.message()));
    return *text == "true";
  }

  Duration ReadDuration(const YAML::Node& node, absl::string_view key, absl::string_view example,
                        Duration most) {
    const std::optional<std::string> text = Text(node, key, example);
    if (!text) return Duration(0);
    const absl::StatusOr<Duration> value = ParseDuration(*text);
    if (!value.ok()) {
      Error(node, absl::StrCat(key, ": ", value.status().message()));
      return Duration(0);
    }
    if (*value <= Duration(0) || *value > most) {
      Error(node,
            absl::StrCat(key, " ", Quoted(*text), " is out of range; write for example ", example));
    }
    return *value;
  }

  void ReadPolicy(const YAML::Node& root, Scenario& scenario) {
    const YAML::Node node = root["policy"];
    const std::string name =
        node ? Text(node, "policy", "secure_vm").value_or("") : std::string("secure_vm");
    const absl::StatusOr<const PolicyInfo*> policy = FindPolicy(name);
    if (!policy.ok()) return Error(node, std::string(policy.status().message()));
    scenario.policy = *policy;
    scenario.options = OptionValues::Defaults((*policy)->options);
    const YAML::Node options = root["options"];
    if (!options || options.IsNull()) return;
    if (!options.IsMap()) return Error(options, "options must be a map, such as {tenure: 20ms}");
    std::vector<std::string> known;
    for (const OptionSpec& spec : (*policy)->options) known.emplace_back(spec.name);
    CheckKeys(options, known);
    for (const OptionSpec& spec : (*policy)->options) {
      const YAML::Node value = options[std::string(spec.name)];
      if (!value) continue;
      const std::optional<std::string> text = Text(value, spec.name, spec.default_value);
      if (!text) continue;
      if (const absl::Status status = scenario.options.Set(spec.name, *text); !status.ok())
        Error(value, std::string(status.message()));
    }
  }

  void ReadDomains(const YAML::Node& node, Scenario& scenario) {
    if (!node.IsSequence() || node.size() == 0)
      return Error(node, "domains must be a list; begin each with \"- name:\"");
    int64_t vcpus = 0;
    for (const YAML::Node& entry : node) {
      const auto [domain, count] = ReadDomain(entry);
      vcpus += domain.vcpus * count;
      if (vcpus > kMaxVcpus) {
        return Error(
            entry, absl::StrCat("these are more than ", kMaxVcpus, " vCPUs; lower count or vcpus"));
      }
      for (int64_t i = 0; i < count; ++i) {
        scenario.domains.push_back(domain);
        if (count > 1) absl::StrAppend(&scenario.domains.back().name, "-", i + 1);
      }
    }
  }

  std::pair<ScenarioDomain, int64_t> ReadDomain(const YAML::Node& node) {
    ScenarioDomain domain;
    int64_t count = 1;
    if (!node.IsMap()) {
      Error(node, "a domain must be a map that begins with \"name:\"");
      return {domain, count};
    }
    CheckKeys(node, {"name", "count", "vcpus", "memory_node", "weight", "budget", "period", "cap",
                     "cap_period", "load"});
    if (const YAML::Node name = node["name"]) {
      domain.name = Text(name, "name", "web").value_or("");
    } else {
      Error(node, "this domain has no name; write for example \"name: web\"");
    }
    if (const YAML::Node n = node["count"]) count = ReadNumber(n, "count", 1, 10000);
    if (const YAML::Node n = node["vcpus"])
      domain.vcpus = static_cast<int>(ReadNumber(n, "vcpus", 1, 1024));
    if (const YAML::Node n = node["memory_node"])
      domain.memory_node = static_cast<int>(ReadNumber(n, "memory_node", 0, 1023));
    TaskAttributes& attributes = domain.attributes;
    if (const YAML::Node n = node["weight"])
      attributes.weight = static_cast<uint32_t>(ReadNumber(n, "weight", 1, 10000));
    const Duration hour = std::chrono::hours(1);
    if (const YAML::Node n = node["budget"])
      attributes.budget = ReadDuration(n, "budget", "2ms", hour);
    if (const YAML::Node n = node["period"])
      attributes.period = ReadDuration(n, "period", "10ms", hour);
    if (const YAML::Node n = node["cap"]) attributes.cap = ReadDuration(n, "cap", "5ms", hour);
    attributes.cap_period = attributes.period;
    if (const YAML::Node n = node["cap_period"])
      attributes.cap_period = ReadDuration(n, "cap_period", "100ms", hour);
    if (attributes.cap > Duration(0) && attributes.cap_period == Duration(0))
      Error(node, "a cap without a period; add \"cap_period: 100ms\"");
    if (attributes.budget > attributes.period)
      Error(node, "budget is more than period; a budget fits into its period");
    if (const YAML::Node load = node["load"]) domain.load = ReadLoad(load);
    return {domain, count};
  }

  // A load is known by its keys.
  struct LoadKey {
    const char* name;
    Duration ScenarioLoad::*field;
    const char* example;
  };
  struct LoadForm {
    ScenarioLoad::Kind kind;
    std::vector<LoadKey> keys;
  };

  ScenarioLoad ReadLoad(const YAML::Node& node) {
    const std::vector<LoadForm> forms = {
        {ScenarioLoad::Kind::kMix,
         {{"run", &ScenarioLoad::run, "2ms"}, {"sleep", &ScenarioLoad::sleep, "5ms"}}},
        {ScenarioLoad::Kind::kRequests,
         {{"every", &ScenarioLoad::every, "1ms"}, {"service", &ScenarioLoad::service, "100us"}}},
        {ScenarioLoad::Kind::kLock,
         {{"compute", &ScenarioLoad::run, "200us"}, {"hold", &ScenarioLoad::hold, "20us"}}},
        {ScenarioLoad::Kind::kRelay, {{"relay", &ScenarioLoad::run, "50us"}}},
    };
    ScenarioLoad load;
    if (node.IsScalar() && node.Scalar() == "spin") return load;
    for (const LoadForm& form : forms) {
      if (!node.IsMap() || !node[form.keys.front().name]) continue;
      load.kind = form.kind;
      std::vector<std::string> known;
      for (const LoadKey& key : form.keys) {
        known.emplace_back(key.name);
        if (const YAML::Node value = node[key.name]) {
          load.*key.field = ReadDuration(value, key.name, key.example, std::chrono::hours(1));
        } else {
          Error(node, absl::StrCat("a load with ", form.keys.front().name, " also has ", key.name,
                                   "; add \"", key.name, ": ", key.example, "\""));
        }
      }
      if (load.kind == ScenarioLoad::Kind::kLock) {
        known.emplace_back("directed_yield");
        if (const YAML::Node value = node["directed_yield"])
          load.directed_yield = ReadBool(value, "directed_yield");
      }
      CheckKeys(node, known);
      return load;
    }
    Error(node,
          "load is spin, {run: 2ms, sleep: 5ms}, {every: 1ms, service: 100us}, {compute: 200us, "
          "hold: 20us} or {relay: 50us}");
    return load;
  }
};

}  // namespace

absl::StatusOr<Scenario> ParseScenario(const std::string& text, const std::string& file) {
  ErrorList errors(file);
  Scenario scenario;
  ParseYaml(text, "a scenario", errors,
            [&](const YAML::Node& root) { scenario = ScenarioReader(errors).Read(root); });
  if (!errors.empty()) return errors.ToStatus();
  scenario.file = file;
  return scenario;
}

absl::StatusOr<Scenario> LoadScenario(const std::string& file) {
  const absl::StatusOr<std::string> text = ReadYamlFile(file, "give the path of a scenario");
  if (!text.ok()) return text.status();
  return ParseScenario(*text, file);
}

}  // namespace corral
