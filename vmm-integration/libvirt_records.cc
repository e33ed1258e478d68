// SPDX-License-Identifier: Apache-2.0
#include "vmm-integration/libvirt_records.h"

#include <sys/stat.h>

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

constexpr char kDefinitionsDir[] = "/etc/libvirt/qemu";

std::optional<pid_t> ReadPid(const std::string& path) {
  const std::optional<std::string> text = ReadSmallFile(path);
  int pid = 0;
  if (!text || !absl::SimpleAtoi(*text, &pid) || pid <= 0) return std::nullopt;
  return pid;
}

std::string RecordPath(const std::string& root, const std::string& name, const char* suffix) {
  return absl::StrCat(root, kRecordsDir, "/", name, suffix);
}

absl::StatusOr<DomainXml> ReadXml(const std::string& path) {
  const std::optional<std::string> text = ReadSmallFile(path);
  if (!text) return absl::NotFoundError(absl::StrCat("there is no ", path));
  absl::StatusOr<DomainXml> xml = ParseDomainXml(*text);
  if (xml.ok()) return xml;
  return absl::Status(xml.status().code(), absl::StrCat(path, ": ", xml.status().message()));
}

}  // namespace

std::vector<PidRecord> PidRecords(const std::string& root) {
  struct Record {
    std::string name;
    fs::file_time_type written;
  };
  std::map<pid_t, Record> newest;
  std::error_code error;
  for (fs::directory_iterator it(absl::StrCat(root, kRecordsDir), error), end; !error && it != end;
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

absl::StatusOr<DomainXml> ReadStatus(const std::string& name, const std::string& root) {
  return ReadXml(RecordPath(root, name, ".xml"));
}

absl::StatusOr<DomainXml> ReadDefinition(const std::string& name, const std::string& root) {
  return ReadXml(absl::StrCat(root, kDefinitionsDir, "/", name, ".xml"));
}

StatusStamp StampOf(const std::string& name, const std::string& root) {
  struct stat file = {};
  if (stat(RecordPath(root, name, ".xml").c_str(), &file) != 0) return {};
  return {.inode = file.st_ino,
          .written_ns = file.st_mtim.tv_sec * 1'000'000'000LL + file.st_mtim.tv_nsec};
}

std::optional<Vm> IdentifyNewVm(pid_t pid, const std::string& root) {
  std::optional<Vm> vm = VmOfProcess(pid, root);
  // libvirt allows no slash in a name; here it would lead out of the directory.
  if (!vm || vm->name.find('/') != std::string::npos) return std::nullopt;
  if (ReadPid(RecordPath(root, vm->name, ".pid")) != pid) return std::nullopt;
  if (const absl::StatusOr<DomainXml> xml = ReadStatus(vm->name, root); xml.ok())
    vm->uuid = xml->uuid;
  return vm;
}

}  // namespace corral
