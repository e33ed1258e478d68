// SPDX-License-Identifier: Apache-2.0
// What libvirt's XML and Corral's metadata mean, and each kind of mistake in the latter.
#include "vmm-integration/vm_settings.h"

#include <gtest/gtest.h>
#include <libxml/parser.h>
#include <libxml/relaxng.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace corral {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr char kUuid[] = "aaaaaaaa-0000-4000-8000-000000000001";

DomainXml Domain(const std::string& inside) {
  const absl::StatusOr<DomainXml> xml = ParseDomainXml(
      absl::StrCat("<domain><name>web</name><uuid>", kUuid, "</uuid>", inside, "</domain>"));
  EXPECT_TRUE(xml.ok()) << xml.status();
  return *xml;
}
VmSettings Settings(const std::string& inside, const TrustRules& rules = {}) {
  return SettingsOf(Domain(inside), rules);
}
std::string Element(const std::string& inside) {
  return absl::StrCat("<corral:domain xmlns:corral='urn:corral:domain:1'>", inside,
                      "</corral:domain>");
}
std::string Metadata(const std::string& inside) {
  return absl::StrCat("<metadata>", Element(inside), "</metadata>");
}

void Ignore(void*, const char*, ...) {}

// A RELAX NG schema in a file.
class Schema {
 public:
  explicit Schema(const char* file) {
    xmlRelaxNGParserCtxt* const parser = xmlRelaxNGNewParserCtxt(file);
    schema_ = xmlRelaxNGParse(parser);
    xmlRelaxNGFreeParserCtxt(parser);
    EXPECT_NE(schema_, nullptr) << file;
  }
  ~Schema() { xmlRelaxNGFree(schema_); }
  Schema(const Schema&) = delete;
  Schema& operator=(const Schema&) = delete;

  bool Accepts(const std::string& xml) const {
    xmlDoc* const doc =
        xmlReadMemory(xml.data(), static_cast<int>(xml.size()), nullptr, nullptr, XML_PARSE_NONET);
    xmlRelaxNGValidCtxt* const context = xmlRelaxNGNewValidCtxt(schema_);
    xmlRelaxNGSetValidErrors(context, &Ignore, &Ignore, nullptr);
    const bool valid = xmlRelaxNGValidateDoc(context, doc) == 0;
    xmlRelaxNGFreeValidCtxt(context);
    xmlFreeDoc(doc);
    return valid;
  }

 private:
  xmlRelaxNG* schema_ = nullptr;
};

TEST(VmSettings, NothingSaid) {
  const VmSettings settings = Settings("");
  EXPECT_EQ(settings, DefaultSettings(kUuid, "web"));
  EXPECT_EQ(settings.weight.value, 100u);
  EXPECT_EQ(settings.trust.value.uuid, kUuid);
  EXPECT_EQ(settings.ReservationOf(0), TimeShare{});
}

TEST(VmSettings, Cputune) {
  const VmSettings settings = Settings(
      "<cputune><shares>300</shares><period>50000</period><quota>20000</quota>"
      "<emulator_quota>5000</emulator_quota><iothread_period>20000</iothread_period>"
      "<iothread_quota>6000</iothread_quota></cputune>"
      "<numatune><memory nodeset='1'/></numatune>");
  EXPECT_EQ(settings.weight, (Setting<uint32_t>{300, Origin::kXml}));
  EXPECT_EQ(settings.cap.value, (TimeShare{milliseconds(20), milliseconds(50)}));
  EXPECT_EQ(settings.emulator_cap.value, (TimeShare{milliseconds(5), milliseconds(100)}));
  EXPECT_EQ(settings.iothread_cap.value, (TimeShare{milliseconds(6), milliseconds(20)}));
  EXPECT_EQ(settings.node, (Setting<int>{1, Origin::kXml}));
}

TEST(VmSettings, WhatIsNoCap) {
  for (const char* quota : {"-1", "0", "100000", "17592186044415"}) {
    const VmSettings settings =
        Settings(absl::StrCat("<cputune><quota>", quota, "</quota></cputune>"));
    EXPECT_EQ(settings.cap, Setting<TimeShare>{}) << quota;
  }
  EXPECT_EQ(Settings("<numatune><memory nodeset='0-1'/></numatune>").node.value, -1) << "two nodes";
}

TEST(VmSettings, AGlobalQuotaIsTheWholeVms) {
  const std::string four = "<vcpu>4</vcpu>";
  EXPECT_EQ(Settings(four + "<cputune><global_quota>150000</global_quota></cputune>").vm_cap,
            (Setting<TimeShare>{{milliseconds(150), milliseconds(100)}, Origin::kXml}));
  EXPECT_EQ(Settings(four + "<cputune><global_quota>400000</global_quota></cputune>").vm_cap,
            Setting<TimeShare>{})
      << "more than it could have";
}

TEST(VmSettings, OfACgroup) {
  EXPECT_EQ(SettingsOf(CgroupLimits{}, kUuid, "web"), DefaultSettings(kUuid, "web"));
  const VmSettings settings = SettingsOf(
      CgroupLimits{.weight = 400, .quota = milliseconds(150), .period = milliseconds(100)}, kUuid,
      "web");
  EXPECT_EQ(settings.weight, (Setting<uint32_t>{400, Origin::kCgroup}));
  EXPECT_EQ(settings.vm_cap,
            (Setting<TimeShare>{{milliseconds(150), milliseconds(100)}, Origin::kCgroup}));
}

TEST(VmSettings, WhoSaidIt) {
  const DomainXml defined = Domain("<cputune><shares>200</shares></cputune>");
  EXPECT_EQ(SettingsOf(defined, {}, &defined).weight.origin, Origin::kXml);
  EXPECT_EQ(SettingsOf(Domain("<cputune><shares>400</shares></cputune>"), {}, &defined).weight,
            (Setting<uint32_t>{400, Origin::kSchedinfo}));
  EXPECT_EQ(SettingsOf(Domain(""), {}, &defined).weight,
            (Setting<uint32_t>{100, Origin::kSchedinfo}));
}

TEST(VmSettings, Reservations) {
  const VmSettings settings =
      Settings(Metadata("<reservation budget='2ms' period='10ms'/>"
                        "<corral:reservation vcpus='2-3,^3' budget='500us' period='5ms'/>"));
  EXPECT_TRUE(settings.metadata_ok) << absl::StrJoin(settings.problems, "\n");
  EXPECT_EQ(settings.ReservationOf(0), (TimeShare{milliseconds(2), milliseconds(10)}));
  EXPECT_EQ(settings.ReservationOf(2), (TimeShare{microseconds(500), milliseconds(5)}));
  EXPECT_EQ(settings.ReservationOf(3), (TimeShare{milliseconds(2), milliseconds(10)}));
}

// A rule, then metadata, then Nova, then the VM alone.
TEST(VmSettings, TrustDomains) {
  const std::string nova =
      "<nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.0'><nova:owner>"
      "<nova:project uuid='p1'/></nova:owner></nova:instance>";
  const std::string said =
      "<corral:domain xmlns:corral='urn:corral:domain:1'><trust-domain name='tenant'/>"
      "</corral:domain>";
  const TrustRules rules = {
      .by_name = [](const std::string& vm) { return vm == "web" ? "ci" : ""; },
      .nova_projects = true};
  const TrustRules nova_only = {.nova_projects = true};
  const auto trust = [](const std::string& inside, const TrustRules& by) {
    return Settings("<metadata>" + inside + "</metadata>", by).trust;
  };
  EXPECT_EQ(trust(nova + said, rules).value.name, "ci");
  EXPECT_EQ(trust(nova + said, rules).origin, Origin::kRule);
  EXPECT_EQ(trust(nova + said, nova_only).value.name, "tenant");
  EXPECT_EQ(trust(nova + said, nova_only).origin, Origin::kMetadata);
  EXPECT_EQ(trust(nova, nova_only).value.name, "nova-p1");
  EXPECT_EQ(trust(nova, nova_only).origin, Origin::kNova);
  EXPECT_EQ(trust(nova, {}).value.uuid, kUuid) << "only where corral.yaml asks for it";
  EXPECT_EQ(trust(said, {}).value.uuid, UuidOfTrustDomain("tenant"));
  EXPECT_NE(UuidOfTrustDomain("tenant"), UuidOfTrustDomain("tenant2"));
  EXPECT_EQ(UuidOfTrustDomain("tenant")[14], '5') << "by its version nobody's VM";
}

TEST(VmSettings, EachMistakeIsToldAndVoidsTheMetadata) {
  const std::pair<const char*, const char*> cases[] = {
      {"<reservation budget='20ms' period='10ms'/>", "a budget fits into its period"},
      {"<reservation budget='2ms'/>", "there is no period"},
      {"<reservation period='10ms'/>", "there is no budget"},
      {"<reservation budget='2' period='10ms'/>", "budget \"2\" is not a time"},
      {"<reservation budget='-2ms' period='10ms'/>", "budget \"-2ms\" is not a time"},
      {"<reservation budget='0ms' period='10ms'/>", "is not a time"},
      {"<reservation budget='inf' period='10ms'/>", "is not a time"},
      {"<reservation budget='2ms' period='99999999999999h'/>", "is not a time"},
      {"<reservation budget='2ms' period='5s'/>", "not between 1ms and 1s"},
      {"<reservation budget='2us' period='10us'/>", "not between 1ms and 1s"},
      {"<reservation budget='2ms' period='10ms' prio='1'/>", "no attribute prio is known"},
      {"<reservation budget='2ms' period='10ms' vcpus='a-b'/>", "vcpus \"a-b\" is no list"},
      {"<reservation budget='2ms' period='10ms' vcpus=''/>", "is no list"},
      {"<reservation budget='2ms' period='10ms'/><reservation budget='2ms' period='10ms'/>",
       "is there twice without vcpus"},
      {"<reservation budget='2ms' period='10ms' vcpus='0-1'/>"
       "<reservation budget='2ms' period='10ms' vcpus='1'/>",
       "vCPU 1 is in two reservations"},
      {"<trust-domain/>", "a name has 1 to 63 bytes"},
      {"<trust-domain name=''/>", "a name has 1 to 63 bytes"},
      {"<trust-domain name='a&#10;b'/>", "a name has 1 to 63 bytes that can be printed"},
      // Nobody writes a line of his own into the log.
      {"<reservation budget='1ms' period='2ms' vcpus='a&#10;lie'/>", "vcpus \"a; lie\" is no list"},
      {"<trust-domain name='a'/><trust-domain name='b'/>", "is there twice"},
      {"<reserve budget='2ms' period='10ms'/>", "<reserve>: is not known"},
      {"<x:reservation xmlns:x='urn:x' budget='2ms' period='10ms'/>", "is of another namespace"},
  };
  for (const auto& [metadata, part] : cases) {
    const VmSettings settings = Settings(
        Metadata(absl::StrCat("<reservation vcpus='7' budget='1ms' period='10ms'/>", metadata)));
    EXPECT_FALSE(settings.metadata_ok) << metadata;
    EXPECT_EQ(settings.ReservationOf(7), TimeShare{}) << "all of it is void: " << metadata;
    EXPECT_EQ(settings.trust.value.uuid, kUuid) << metadata;
    const std::string told = absl::StrJoin(settings.problems, "\n");
    EXPECT_NE(told.find(part), std::string::npos) << told << " for " << metadata;
    EXPECT_NE(told.find("VM web: metadata <"), std::string::npos) << told;
    EXPECT_NE(told.find("what was in force stays"), std::string::npos) << told;
  }
}

// The published schema and the reader agree on what is well-formed. What is more than form
// (a budget that fits into its period) is the reader's alone.
TEST(VmSettings, TheSchemaSaysTheSame) {
  const Schema schema(CORRAL_DOMAIN_SCHEMA);
  const char* const good[] = {
      "",
      "<reservation budget='2ms' period='10ms'/>",
      "<trust-domain name='a'/><reservation budget='1.5ms' period='10ms' vcpus='0-3,^2'/>",
      "<corral:reservation budget='500us' period='0.01s'/><corral:trust-domain name='b'/>",
  };
  for (const char* metadata : good) {
    EXPECT_TRUE(schema.Accepts(Element(metadata))) << metadata;
    EXPECT_TRUE(Settings(Metadata(metadata)).metadata_ok) << metadata;
  }
  const char* const malformed[] = {
      "<reservation budget='2ms'/>",
      "<reservation budget='2' period='10ms'/>",
      "<reservation budget='-2ms' period='10ms'/>",
      "<reservation budget='2ms' period='10ms' prio='1'/>",
      "<reservation budget='2ms' period='10ms' vcpus='a-b'/>",
      "<reservation budget='2ms' period='10ms' vcpus=''/>",
      "<trust-domain/>",
      "<trust-domain name=''/>",
      "<trust-domain name='a'/><trust-domain name='b'/>",
      "<reserve budget='2ms' period='10ms'/>",
      "<x:reservation xmlns:x='urn:x' budget='2ms' period='10ms'/>",
  };
  for (const char* metadata : malformed) {
    EXPECT_FALSE(schema.Accepts(Element(metadata))) << metadata;
    EXPECT_FALSE(Settings(Metadata(metadata)).metadata_ok) << metadata;
  }
}

TEST(VmSettings, ARootThatIsNotOurs) {
  const VmSettings settings = Settings(
      "<metadata><c:settings xmlns:c='urn:corral:domain:1'><reservation budget='1ms' "
      "period='10ms'/></c:settings></metadata>");
  EXPECT_FALSE(settings.metadata_ok);
  EXPECT_NE(settings.problems[0].find("metadata <settings>"), std::string::npos)
      << settings.problems[0];
}

}  // namespace
}  // namespace corral
