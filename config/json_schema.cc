// SPDX-License-Identifier: Apache-2.0
#include "config/json_schema.h"

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "config/keys.h"

namespace corral {
namespace {

using Json = nlohmann::ordered_json;

// Patterns are of ECMA-262, as JSON Schema wants them, and say what value.cc does.
constexpr char kCpu[] = "0*(?:[0-9]{1,3}|10[01][0-9]|102[0-3])";  // below CpuSet::kMaxCpus
constexpr char kUri[] = "^(?!://)[\\s\\S]*://";
constexpr char kUnit[] = "^[^/]+\\.(service|scope|slice)$";
constexpr char kCgroup[] = "^(?!/?$)(?![\\s\\S]*\\.\\.)";
constexpr char kGlob[] = "^[^\\[\\]\\\\]*$";
constexpr char kTime[] = "\\+?(?:(?:[0-9]+\\.?[0-9]*|\\.[0-9]+)(?:ns|us|ms|s|m|h))+";

Json List(absl::Span<const absl::string_view> words) {
  Json list = Json::array();
  for (const absl::string_view word : words) list.push_back(std::string(word));
  return list;
}

// Whatever stands there without being a list, a map or nothing.
Json AnyScalar() { return {{"type", {"string", "number", "boolean"}}}; }

Json Name(const KeySpec& spec) {
  return {{"type", "string"},
          {"pattern", absl::StrCat("^[a-z][a-z0-9_-]{0,", spec.max_length - 1, "}$")}};
}

// A single CPU is a number to YAML.
Json Cpus(const KeySpec& spec) {
  const std::string range = absl::StrCat(kCpu, "(?:-", kCpu, ")?");
  std::string words;
  for (const absl::string_view word : spec.choices) absl::StrAppend(&words, word, "|");
  return {{"type", {"string", "integer"}},
          {"pattern", absl::StrCat("^(?:", words, range, "(?:,", range, ")*)$")},
          {"minimum", 0},
          {"maximum", CpuSet::kMaxCpus - 1}};
}

// Whether it is within its bounds, a pattern cannot say.
Json TimeOf(const KeySpec& spec) {
  std::string words;
  for (const absl::string_view word : spec.choices) absl::StrAppend(&words, word, "|");
  return {{"type", "string"}, {"pattern", absl::StrCat("^(?:", words, kTime, ")$")}};
}

Json Text(const char* pattern, Json type) {
  type["pattern"] = pattern;
  return type;
}

int64_t Number(absl::string_view text) {
  int64_t number = 0;
  return absl::SimpleAtoi(text, &number) ? number : 0;
}

Json Option(const OptionSpec& spec) {
  Json json = {{"description", std::string(spec.help)}};
  const std::string value(spec.default_value);
  switch (spec.type) {
    case OptionType::kBool:
      json.update({{"type", "boolean"}, {"default", value == "true"}});
      break;
    case OptionType::kInt:
      json.update({{"type", "integer"}, {"default", Number(value)}});
      if (!spec.min.empty()) json["minimum"] = Number(spec.min);
      if (!spec.max.empty()) json["maximum"] = Number(spec.max);
      break;
    case OptionType::kDuration:
      json.update(
          {{"type", "string"}, {"pattern", absl::StrCat("^", kTime, "$")}, {"default", value}});
      absl::StrAppend(json["description"].get_ptr<std::string*>(), " A time from ", spec.min,
                      " to ", spec.max, ".");
      break;
    case OptionType::kChoice:
      json.update({{"enum", List(spec.choices)}, {"default", value}});
      break;
  }
  return json;
}

Json Options(const PolicyOptions& policy) {
  Json properties = Json::object();
  for (const OptionSpec& option : policy.options)
    properties[std::string(option.name)] = Option(option);
  return {
      {"type", {"object", "null"}}, {"properties", properties}, {"additionalProperties", false}};
}

class Generator {
 public:
  Generator(SchemaOf what, absl::Span<const PolicyOptions> policies)
      : what_(what), policies_(policies) {}

  Json Map(const KeySpec& spec) const {
    Json json = {{"type", "object"}, {"properties", Json::object()}};
    for (const KeySpec& key : spec.keys) {
      json["properties"][std::string(key.name)] = Key(key);
      if (key.required) json["required"].push_back(std::string(key.name));
    }
    json["additionalProperties"] = false;
    if (what_ == SchemaOf::kDropIn) return json;
    for (const KeyRule& rule : spec.rules) json["allOf"].push_back(Rule(rule));
    if (FindKey(spec, "policy") != nullptr) {
      for (const PolicyOptions& policy : policies_)
        json["allOf"].push_back(OptionsRule(policy, *FindKey(spec, "policy")));
    }
    return json;
  }

 private:
  Json Key(const KeySpec& spec) const {
    Json json = Shape(spec);
    json["description"] = absl::StrReplaceAll(spec.help, {{"\n\n", " "}});
    if (!spec.default_value.empty()) {
      if (spec.type == KeyType::kBool) json["default"] = spec.default_value == "true";
      if (spec.type != KeyType::kBool) json["default"] = std::string(spec.default_value);
    }
    const bool plain = spec.type != KeyType::kMap && spec.type != KeyType::kOptions &&
                       spec.type != KeyType::kBool && spec.type != KeyType::kVersion;
    if (plain) json["examples"] = {absl::StrReplaceAll(spec.example, {{"\"", ""}})};
    return json;
  }

  Json Shape(const KeySpec& spec) const {
    if (spec.shape == KeyShape::kOne) return One(spec);
    Json list = {{"type", "array"}, {"items", One(spec)}};
    if (spec.min_count > 0) list["minItems"] = spec.min_count;
    list["maxItems"] = spec.max_count;
    if (spec.unique) list["uniqueItems"] = true;
    if (spec.shape == KeyShape::kList) return list;
    return {{"anyOf", {One(spec), list}}};
  }

  Json One(const KeySpec& spec) const {
    switch (spec.type) {
      case KeyType::kVersion:
        return {{"const", 1}};
      case KeyType::kBool:
        return {{"type", "boolean"}};
      case KeyType::kChoice:
        return {{"enum", List(spec.choices)}};
      case KeyType::kName:
        return Name(spec);
      case KeyType::kCpus:
        return Cpus(spec);
      case KeyType::kUri:
        return Text(kUri, {{"type", "string"}});
      case KeyType::kCgroup:
        return Text(kCgroup, AnyScalar());
      case KeyType::kUnit:
        return Text(kUnit, {{"type", "string"}});
      case KeyType::kGlob:
        return Text(kGlob, {{"type", AnyScalar()["type"]}, {"minLength", 1}});
      case KeyType::kTime:
        return TimeOf(spec);
      case KeyType::kPolicy:
        return PolicyNames();
      case KeyType::kOptions:
        return AnyOptions();
      case KeyType::kMap:
        return Map(spec);
    }
    return false;
  }

  Json PolicyNames() const {
    Json names = Json::array();
    for (const PolicyOptions& policy : policies_) names.push_back(std::string(policy.name));
    return {{"enum", names}};
  }

  // In a drop-in the policy may be another file's business.
  Json AnyOptions() const {
    if (what_ == SchemaOf::kFile) return {{"type", {"object", "null"}}};
    Json any = Json::array();
    for (const PolicyOptions& policy : policies_) any.push_back(Options(policy));
    return {{"anyOf", any}};
  }

  static Json Rule(const KeyRule& rule) {
    const std::string key(rule.key), other(rule.other);
    Json condition = {{"required", {key}}};
    if (!rule.when.empty()) condition["properties"][key]["const"] = std::string(rule.when);
    Json demand;
    switch (rule.wants) {
      case KeyRule::Wants::kAbsent:
        demand = {{"properties", {{other, false}}}};
        break;
      case KeyRule::Wants::kPresent:
        demand = {{"required", {other}}, {"properties", {{other, {{"minItems", 1}}}}}};
        break;
      case KeyRule::Wants::kValue:
        demand = {{"required", {other}},
                  {"properties", {{other, {{"const", std::string(rule.value)}}}}}};
        break;
    }
    return {{"$comment", std::string(rule.message)}, {"if", condition}, {"then", demand}};
  }

  static Json OptionsRule(const PolicyOptions& policy, const KeySpec& key) {
    const std::string name(key.name);
    Json condition = {{"properties", {{name, {{"const", std::string(policy.name)}}}}}};
    if (policy.name != key.default_value) condition["required"] = {name};
    return {{"if", condition}, {"then", {{"properties", {{"options", Options(policy)}}}}}};
  }

  const SchemaOf what_;
  const absl::Span<const PolicyOptions> policies_;
};

}  // namespace

Json ConfigSchema(SchemaOf what, absl::Span<const PolicyOptions> policies) {
  const bool file = what == SchemaOf::kFile;
  Json schema = {
      {"$schema", "https://json-schema.org/draft/2020-12/schema"},
      {"$id", file ? "urn:corral:config:1" : "urn:corral:config:1:drop-in"},
      {"title", file ? "corral.yaml" : "A drop-in of corral.yaml"},
      {"$comment",
       "Generated by \"corralctl config schema\". What it cannot say, and corrald wants as well: "
       "names are not there twice, enclaves do not collide, cpulists run upwards, times are within "
       "their bounds."}};
  schema.update(Generator(what, policies).Map(RootKey()));
  return schema;
}

}  // namespace corral
