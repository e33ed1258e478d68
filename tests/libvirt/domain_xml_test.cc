// SPDX-License-Identifier: Apache-2.0
// What is read out of libvirt's XML, and what garbage comes to.
#include "vmm-integration/domain_xml.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "absl/strings/str_cat.h"

namespace corral {
namespace {

std::string Domain(const std::string& inside) {
  return absl::StrCat(
      "<domain type='kvm'><name>web</name><uuid>AAAAAAAA-0000-4000-8000-000000000001</uuid>",
      inside, "</domain>");
}

TEST(DomainXml, AStatusFile) {
  const absl::StatusOr<DomainXml> xml = ParseDomainXml(absl::StrCat(
      "<!-- WARNING: THIS IS AN AUTO-GENERATED FILE. -->\n<domstatus state='running' pid='4242'>"
      "<vcpus><vcpu id='0' pid='4301'/><vcpu id='2' pid='4303'/></vcpus>",
      Domain(
          "<vcpu placement='static' cpuset='0-7,^3' current='2'>4</vcpu>"
          "<cputune><shares>200</shares><period>50000</period><quota>20000</quota>"
          "<global_period>100000</global_period><global_quota>-1</global_quota>"
          "<emulator_quota>5000</emulator_quota><iothread_quota>6000</iothread_quota>"
          "<vcpupin vcpu='0' cpuset='2'/><vcpupin vcpu='1' cpuset='4-5'/>"
          "<vcpusched vcpus='2-3' scheduler='fifo' priority='1'/>"
          "<vcpusched vcpus='0' scheduler='batch'/></cputune>"
          "<numatune><memory mode='strict' nodeset='1'/></numatune>"
          "<metadata><nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'>"
          "<nova:owner><nova:user uuid='u'>a</nova:user><nova:project uuid='PROJ'>p</nova:project>"
          "</nova:owner></nova:instance>"
          "<corral:domain xmlns:corral='urn:corral:domain:1'><reservation budget=' 2ms ' "
          "period='10ms'/></corral:domain></metadata>"),
      "</domstatus>"));
  ASSERT_TRUE(xml.ok()) << xml.status();
  EXPECT_EQ(xml->name, "web");
  EXPECT_EQ(xml->uuid, "aaaaaaaa-0000-4000-8000-000000000001");
  EXPECT_EQ(xml->pid, 4242);
  EXPECT_EQ(xml->threads, (std::map<int, pid_t>{{0, 4301}, {2, 4303}}));
  EXPECT_EQ(xml->vcpus, 4);
  EXPECT_EQ(xml->cpuset->Format(), "0-2,4-7");
  EXPECT_EQ(xml->shares, 200);
  EXPECT_EQ(xml->vcpu.period, 50000);
  EXPECT_EQ(xml->vcpu.quota, 20000);
  EXPECT_EQ(xml->global.quota, -1);
  EXPECT_EQ(xml->emulator.quota, 5000);
  EXPECT_EQ(xml->iothread.quota, 6000);
  EXPECT_EQ(xml->pins.at(0).Format(), "2");
  EXPECT_EQ(xml->pins.at(1).Format(), "4-5");
  EXPECT_EQ(xml->real_time, (std::vector<int>{2, 3}));
  EXPECT_EQ(xml->memory_nodes, std::vector<int>{1});
  EXPECT_EQ(xml->nova_project, "proj");
  ASSERT_EQ(xml->metadata.size(), 1u);
  ASSERT_EQ(xml->metadata[0].children.size(), 1u);
  EXPECT_EQ(xml->metadata[0].children[0].attributes.at("budget"), "2ms");
  EXPECT_FALSE(xml->metadata[0].children[0].foreign);
}

TEST(DomainXml, ADefinitionThatSaysNothing) {
  const absl::StatusOr<DomainXml> xml = ParseDomainXml(Domain(""));
  ASSERT_TRUE(xml.ok()) << xml.status();
  EXPECT_EQ(xml->vcpus, 1);
  EXPECT_FALSE(xml->shares.has_value());
  EXPECT_FALSE(xml->cpuset.has_value());
  EXPECT_TRUE(xml->metadata.empty());
}

TEST(DomainXml, WhatIsNoNumberIsNotSaid) {
  const absl::StatusOr<DomainXml> xml = ParseDomainXml(
      Domain("<cputune><shares>many</shares><quota>99999999999999999999</quota>"
             "<vcpupin vcpu='x' cpuset='1'/><vcpupin vcpu='0' cpuset='1-'/></cputune>"));
  ASSERT_TRUE(xml.ok()) << xml.status();
  EXPECT_FALSE(xml->shares.has_value());
  EXPECT_FALSE(xml->vcpu.quota.has_value());
  EXPECT_TRUE(xml->pins.empty());
}

TEST(DomainXml, WhatIsNoDomainIsRefused) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "no XML"},
      {"no xml at all", "no XML"},
      {Domain("").substr(0, 60), "no XML: line 1"},
      {"<network/>", "but <network>"},
      {"<domstatus pid='1'/>", "but <domstatus>"},
      {"<domain><name>web</name></domain>", "no name or no UUID"},
      {"<!DOCTYPE d [<!ENTITY a 'b'>]>" + Domain("&a;"), "document type"},
      {std::string(17 << 20, ' '), "bytes"},
  };
  for (const auto& [text, part] : cases) {
    const absl::Status status = ParseDomainXml(text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text.substr(0, 80);
    EXPECT_NE(std::string(status.message()).find(part), std::string::npos)
        << status << " for " << text.substr(0, 80);
  }
}

// A file that is cut off anywhere, or has a byte changed, is read or refused; nothing else happens.
RC_GTEST_PROP(DomainXml, SurvivesDamage, ()) {
  std::string text = Domain(
      "<cputune><shares>2</shares><vcpupin vcpu='0' cpuset='1,^0'/></cputune><metadata>"
      "<c:domain xmlns:c='urn:corral:domain:1'><c:trust-domain name='a'/></c:domain></metadata>");
  if (*rc::gen::arbitrary<bool>().as("cut")) {
    text.resize(*rc::gen::inRange<size_t>(0, text.size()).as("length"));
  } else {
    text[*rc::gen::inRange<size_t>(0, text.size()).as("place")] = *rc::gen::arbitrary<char>();
  }
  const absl::StatusOr<DomainXml> xml = ParseDomainXml(text);
  RC_ASSERT(xml.ok() || absl::IsInvalidArgument(xml.status()));
}

TEST(LibvirtCpus, Lists) {
  EXPECT_EQ(ParseLibvirtCpus("0-7,^3,^5")->Format(), "0-2,4,6-7");
  EXPECT_EQ(ParseLibvirtCpus(" 1 , 2 ")->Format(), "1-2");
  EXPECT_FALSE(ParseLibvirtCpus("1,^x").ok());
  EXPECT_FALSE(ParseLibvirtCpus("5000").ok());
}

}  // namespace
}  // namespace corral
