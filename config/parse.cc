// SPDX-License-Identifier: Apache-2.0
#include "config/parse.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "config/nearest.h"
#include "config/node_reader.h"
#include "config/trust_reader.h"

namespace corral {
namespace {

constexpr size_t kMaxEnclaves = 16;    // GHOST_MAX_ENCLAVES
constexpr size_t kMaxNameLength = 15;  // GHOST_NAME_LEN, with its end
constexpr size_t kMaxLibvirtUris = 8;  // each is a connection with a thread

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
    CheckKeys(root, {"version", "mode", "class_loss", "libvirt", "housekeeping", "trust_domains",
                     "enclaves"});
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
    if (const YAML::Node node = root["trust_domains"]) ReadTrustDomains(node, errors(), config);
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
    const YAML::Node uri = node["uri"];
    if (!uri) return;
    std::vector<std::string> uris;
    if (!uri.IsSequence()) {
      ReadUri(uri, uris);
    } else if (uri.size() == 0 || uri.size() > kMaxLibvirtUris) {
      Error(uri, absl::StrCat("libvirt.uri has ", uri.size(), " URIs; there may be 1 to ",
                              kMaxLibvirtUris));
    } else {
      for (const YAML::Node& entry : uri) ReadUri(entry, uris);
    }
    config.libvirt_uris = std::move(uris);
  }

  void ReadUri(const YAML::Node& node, std::vector<std::string>& uris) {
    const std::optional<std::string> uri = Text(node, "libvirt.uri", "qemu:///system");
    if (!uri) return;
    const size_t scheme = uri->find("://");
    if (scheme == std::string::npos || scheme == 0) {
      Error(node, absl::StrCat("libvirt.uri ", Quoted(*uri),
                               " is not a URI; write for example qemu:///system"));
    }
    if (std::find(uris.begin(), uris.end(), *uri) != uris.end())
      Error(node, absl::StrCat("libvirt.uri ", Quoted(*uri), " is given twice; take one out"));
    uris.push_back(*uri);
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
    if (enclave.vms != Vms::kNone && other.vms != Vms::kNone) {
      Error(where, absl::StrCat("enclaves ", Label(other), " and ", Label(enclave),
                                " both hold VMs; leave \"vms\" in one"));
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
    CheckKeys(node, {"name", "cpus", "policy", "vms", "admission", "cgroup", "isolate", "strict",
                     "without_agent", "options"});
    if (!node["name"]) Error(node, "this enclave has no name; write for example \"name: vms\"");
    if (const YAML::Node name = node["name"]) enclave.name = ReadName(name, "vms", kMaxNameLength);
    if (const YAML::Node cpus = node["cpus"]) ReadEnclaveCpus(cpus, enclave);
    if (const YAML::Node vms = node["vms"]) enclave.vms = ReadVms(vms);
    if (const YAML::Node admission = node["admission"])
      enclave.admission = ReadAdmission(admission, enclave.vms);
    if (const YAML::Node cgroup = node["cgroup"]) enclave.cgroup = ReadCgroup(cgroup);
    if (enclave.vms != Vms::kNone && !enclave.cgroup.empty()) {
      Error(node, "an enclave holds VMs or a cgroup, not both; make two enclaves");
    }
    if (const YAML::Node isolate = node["isolate"]) enclave.isolate = ReadIsolate(isolate);
    if (const YAML::Node strict = node["strict"]) enclave.strict = ReadBool(strict, "strict");
    if (const YAML::Node without = node["without_agent"])
      enclave.without_agent = ReadWithoutAgent(without, enclave.vms != Vms::kNone);
    if (const YAML::Node policy = node["policy"]) {
      enclave.policy = Text(policy, "policy", "secure_vm").value_or(enclave.policy);
    }
    ReadOptions(node, enclave);
    return enclave;
  }

  void ReadEnclaveCpus(const YAML::Node& node, EnclaveConfig& enclave) {
    if (node.IsScalar() && node.Scalar() == "auto") return;
    // What cannot be read is no CPU, not "auto": it would collide with another's.
    enclave.cpus = ReadCpus(node, "cpus").value_or(CpuSet());
  }

  Vms ReadVms(const YAML::Node& node) {
    const std::optional<std::string> vms = Text(node, "vms", "libvirt");
    if (vms == "libvirt") return Vms::kLibvirt;
    if (vms == "qemu") return Vms::kQemu;
    if (vms) {
      Error(node, absl::StrCat("vms ", Quoted(*vms),
                               " is not libvirt or qemu; leave the key out if the enclave holds "
                               "no VMs"));
    }
    return Vms::kNone;
  }

  Admission ReadAdmission(const YAML::Node& node, Vms vms) {
    const std::optional<std::string> admission = Text(node, "admission", "open");
    if (admission && *admission != "open" && *admission != "strict")
      Error(node, absl::StrCat("admission ", Quoted(*admission), " is not open or strict"));
    if (admission != "strict") return Admission::kOpen;
    if (vms != Vms::kLibvirt) {
      Error(node,
            "admission: strict is kept by libvirt's hook; add \"vms: libvirt\" to this enclave or "
            "leave it out");
    }
    return Admission::kStrict;
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
