// SPDX-License-Identifier: Apache-2.0
#include "config/yaml_text.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/eventhandler.h>

#include <cerrno>
#include <cstring>
#include <sstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernel/fd.h"

namespace corral {
namespace {

// Sixteen enclaves with all their options are a few KiB. The limit also bounds yaml-cpp's work.
constexpr size_t kMaxBytes = 256 * 1024;

// The first character that no YAML text has, as an error. A bound on what reaches the parser.
void CheckCharacters(const std::string& text, absl::string_view what, ErrorList& errors) {
  int line = 1, column = 1;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\r' && c != '\t') || byte == 0x7f) {
      errors.Add(line, column,
                 absl::StrCat("here is the byte 0x", absl::Hex(byte, absl::kZeroPad2), "; ", what,
                              " is UTF-8 text"));
      return;
    }
    column = c == '\n' ? 1 : column + 1;
    line += c == '\n';
  }
}

// Hears where documents begin, and nothing else.
class DocumentCounter final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { begins.push_back(mark.line + 1); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  std::vector<int> begins;
};

// yaml-cpp's Load() passes over all documents but the first in silence, and its LoadAll() never
// ends (and takes all memory) on some texts, such as ",#". So: two steps and no more.
void CheckOneDocument(const std::string& text, ErrorList& errors) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentCounter counter;
  if (!parser.HandleNextDocument(counter) || !parser.HandleNextDocument(counter)) return;
  errors.Add(counter.begins.back(), 0,
             "a second document begins here; write everything in one, without \"---\"");
}

}  // namespace

absl::StatusOr<std::string> ReadYamlFile(const std::string& file, absl::string_view advice) {
  const auto failed = [&](const char* reason) {
    return absl::NotFoundError(absl::StrCat("cannot read ", file, ": ", reason, "; ", advice));
  };
  // A FIFO without a writer would block.
  const Fd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info = {};
  if (!fd || fstat(fd.get(), &info) != 0) return failed(strerror(errno));
  if (!S_ISREG(info.st_mode)) return failed("it is not a regular file");
  std::string text(kMaxBytes + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed(strerror(errno));
    if (got == 0) break;
    size += got;
  }
  text.resize(size);
  return text;
}

void ParseYaml(const std::string& text, absl::string_view what, ErrorList& errors,
               absl::FunctionRef<void(const YAML::Node&)> read) {
  if (text.size() > kMaxBytes) {
    errors.Add(0, 0,
               absl::StrCat("it is larger than ", kMaxBytes / 1024, " KiB; this is no ",
                            what.substr(what.find(' ') + 1)));
    return;
  }
  CheckCharacters(text, what, errors);
  if (!errors.empty()) return;
  try {
    const YAML::Node root = YAML::Load(text);
    read(root);
    if (root.IsMap()) CheckOneDocument(text, errors);
  } catch (const YAML::Exception& error) {
    errors.Add(error.mark.line + 1, error.mark.column + 1,
               absl::StrCat("this is not valid YAML: ", error.msg));
  } catch (const std::exception& error) {
    errors.Add(0, 0, absl::StrCat("it cannot be read as YAML: ", error.what()));
  }
}

}  // namespace corral
