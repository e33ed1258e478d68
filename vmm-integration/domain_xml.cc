// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/domain_xml.h"

#include <libxml/parser.h>
#include <libxml/tree.h>

#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace corral {
namespace {

constexpr size_t kMaxSize = 16 << 20;
constexpr char kNovaUri[] = "http://openstack.org/xmlns/libvirt/nova/";  // and a version

absl::string_view View(const xmlChar* text) {
  return text == nullptr ? absl::string_view() : reinterpret_cast<const char*>(text);
}

std::string Take(xmlChar* text) {
  std::string copy(View(text));
  xmlFree(text);
  return copy;
}

// What an attribute or an element says, without blanks around it.
std::string AttributeOf(const xmlNode* node, const char* name) {
  return std::string(absl::StripAsciiWhitespace(
      Take(xmlGetNoNsProp(node, reinterpret_cast<const xmlChar*>(name)))));
}
std::string TextOf(const xmlNode* node) {
  return std::string(absl::StripAsciiWhitespace(Take(xmlNodeGetContent(node))));
}

using EachElement = absl::FunctionRef<void(const xmlNode*, absl::string_view name)>;
void ForEachElement(const xmlNode* parent, EachElement each) {
  if (parent == nullptr) return;
  for (const xmlNode* node = parent->children; node != nullptr; node = node->next) {
    if (node->type == XML_ELEMENT_NODE) each(node, View(node->name));
  }
}

// The first element of that name.
const xmlNode* Child(const xmlNode* parent, absl::string_view name) {
  const xmlNode* found = nullptr;
  ForEachElement(parent, [&](const xmlNode* node, absl::string_view its_name) {
    if (found == nullptr && its_name == name) found = node;
  });
  return found;
}

absl::string_view UriOf(const xmlNode* node) {
  return node->ns == nullptr ? absl::string_view() : View(node->ns->href);
}

std::optional<int64_t> Number(absl::string_view text) {
  int64_t number = 0;
  if (!absl::SimpleAtoi(text, &number)) return std::nullopt;
  return number;
}

std::vector<int> Numbers(absl::string_view list) {
  std::vector<int> numbers;
  const absl::StatusOr<CpuSet> set = ParseLibvirtCpus(list);
  if (set.ok()) set->ForEach([&](CpuId number) { numbers.push_back(number.value()); });
  return numbers;
}

// Depth and width are bounded by libxml2's own limits, but nobody needs depth.
MetadataElement ReadMetadata(const xmlNode* node, int depth) {
  MetadataElement element;
  element.name = std::string(View(node->name));
  const absl::string_view uri = UriOf(node);
  element.foreign = !uri.empty() && uri != kMetadataUri;
  for (const xmlAttr* at = node->properties; at != nullptr; at = at->next) {
    const std::string name(View(at->name));
    element.attributes[name] = AttributeOf(node, name.c_str());
  }
  if (depth == 0) return element;
  ForEachElement(node, [&](const xmlNode* child, absl::string_view) {
    element.children.push_back(ReadMetadata(child, depth - 1));
  });
  return element;
}

// <nova:owner><nova:project uuid="..."/></nova:owner>
std::string NovaProject(const xmlNode* instance) {
  const xmlNode* const project = Child(Child(instance, "owner"), "project");
  return project == nullptr ? "" : absl::AsciiStrToLower(AttributeOf(project, "uuid"));
}

void ReadTuning(const xmlNode* tune, DomainXml& xml) {
  struct Cap {
    absl::string_view period, quota;
    QuotaXml& value;
  };
  const Cap caps[] = {{"period", "quota", xml.vcpu},
                      {"global_period", "global_quota", xml.global},
                      {"emulator_period", "emulator_quota", xml.emulator},
                      {"iothread_period", "iothread_quota", xml.iothread}};
  ForEachElement(tune, [&](const xmlNode* node, absl::string_view name) {
    if (name == "shares") xml.shares = Number(TextOf(node));
    for (const Cap& cap : caps) {
      if (name == cap.period) cap.value.period = Number(TextOf(node));
      if (name == cap.quota) cap.value.quota = Number(TextOf(node));
    }
    if (name == "vcpupin") {
      const std::optional<int64_t> vcpu = Number(AttributeOf(node, "vcpu"));
      const absl::StatusOr<CpuSet> cpus = ParseLibvirtCpus(AttributeOf(node, "cpuset"));
      if (vcpu && cpus.ok()) xml.pins[static_cast<int>(*vcpu)] = *cpus;
    }
    if (name == "vcpusched") {
      const std::string scheduler = AttributeOf(node, "scheduler");
      if (scheduler != "fifo" && scheduler != "rr") return;
      for (const int vcpu : Numbers(AttributeOf(node, "vcpus"))) xml.real_time.push_back(vcpu);
    }
  });
}

void ReadDomain(const xmlNode* domain, DomainXml& xml) {
  ForEachElement(domain, [&](const xmlNode* node, absl::string_view name) {
    if (name == "name") xml.name = TextOf(node);
    if (name == "uuid") xml.uuid = absl::AsciiStrToLower(TextOf(node));
    if (name == "cputune") ReadTuning(node, xml);
    if (name == "numatune") {
      if (const xmlNode* const memory = Child(node, "memory"))
        xml.memory_nodes = Numbers(AttributeOf(memory, "nodeset"));
    }
    if (name == "vcpu") {
      xml.vcpus = static_cast<int>(Number(TextOf(node)).value_or(1));
      const std::string cpuset = AttributeOf(node, "cpuset");
      const absl::StatusOr<CpuSet> cpus = ParseLibvirtCpus(cpuset);
      if (!cpuset.empty() && cpus.ok()) xml.cpuset = *cpus;
    }
    if (name == "metadata") {
      ForEachElement(node, [&](const xmlNode* child, absl::string_view child_name) {
        const absl::string_view uri = UriOf(child);
        if (uri == kMetadataUri) xml.metadata.push_back(ReadMetadata(child, 3));
        if (absl::StartsWith(uri, kNovaUri) && child_name == "instance")
          xml.nova_project = NovaProject(child);
      });
    }
  });
}

void ReadStatus(const xmlNode* status, DomainXml& xml) {
  xml.pid = static_cast<pid_t>(Number(AttributeOf(status, "pid")).value_or(0));
  ForEachElement(Child(status, "vcpus"), [&](const xmlNode* node, absl::string_view name) {
    const std::optional<int64_t> id = Number(AttributeOf(node, "id"));
    const std::optional<int64_t> tid = Number(AttributeOf(node, "pid"));
    if (name == "vcpu" && id && tid) xml.threads[static_cast<int>(*id)] = static_cast<pid_t>(*tid);
  });
}

struct FreeDoc {
  void operator()(xmlDoc* doc) const { xmlFreeDoc(doc); }
};
struct FreeContext {
  void operator()(xmlParserCtxt* context) const { xmlFreeParserCtxt(context); }
};

absl::Status NotXml(const xmlParserCtxt* context) {
  const xmlError* const error = xmlCtxtGetLastError(const_cast<xmlParserCtxt*>(context));
  if (error == nullptr || error->message == nullptr)
    return absl::InvalidArgumentError("this is no XML");
  return absl::InvalidArgumentError(
      absl::StrCat("this is no XML: line ", error->line, ": ",
                   absl::StripAsciiWhitespace(absl::string_view(error->message))));
}

}  // namespace

absl::StatusOr<CpuSet> ParseLibvirtCpus(absl::string_view text) {
  CpuSet cpus;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    part = absl::StripAsciiWhitespace(part);
    const bool without = absl::ConsumePrefix(&part, "^");
    const absl::StatusOr<CpuSet> some = CpuSet::Parse(part);
    if (!some.ok()) return some;
    cpus = without ? cpus - *some : cpus | *some;
  }
  return cpus;
}

absl::StatusOr<DomainXml> ParseDomainXml(absl::string_view text) {
  if (text.size() > kMaxSize)
    return absl::InvalidArgumentError(absl::StrCat("this is no domain: ", text.size(), " bytes"));
  const std::unique_ptr<xmlParserCtxt, FreeContext> context(xmlNewParserCtxt());
  if (context == nullptr) return absl::ResourceExhaustedError("no memory to parse XML in");
  const std::unique_ptr<xmlDoc, FreeDoc> doc(xmlCtxtReadMemory(
      context.get(), text.data(), static_cast<int>(text.size()), nullptr, nullptr,
      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA));
  if (doc == nullptr) return NotXml(context.get());
  // libvirt's have none. Entities could make a small document a very large one.
  if (doc->intSubset != nullptr)
    return absl::InvalidArgumentError("this is no domain: it has a document type declaration");
  const xmlNode* const root = xmlDocGetRootElement(doc.get());
  DomainXml xml;
  const xmlNode* domain = root;
  if (View(root->name) == "domstatus") {
    ReadStatus(root, xml);
    domain = Child(root, "domain");
  }
  if (domain == nullptr || View(domain->name) != "domain") {
    return absl::InvalidArgumentError(
        absl::StrCat("this is no domain, but <", View(root->name), ">"));
  }
  ReadDomain(domain, xml);
  if (xml.name.empty() || xml.uuid.empty())
    return absl::InvalidArgumentError("this domain has no name or no UUID");
  return xml;
}

}  // namespace corral
