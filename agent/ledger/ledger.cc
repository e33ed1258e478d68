// SPDX-License-Identifier: Apache-2.0
#include "agent/ledger/ledger.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace corral::ledger {
namespace {

using nlohmann::json;

std::string Sha256(absl::string_view text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), sizeof(digest)));
}

// Keys in order and nothing between them: one text for one entry. Names may hold any bytes.
std::string Dump(const json& object) {
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string TextOfTime(absl::Time time) {
  return absl::FormatTime(absl::RFC3339_full, time, absl::UTCTimeZone());
}

bool ReadTime(const json& object, const char* name, absl::Time& to) {
  const auto it = object.find(name);
  std::string ignored;
  return it != object.end() && it->is_string() &&
         absl::ParseTime(absl::RFC3339_full, it->get<std::string>(), &to, &ignored);
}

bool ReadNumber(const json& object, const char* name, uint64_t& to) {
  const auto it = object.find(name);
  if (it == object.end() || !it->is_number_unsigned()) return false;
  to = it->get<uint64_t>();
  return true;
}

bool ReadDuration(const json& object, const char* name, Duration& to) {
  uint64_t ns = 0;
  if (!ReadNumber(object, name, ns)) return false;
  to = Duration(static_cast<int64_t>(ns));
  return true;
}

bool ReadText(const json& object, const char* name, std::string& to) {
  const auto it = object.find(name);
  if (it == object.end() || !it->is_string()) return false;
  to = it->get<std::string>();
  return true;
}

bool ReadTenants(const json& object, std::vector<std::string>& to) {
  const auto it = object.find("tenants");
  if (it == object.end() || !it->is_array()) return false;
  for (const json& name : *it) {
    if (!name.is_string()) return false;
    to.push_back(name.get<std::string>());
  }
  return true;
}

// False: it is not what Format() gives.
bool ParseLine(absl::string_view line, Entry& entry) {
  json object = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object() || !ReadText(object, "hash", entry.hash)) return false;
  const auto complete = object.find("complete");
  Stretch& s = entry.stretch;
  if (complete == object.end() || !complete->is_boolean()) return false;
  s.complete = complete->get<bool>();
  if (!ReadNumber(object, "number", entry.number) || !ReadText(object, "former", entry.former) ||
      !ReadTime(object, "begin", s.begin) || !ReadTime(object, "end", s.end) ||
      !ReadDuration(object, "in_charge_ns", s.in_charge) ||
      !ReadNumber(object, "bypassed", s.bypassed) ||
      !ReadDuration(object, "watched_ns", s.watched) ||
      !ReadDuration(object, "shared_ns", s.shared) ||
      !ReadDuration(object, "exposed_ns", s.exposed) || !ReadTenants(object, s.tenants))
    return false;
  return line == Format(entry.number, s, entry.former);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

absl::Status FileError(const char* what, const std::string& path) {
  return absl::UnavailableError(absl::StrCat("cannot ", what, " ", path, ": ", strerror(errno)));
}

absl::Status Named(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

}  // namespace

std::string Format(uint64_t number, const Stretch& stretch, const std::string& former) {
  json object = {{"number", number},
                 {"begin", TextOfTime(stretch.begin)},
                 {"end", TextOfTime(stretch.end)},
                 {"in_charge_ns", static_cast<uint64_t>(stretch.in_charge.count())},
                 {"bypassed", stretch.bypassed},
                 {"watched_ns", static_cast<uint64_t>(stretch.watched.count())},
                 {"shared_ns", static_cast<uint64_t>(stretch.shared.count())},
                 {"exposed_ns", static_cast<uint64_t>(stretch.exposed.count())},
                 {"complete", stretch.complete},
                 {"tenants", stretch.tenants},
                 {"former", former}};
  object["hash"] = Sha256(Dump(object));
  return Dump(object);
}

absl::StatusOr<std::vector<Entry>> Parse(absl::string_view text) {
  std::vector<Entry> entries;
  for (size_t line = 1;; ++line) {
    const size_t end = text.find('\n');
    if (end == absl::string_view::npos) return entries;
    Entry entry;
    if (!ParseLine(text.substr(0, end), entry))
      return absl::DataLossError(
          absl::StrCat("line ", line, " is not what was written there; it was changed since"));
    if (!entries.empty() &&
        (entry.former != entries.back().hash || entry.number != entries.back().number + 1)) {
      return absl::DataLossError(absl::StrCat("line ", line,
                                              " does not go on from the one before; ",
                                              "a line was changed or removed since"));
    }
    entries.push_back(std::move(entry));
    text.remove_prefix(end + 1);
  }
}

absl::StatusOr<std::vector<Entry>> Read(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0)
    return absl::NotFoundError(
        absl::StrCat("there is no audit log at ", path, "; corrald keeps one while it enforces"));
  if (access(path.c_str(), R_OK) != 0) return FileError("read", path);
  const std::string before = path + ".1";
  absl::StatusOr<std::vector<Entry>> entries = Parse(ReadFile(before));
  if (!entries.ok()) return Named(before, entries.status());
  absl::StatusOr<std::vector<Entry>> later = Parse(ReadFile(path));
  if (!later.ok()) return Named(path, later.status());
  if (!entries->empty() && !later->empty() && later->front().former != entries->back().hash) {
    return absl::DataLossError(absl::StrCat(path, ": line 1 does not go on from ", before,
                                            "; a line was changed or removed since"));
  }
  entries->insert(entries->end(), later->begin(), later->end());
  return entries;
}

absl::StatusOr<Writer> Writer::Open(const std::string& path, size_t most_bytes) {
  Writer writer(path, most_bytes);
  if (const absl::Status opened = writer.OpenFile(); !opened.ok()) return opened;
  const std::string text = ReadFile(path);
  absl::StatusOr<std::vector<Entry>> entries = Read(path);
  if (!entries.ok()) return entries.status();
  // What a power loss left of a line.
  const size_t whole = text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1;
  if (whole < text.size() && ftruncate(writer.file_.get(), static_cast<off_t>(whole)) != 0)
    return FileError("shorten", path);
  if (!entries->empty()) {
    writer.head_ = entries->back().hash;
    writer.number_ = entries->back().number;
  }
  return writer;
}

absl::Status Writer::OpenFile() {
  file_ = Fd(open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  return file_ ? absl::OkStatus() : FileError("open", path_);
}

absl::Status Writer::Append(const Stretch& stretch) {
  const std::string line = Format(number_ + 1, stretch, head_) + "\n";
  struct stat file;
  if (fstat(file_.get(), &file) != 0) return FileError("look at", path_);
  if (static_cast<size_t>(file.st_size) + line.size() > most_bytes_ && file.st_size > 0) {
    if (rename(path_.c_str(), (path_ + ".1").c_str()) != 0) return FileError("rename", path_);
    if (const absl::Status opened = OpenFile(); !opened.ok()) return opened;
    file.st_size = 0;
  }
  if (write(file_.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
      fdatasync(file_.get()) != 0) {
    const absl::Status status = FileError("write", path_);
    // The next one comes to the same place.
    if (ftruncate(file_.get(), file.st_size) != 0) return FileError("shorten", path_);
    return status;
  }
  Entry entry;
  ParseLine(absl::string_view(line).substr(0, line.size() - 1), entry);
  head_ = entry.hash;
  ++number_;
  return absl::OkStatus();
}

}  // namespace corral::ledger
