// SPDX-License-Identifier: Apache-2.0
// corral.yaml and its drop-ins: which are read, in which order, and what wins.
#include "config/drop_ins.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/config/test_policies.h"

namespace corral {
namespace {

constexpr char kMain[] = R"(version: 1
mode: observe
libvirt: {uri: qemu:///system}
trust_domains:
  rules:
    - {name: web, vms: [web-*, www]}
    - {name: db, vms: db-*}
enclaves:
  - name: vms
    cpus: 2-7
    vms: libvirt
    options: {tenure: 20ms, slots: 2}
  - {name: batch, cpus: 8-9}
)";

absl::StatusOr<Config> Merged(const std::string& drop_in, const std::string& later = "") {
  std::vector<ConfigText> texts = {{"m", kMain}, {"d", "version: 1\n" + drop_in}};
  if (!later.empty()) texts.push_back({"e", "version: 1\n" + later});
  return ParseConfig(texts, kTestPolicies);
}

std::string Errors(const std::string& drop_in, const std::string& later = "") {
  return std::string(Merged(drop_in, later).status().message());
}

TEST(DropIns, WhatComesLaterWins) {
  EXPECT_EQ(Merged("mode: enforce").value().mode, Mode::kEnforce);
  EXPECT_EQ(Merged("mode: enforce", "mode: observe").value().mode, Mode::kObserve);
  EXPECT_EQ(Merged("class_loss: pause", "mode: enforce").value().class_loss, ClassLoss::kPause);
}

TEST(DropIns, MapsAreMergedKeyByKeyAndEnclavesByName) {
  const Config config = Merged(R"(enclaves:
  - {name: vms, isolate: full, options: {slots: 8}}
  - {name: extra, cpus: 10-11}
)")
                            .value();
  ASSERT_EQ(config.enclaves.size(), 3u);
  const EnclaveConfig& vms = config.enclaves[0];
  EXPECT_EQ(vms.name, "vms");
  EXPECT_EQ(vms.cpus->Format(), "2-7");
  EXPECT_EQ(vms.vms, Vms::kLibvirt);
  EXPECT_EQ(vms.isolate, Isolate::kFull);
  EXPECT_EQ(vms.options.GetDuration("tenure"), std::chrono::milliseconds(20));
  EXPECT_EQ(vms.options.GetInt("slots"), 8);
  EXPECT_EQ(config.enclaves[1].name, "batch");
  EXPECT_EQ(config.enclaves[2].name, "extra");
}

TEST(DropIns, ListsWithoutNamesAreReplaced) {
  const Config config = Merged(R"(libvirt: {uri: ["qemu:///session"]}
trust_domains:
  nova_projects: true
  rules: [{name: new, vms: n}, {name: web, vms: web-1}]
)")
                            .value();
  EXPECT_EQ(config.libvirt_uris, std::vector<std::string>{"qemu:///session"});
  EXPECT_TRUE(config.nova_projects);
  EXPECT_EQ(config.trust_rules,
            (std::vector<TrustRule>{{"web", {"web-1"}}, {"db", {"db-*"}}, {"new", {"n"}}}));
}

// Options mean something to one policy only.
TEST(DropIns, AnotherPolicyDropsTheOptionsOfTheOneBefore) {
  const Config config = Merged("enclaves: [{name: vms, policy: fifo}]").value();
  EXPECT_EQ(config.enclaves[0].policy, "fifo");
  EXPECT_EQ(config.enclaves[0].options, OptionValues::Defaults({}));
  const Config same = Merged("enclaves: [{name: vms, policy: secure_vm}]").value();
  EXPECT_EQ(same.enclaves[0].options.GetInt("slots"), 2);
  const Config back = Merged("enclaves: [{name: vms, policy: fifo}]",
                             "enclaves: [{name: vms, policy: secure_vm, options: {slots: 3}}]")
                          .value();
  EXPECT_EQ(back.enclaves[0].options.GetInt("slots"), 3);
  EXPECT_EQ(back.enclaves[0].options.GetDuration("tenure"), std::chrono::milliseconds(10));
}

TEST(DropIns, ErrorsOfAllFilesAreToldAtOnce) {
  const std::vector<ConfigText> texts = {
      {"m", "version: 1\nmode: on\n"}, {"d", "mod: enforce\n"}, {"e", "version: 1\n- a\n"}};
  EXPECT_EQ(ParseConfig(texts, kTestPolicies).status().message(),
            "m:2:7: mode \"on\" is not observe or enforce\n"
            "d:1:1: there is no key \"mod\" here; did you mean \"mode\"?\n"
            "d:1:1: version is missing; write \"version: 1\"\n"
            "e:2:1: this is not valid YAML: end of map not found");
}

// An error stands where the file is that brought it about.
TEST(DropIns, WhatContradictsIsToldWhereItIsSaid) {
  EXPECT_EQ(Errors("enclaves: [{name: batch, cpus: 7-8}]"),
            "d:2:32: CPU 7 is in enclave vms and in enclave batch; take it out of one");
  EXPECT_EQ(Errors("enclaves: [{name: batch, vms: qemu}]"),
            "d:2:31: enclaves vms and batch both hold VMs; leave \"vms\" in one");
  EXPECT_EQ(Errors("enclaves: [{name: vms, cgroup: a}]"),
            "d:2:32: an enclave holds VMs or a cgroup, not both; make two enclaves");
  EXPECT_EQ(Errors("enclaves: [{name: vms, options: {tenur: 1ms}}]"),
            "d:2:34: there is no key \"tenur\" here; did you mean \"tenure\"?");
  EXPECT_EQ(Errors("enclaves: [{name: a, cpus: 20}, {name: a, cpus: 21}]"),
            "d:2:33: there are two enclaves named a; the other is in line 2; make one of them, or "
            "give one another name");
  std::string many = "enclaves:\n";
  for (int i = 0; i < 15; ++i)
    many += "- {name: e" + std::to_string(i) + ", cpus: " + std::to_string(20 + i) + "}\n";
  EXPECT_EQ(Errors(many),
            "d:17:3: with this, enclaves has 17 entries in all files; there may be "
            "16");
}

TEST(DropIns, CpusAreLookedForWhereTheyAreSaid) {
  Config config = Merged("enclaves: [{name: batch, cpus: 8}]").value();
  EXPECT_EQ(ResolveCpus(config, {.cores = {{0, 1}, {2, 3}, {4, 5}, {6, 7}, {8, 9}}}).message(),
            "d:2:32: enclave batch has CPU 8 but not its SMT sibling 9; add 9 or take 8 out");
}

class DropInFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/corral-drop-ins-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    Write("corral.yaml", "version: 1\nmode: observe\n");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  void Write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(Path(name)).parent_path());
    std::ofstream(Path(name)) << text;
  }

  std::string folder_;
};

TEST_F(DropInFiles, NoFolderIsNoDropIn) {
  EXPECT_EQ(LoadConfig(Path("corral.yaml"), kTestPolicies)->files.size(), 1u);
}

TEST_F(DropInFiles, AreReadInTheOrderOfTheirNames) {
  Write("corral.d/90-z.yaml", "version: 1\nclass_loss: release\n");
  Write("corral.d/10-a.yaml", "version: 1\nclass_loss: pause\nhousekeeping: 3\n");
  Write("corral.d/.hidden.yaml", "[");
  Write("corral.d/notes.yml", "[");
  Write("corral.d/90-z.yaml.rpmnew", "[");
  const Config config = LoadConfig(Path("corral.yaml"), kTestPolicies).value();
  EXPECT_EQ(config.files, (std::vector<std::string>{Path("corral.yaml"), Path("corral.d/10-a.yaml"),
                                                    Path("corral.d/90-z.yaml")}));
  EXPECT_EQ(config.class_loss, ClassLoss::kRelease);
  EXPECT_EQ(config.housekeeping, "3");
  EXPECT_EQ(
      FindDropIns(Path("corral.yaml"))->ignored,
      (std::vector<std::string>{Path("corral.d/90-z.yaml.rpmnew"), Path("corral.d/notes.yml")}));
}

TEST_F(DropInFiles, BelongToTheFileThatTheyAreNamedAfter) {
  EXPECT_EQ(DropInFolder("/etc/corral/corral.yaml"), "/etc/corral/corral.d");
  EXPECT_EQ(DropInFolder("/tmp/test"), "/tmp/test.d");
  Write("other.yaml", "version: 1\n");
  Write("corral.d/a.yaml", "[");
  EXPECT_TRUE(LoadConfig(Path("other.yaml"), kTestPolicies).ok());
}

TEST_F(DropInFiles, ThatCannotBeReadAreErrors) {
  std::filesystem::create_directories(Path("corral.d/a.yaml"));
  const absl::Status folder = LoadConfig(Path("corral.yaml"), kTestPolicies).status();
  EXPECT_EQ(folder.message(), "cannot read " + Path("corral.d/a.yaml") +
                                  ": it is not a regular file; make it readable, or take it away");
  std::filesystem::remove_all(Path("corral.d"));
  Write("corral.d", "a file");
  const absl::Status file = LoadConfig(Path("corral.yaml"), kTestPolicies).status();
  EXPECT_EQ(file.message(),
            "cannot read " + Path("corral.d") +
                ": Not a directory; it must be a folder of drop-ins, or not be there");
  EXPECT_TRUE(absl::IsNotFound(file));
}

TEST_F(DropInFiles, AreNotTooMany) {
  for (size_t i = 0; i <= kMaxDropIns; ++i)
    Write("corral.d/" + std::to_string(i) + ".yaml", "version: 1\n");
  EXPECT_EQ(LoadConfig(Path("corral.yaml"), kTestPolicies).status().message(),
            Path("corral.d") + ": 65 drop-ins; there may be 64");
}

}  // namespace
}  // namespace corral
