// SPDX-License-Identifier: Apache-2.0
#include "config/parse.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "config/nearest.h"
#include "config/node_reader.h"

namespace corral {
namespace {

constexpr size_t kMaxEnclaves = 16;    // GHOST_MAX_ENCLAVES
constexpr size_t kMaxNameLength = 15;  // GHOST_NAME_LEN, with its end

bool IsName(const std::string& name) {
  return !name.empty() && name.size() <= kMaxNameLength && absl::ascii_islower(name[0]) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-' || c == '_';
         });
}

// Reads the known structure out of the document. It never follows a node that it does not know, so
// neither aliases nor depth multiply its work.
class Reader : private NodeReader {
 public:
  Reader(absl::Span<const PolicyOptions> policies, ErrorList& errors)
      : NodeReader(errors), policies_(policies) {}

  Config Read(const YAML::Node& root) {
    Config config;
    if (!root.IsMap()) {
      Error(root, "this is not a corral.yaml; it begins with \"version: 1\"");
      return config;
    }
    CheckKeys(root, {"version", "mode", "class_loss", "libvirt", "housekeeping", "enclaves"});
    ReadVersion(root);
    if (const YAML::Node node = root["mode"]) config.mode = ReadMode(node);
    if (const YAML::Node node = root["class_loss"]) config.class_loss = ReadClassLoss(node);
    if (const YAML::Node node = root["libvirt"]) ReadLibvirt(node, config);
    if (const YAML::Node node = root["housekeeping"]) {
      if (const std::optional<CpuSet> cpus = ReadCpus(node, "housekeeping")) {
        config.housekeeping = cpus->Format();
        config.housekeeping_line = node.Mark().line + 1;
      }
    }
    if (const YAML::Node node = root["enclaves"]) ReadEnclaves(node, config);
    if (config.mode == Mode::kEnforce && !root["enclaves"]) {
      Error(root["mode"], "there is nothing to enforce; add \"enclaves:\" or write observe");
    }
    return config;
  }

 private:
  Mode ReadMode(const YAML::Node& node) {
    const std::optional<std::string> mode = Text(node, "mode", "observe");
    if (mode == "enforce") return Mode::kEnforce;
    if (mode && *mode != "observe") {
      Error(node, absl::StrCat("mode ", Quoted(*mode), " is not observe or enforce"));
    }
    return Mode::kObserve;
  }

  ClassLoss ReadClassLoss(const YAML::Node& node) {
    const std::optional<std::string> loss = Text(node, "class_loss", "recover");
    if (loss == "pause") return ClassLoss::kPause;
    if (loss == "release") return ClassLoss::kRelease;
    if (loss && *loss != "recover") {
      Error(node, absl::StrCat("class_loss ", Quoted(*loss), " is not recover, pause or release"));
    }
    return ClassLoss::kRecover;
  }

  void ReadLibvirt(const YAML::Node& node, Config& config) {
    if (!node.IsMap()) return Error(node, "libvirt must be a map; write {uri: qemu:///system}");
    CheckKeys(node, {"uri"});
    YAML::Node uri = node["uri"];
    if (!uri) return;
    if (uri.IsSequence() && uri.size() > 1) {
      return Error(uri[1], "several URIs are not there yet; leave one");
    }
    if (uri.IsSequence() && uri.size() == 1) uri.reset(uri[0]);
    const std::optional<std::string> text = Text(uri, "libvirt.uri", "qemu:///system");
    if (!text) return;
    config.libvirt_uri = *text;
    const size_t scheme = text->find("://");
    if (scheme == std::string::npos || scheme == 0) {
      Error(uri, absl::StrCat("libvirt.uri ", Quoted(*text),
                              " is not a URI; write for example qemu:///system"));
    }
  }

  void ReadEnclaves(const YAML::Node& node, Config& config) {
    if (!node.IsSequence()) {
      return Error(node, "enclaves must be a list; begin each with \"- name:\"");
    }
    if (node.size() > kMaxEnclaves) {
      return Error(node, absl::StrCat(node.size(), " enclaves; there may be ", kMaxEnclaves));
    }
    if (node.size() == 0 && config.mode == Mode::kEnforce) {
      Error(node, "there is nothing to enforce; add an enclave or write mode: observe");
    }
    for (const YAML::Node& entry : node) {
      EnclaveConfig enclave = ReadEnclave(entry);
      for (const EnclaveConfig& other : config.enclaves) CheckAgainst(entry, enclave, other);
      config.enclaves.push_back(std::move(enclave));
    }
  }

  // An enclave in a message: by name if it has a good one.
  static std::string Label(const EnclaveConfig& enclave) {
    return enclave.name.empty() ? absl::StrCat("of line ", enclave.line) : enclave.name;
  }

  void CheckAgainst(const YAML::Node& where, const EnclaveConfig& enclave,
                    const EnclaveConfig& other) {
    if (!enclave.name.empty() && enclave.name == other.name) {
      Error(where, absl::StrCat("there are two enclaves named ", enclave.name,
                                "; the other is in line ", other.line));
    }
    if (enclave.libvirt_vms && other.libvirt_vms) {
      Error(where, absl::StrCat("enclaves ", Label(other), " and ", Label(enclave),
                                " both hold libvirt's VMs; leave \"vms: libvirt\" in one"));
    }
    if (!enclave.cpus && !other.cpus) {
      Error(where, absl::StrCat("enclaves ", Label(other), " and ", Label(enclave),
                                " both have \"cpus: auto\"; give one a cpulist"));
    }
    if (enclave.cpus && other.cpus && enclave.cpus->Intersects(*other.cpus)) {
      const CpuSet both = *enclave.cpus & *other.cpus;
      Error(where, absl::StrCat("CPUs ", both.Format(), " are in enclave ", Label(other),
                                " and in enclave ", Label(enclave), "; take them out of one"));
    }
  }

  EnclaveConfig ReadEnclave(const YAML::Node& node) {
    EnclaveConfig enclave;
    enclave.line = node.Mark().line + 1;
    if (!node.IsMap()) {
      enclave.cpus.emplace();
      Error(node, "an enclave must be a map that begins with \"name:\"");
      return enclave;
    }
    CheckKeys(node, {"name", "cpus", "policy", "vms", "cgroup", "isolate", "strict",
                     "without_agent", "options"});
    if (!node["name"]) Error(node, "this enclave has no name; write for example \"name: vms\"");
    if (const YAML::Node name = node["name"]) enclave.name = ReadName(name);
    if (const YAML::Node cpus = node["cpus"]) ReadEnclaveCpus(cpus, enclave);
    if (const YAML::Node vms = node["vms"]) enclave.libvirt_vms = ReadVms(vms);
    if (const YAML::Node cgroup = node["cgroup"]) enclave.cgroup = ReadCgroup(cgroup);
    if (enclave.libvirt_vms && !enclave.cgroup.empty()) {
      Error(node, "an enclave holds libvirt's VMs or a cgroup, not both; make two enclaves");
    }
    if (const YAML::Node isolate = node["isolate"]) enclave.isolate = ReadIsolate(isolate);
    if (const YAML::Node strict = node["strict"]) enclave.strict = ReadBool(strict, "strict");
    if (const YAML::Node without = node["without_agent"])
      enclave.without_agent = ReadWithoutAgent(without, enclave.libvirt_vms);
    if (const YAML::Node policy = node["policy"]) {
      enclave.policy = Text(policy, "policy", "secure_vm").value_or(enclave.policy);
    }
    ReadOptions(node, enclave);
    return enclave;
  }

  std::string ReadName(const YAML::Node& node) {
    const std::optional<std::string> name = Text(node, "name", "vms");
    if (!name || IsName(*name)) return name.value_or("");
    Error(node, absl::StrCat("name ", Quoted(*name), " must begin with a letter and have up to ",
                             kMaxNameLength, " small letters, digits, - and _"));
    return "";
  }

  void ReadEnclaveCpus(const YAML::Node& node, EnclaveConfig& enclave) {
    if (node.IsScalar() && node.Scalar() == "auto") return;
    // What cannot be read is no CPU, not "auto": it would collide with another's.
    enclave.cpus = ReadCpus(node, "cpus").value_or(CpuSet());
  }

  bool ReadVms(const YAML::Node& node) {
    const std::optional<std::string> vms = Text(node, "vms", "libvirt");
    if (vms && *vms != "libvirt") {
      Error(node, absl::StrCat("vms ", Quoted(*vms),
                               " is not libvirt; leave the key out if the enclave holds no VMs"));
    }
    return vms == "libvirt";
  }

  // A path below the cgroup file system; "..", which could lead out of it, is refused.
  std::string ReadCgroup(const YAML::Node& node) {
    const std::optional<std::string> cgroup = Text(node, "cgroup", "system.slice/web.service");
    if (!cgroup) return "";
    const absl::string_view path = absl::StripPrefix(*cgroup, "/");
    if (path.empty() || absl::StrContains(path, "..")) {
      Error(node, absl::StrCat("cgroup ", Quoted(*cgroup),
                               " is not a path below the cgroup file system; write for example "
                               "system.slice/web.service"));
      return "";
    }
    return std::string(path);
  }

  WithoutAgent ReadWithoutAgent(const YAML::Node& node, bool holds_vms) {
    const std::optional<std::string> text = Text(node, "without_agent", "schedule");
    if (text && *text != "schedule" && *text != "release")
      Error(node, absl::StrCat("without_agent ", Quoted(*text), " is not schedule or release"));
    if (text == "release" && holds_vms) {
      Error(node,
            "without_agent: release would let VMs share cores; leave it out, and the class keeps "
            "them apart");
    }
    return text == "release" ? WithoutAgent::kRelease : WithoutAgent::kSchedule;
  }

  Isolate ReadIsolate(const YAML::Node& node) {
    const std::optional<std::string> isolate = Text(node, "isolate", "vcpus");
    if (isolate == "emulator") return Isolate::kEmulator;
    if (isolate == "full") return Isolate::kFull;
    if (isolate && *isolate != "vcpus") {
      Error(node, absl::StrCat("isolate ", Quoted(*isolate), " is not vcpus, emulator or full"));
    }
    return Isolate::kVcpus;
  }

  void ReadOptions(const YAML::Node& node, EnclaveConfig& enclave) {
    const auto policy =
        std::find_if(policies_.begin(), policies_.end(),
                     [&](const PolicyOptions& p) { return p.name == enclave.policy; });
    if (policy == policies_.end()) {
      std::vector<std::string> names;
      for (const PolicyOptions& p : policies_) names.emplace_back(p.name);
      return Error(node["policy"] ? node["policy"] : node,
                   absl::StrCat("there is no policy ", Quoted(enclave.policy), "; ",
                                Advice(enclave.policy, names)));
    }
    enclave.options = OptionValues::Defaults(policy->options);
    const YAML::Node options = node["options"];
    if (!options || options.IsNull()) return;
    if (!options.IsMap()) return Error(options, "options must be a map, such as {tenure: 20ms}");
    std::vector<std::string> known;
    for (const OptionSpec& spec : policy->options) known.emplace_back(spec.name);
    CheckKeys(options, known);
    for (const OptionSpec& spec : policy->options) {
      if (const YAML::Node value = options[std::string(spec.name)]) SetOption(spec, value, enclave);
    }
  }

  void SetOption(const OptionSpec& spec, const YAML::Node& value, EnclaveConfig& enclave) {
    const std::optional<std::string> text = Text(value, spec.name, spec.default_value);
    if (!text) return;
    const absl::Status status = enclave.options.Set(spec.name, *text);
    if (!status.ok()) Error(value, std::string(status.message()));
  }

  const absl::Span<const PolicyOptions> policies_;
};

}  // namespace

Config ReadDocument(const YAML::Node& root, absl::Span<const PolicyOptions> policies,
                    ErrorList& errors) {
  return Reader(policies, errors).Read(root);
}

}  // namespace corral
