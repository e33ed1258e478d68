// SPDX-License-Identifier: Apache-2.0
// A thousand files with a mistake in each, as somebody makes them: every one is refused with its
// place and what is wrong, and nothing changes, in the file or beside it.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <regex>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "agent/ctl/corral_yaml.h"
#include "agent/ctl/mode_switch.h"

namespace corral::ctl {
namespace {

constexpr int kFiles = 1000;

std::string Read(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

// Makes mistakes, of which each leaves no right file.
class Mistakes {
 public:
  Mistakes(std::string good, unsigned seed) : good_(std::move(good)), random_(seed) {
    for (const absl::string_view line : absl::StrSplit(good_, '\n')) {
      if (!line.empty() && line.find_first_not_of(' ') != line.find('#')) lines_.emplace_back(line);
    }
  }

  std::string File(std::string& what) {
    switch (Below(8)) {
      case 0:
        what = "an unknown key";
        return Changed([&](std::string& line) { return Key(line, "q" + Word()); });
      case 1:
        what = "a key twice";
        return Twice();
      case 2:
        what = "a value of another kind";
        return Changed([&](std::string& line) {
          return Value(line, Pick({"[[]]", "{a: {b: c}}"}));
        });
      case 3:
        what = "a value that is none";
        return Changed([&](std::string& line) { return Value(line, Pick({"", "~", "null"})); });
      case 4:
        what = "an open bracket";
        return Changed([&](std::string& line) {
          return Value(line, Pick({"[a, b", "{a: b", "\"a"}));
        });
      case 5:
        what = "a tab";
        return Changed([&](std::string& line) {
          line.insert(0, "\t");
          return true;
        });
      case 6:
        what = "a byte that is no text";
        return Changed([&](std::string& line) {
          line.insert(Below(line.size()), 1, static_cast<char>(1 + Below(8)));
          return true;
        });
      default:
        what = "a second document";
        return absl::StrCat(good_, "---\n", Word(), ": ", Word(), "\n");
    }
  }

 private:
  size_t Below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
  std::string Pick(const std::vector<std::string>& words) { return words[Below(words.size())]; }
  std::string Word() {
    std::string word;
    for (size_t n = 1 + Below(9); n > 0; --n) word += static_cast<char>('a' + Below(26));
    return word;
  }

  static bool Key(std::string& line, const std::string& key) {
    const size_t begin = line.find_first_not_of(" -"), end = line.find(':');
    if (end == std::string::npos) return false;
    line.replace(begin, end - begin, key);
    return true;
  }

  static bool Value(std::string& line, const std::string& value) {
    const size_t end = line.find(": ");
    if (end == std::string::npos) return false;
    line = line.substr(0, end + 2) + value;
    return true;
  }

  template <typename Change>
  std::string Changed(const Change& change) {
    for (;;) {
      std::vector<std::string> lines = lines_;
      if (change(lines[Below(lines.size())])) return absl::StrJoin(lines, "\n") + "\n";
    }
  }

  // A line that is a key with its value, again.
  std::string Twice() {
    for (;;) {
      const size_t at = Below(lines_.size());
      const std::string& line = lines_[at];
      if (line.find('-') < line.find(':') || line.find(": ") == std::string::npos) continue;
      std::vector<std::string> lines = lines_;
      lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(at), line);
      return absl::StrJoin(lines, "\n") + "\n";
    }
  }

  const std::string good_;
  std::vector<std::string> lines_;
  std::mt19937 random_;
};

// All files below a folder, with what they say.
std::map<std::string, std::string> Tree(const std::filesystem::path& dir) {
  std::map<std::string, std::string> tree;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir))
    tree[entry.path().string()] = entry.is_regular_file() ? Read(entry.path()) : "(folder)";
  return tree;
}

class MalformedFiles : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/corral-malformed-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
    std::filesystem::create_directory(dir_ / "corral.d");
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::filesystem::path dir_;
};

// As corral.yaml, and as a drop-in of a good one.
TEST_P(MalformedFiles, AreRefusedAndChangeNothing) {
  const std::string good = Read(CORRAL_SHIPPED_YAML);
  const std::filesystem::path config = dir_ / "corral.yaml";
  const std::filesystem::path file = GetParam() ? dir_ / "corral.d" / "50-bad.yaml" : config;
  std::ofstream(config) << good;
  ASSERT_TRUE(LoadCorralYaml(config).ok());
  // Without the key "enclaves" the mode that is asked for is wrong, too.
  const std::regex told(absl::StrCat(
      file.string(),
      ":[0-9]+(:[0-9]+)?: [a-z\"].+|.*/90-corralctl.yaml:3:7: there is nothing to .*"));

  Mistakes mistakes(good, GetParam() ? 7 : 1);
  std::map<std::string, int> made;
  for (int i = 0; i < kFiles; ++i) {
    std::string what;
    std::ofstream(file) << mistakes.File(what);
    ++made[what];
    const std::map<std::string, std::string> before = Tree(dir_);
    const ModeReport report =
        SwitchMode({.config = config, .runtime_dir = dir_, .check_host = [] { return Findings(); }},
                   Mode::kEnforce);
    ASSERT_TRUE(absl::IsInvalidArgument(report.status)) << what << ": " << Read(file);
    ASSERT_EQ(Tree(dir_), before) << what;
    for (const std::string& line :
         std::vector<std::string>(absl::StrSplit(std::string(report.status.message()), '\n')))
      ASSERT_TRUE(std::regex_match(line, told)) << what << ": " << line << "\n" << Read(file);
  }
  EXPECT_EQ(made.size(), 8u);
}

INSTANTIATE_TEST_SUITE_P(All, MalformedFiles, testing::Bool(), [](const auto& info) {
  return info.param ? std::string("DropIn") : std::string("Main");
});

}  // namespace
}  // namespace corral::ctl
