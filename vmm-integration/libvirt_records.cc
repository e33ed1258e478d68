// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/libvirt_records.h"

#include <filesystem>
#include <map>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "vmm-integration/qemu_process.h"

namespace corral {
namespace {

namespace fs = std::filesystem;

constexpr char kDir[] = "/run/libvirt/qemu";

std::optional<pid_t> ReadPid(const std::string& path) {
  const std::optional<std::string> text = ReadSmallFile(path);
  int pid = 0;
  if (!text || !absl::SimpleAtoi(*text, &pid) || pid <= 0) return std::nullopt;
  return pid;
}

std::string RecordPath(const std::string& root, const std::string& name, const char* suffix) {
  return absl::StrCat(root, kDir, "/", name, suffix);
}

}  // namespace

std::vector<PidRecord> PidRecords(const std::string& root) {
  struct Record {
    std::string name;
    fs::file_time_type written;
  };
  std::map<pid_t, Record> newest;
  std::error_code error;
  for (fs::directory_iterator it(absl::StrCat(root, kDir), error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() != ".pid") continue;
    const std::optional<pid_t> pid = ReadPid(it->path().string());
    std::error_code gone;
    const fs::file_time_type written = it->last_write_time(gone);
    if (!pid || gone) continue;
    const auto [record, is_new] =
        newest.try_emplace(*pid, Record{it->path().stem().string(), written});
    if (!is_new && record->second.written < written) {
      record->second = {it->path().stem().string(), written};
    }
  }
  std::vector<PidRecord> records;
  for (const auto& [pid, record] : newest) records.push_back({.name = record.name, .pid = pid});
  return records;
}

std::optional<std::string> RecordedUuid(const std::string& name, const std::string& root) {
  const std::optional<std::string> xml = ReadSmallFile(RecordPath(root, name, ".xml"));
  if (!xml) return std::nullopt;
  const std::string kBegin = "<uuid>";
  // What stands before the domain is libvirt's private state.
  const size_t domain = xml->find("<domain ");
  const size_t begin = domain == std::string::npos ? domain : xml->find(kBegin, domain);
  if (begin == std::string::npos) return std::nullopt;
  const size_t end = xml->find('<', begin + kBegin.size());
  if (end == std::string::npos) return std::nullopt;
  return absl::AsciiStrToLower(xml->substr(begin + kBegin.size(), end - begin - kBegin.size()));
}

std::optional<Vm> IdentifyNewVm(pid_t pid, const std::string& root) {
  std::optional<Vm> vm = VmOfProcess(pid, root);
  // libvirt allows no slash in a name; here it would lead out of the directory.
  if (!vm || vm->name.find('/') != std::string::npos) return std::nullopt;
  if (ReadPid(RecordPath(root, vm->name, ".pid")) != pid) return std::nullopt;
  if (std::optional<std::string> uuid = RecordedUuid(vm->name, root)) vm->uuid = *std::move(uuid);
  return vm;
}

}  // namespace corral
