// SPDX-License-Identifier: Apache-2.0
#include "config/trust_reader.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "config/node_reader.h"

namespace corral {
namespace {

// As long as a label of a DNS name, which names of tenants and projects are made for.
constexpr size_t kMaxNameLength = 63;

class Reader : private NodeReader {
 public:
  explicit Reader(ErrorList& errors) : NodeReader(errors) {}

  void Read(const YAML::Node& node, Config& config) {
    if (!node.IsMap()) {
      return Error(node, "trust_domains must be a map, such as {rules: [{name: web, vms: web-*}]}");
    }
    CheckKeys(node, {"nova_projects", "rules"});
    if (const YAML::Node nova = node["nova_projects"])
      config.nova_projects = ReadBool(nova, "nova_projects");
    const YAML::Node rules = node["rules"];
    if (!rules) return;
    if (!rules.IsSequence())
      return Error(rules, "rules must be a list, such as [{name: web, vms: web-*}]");
    for (const YAML::Node& rule : rules) config.trust_rules.push_back(ReadRule(rule));
  }

 private:
  TrustRule ReadRule(const YAML::Node& node) {
    TrustRule rule;
    if (!node.IsMap()) {
      Error(node, "a rule must be a map, such as {name: web, vms: web-*}");
      return rule;
    }
    CheckKeys(node, {"name", "vms"});
    if (const YAML::Node name = node["name"]) {
      rule.name = ReadName(name, "web", kMaxNameLength);
    } else {
      Error(node, "this rule has no name; write for example \"name: web\"");
    }
    CheckNewName(node, rule.name);
    if (const YAML::Node vms = node["vms"]) {
      ReadGlobs(vms, rule);
    } else {
      Error(node, "this rule names no VMs; write for example \"vms: web-*\"");
    }
    return rule;
  }

  void CheckNewName(const YAML::Node& where, const std::string& name) {
    if (name.empty()) return;
    const auto [entry, is_new] = lines_.emplace(name, where.Mark().line + 1);
    if (is_new) return;
    Error(where, absl::StrCat("there are two rules named ", name, "; the other is in line ",
                              entry->second, "; write one, with both their VMs in a list"));
  }

  void ReadGlobs(const YAML::Node& node, TrustRule& rule) {
    if (!node.IsSequence()) return ReadGlob(node, rule);
    if (node.size() == 0) Error(node, "this list names no VMs; write for example [web-*, db-?]");
    for (const YAML::Node& entry : node) ReadGlob(entry, rule);
  }

  void ReadGlob(const YAML::Node& node, TrustRule& rule) {
    const std::optional<std::string> glob = Text(node, "vms", "web-*");
    if (!glob) return;
    // The shell's other special characters would say something else than their author thinks.
    if (glob->empty() || glob->find_first_of("[]\\") != std::string::npos) {
      Error(node,
            absl::StrCat("vms ", Quoted(*glob),
                         " is not a VM's name; it may have * and ? for any characters, but no "
                         "[, ] or \\"));
    }
    rule.globs.push_back(*glob);
  }

  std::map<std::string, int> lines_;  // of each rule's name
};

}  // namespace

void ReadTrustDomains(const YAML::Node& node, ErrorList& errors, Config& config) {
  Reader(errors).Read(node, config);
}

}  // namespace corral
