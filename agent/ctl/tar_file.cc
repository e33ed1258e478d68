// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/tar_file.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "absl/strings/str_cat.h"

namespace corral::ctl {

void TarFile::Free::operator()(archive* a) const { archive_write_free(a); }

absl::Status TarFile::Failed(absl::string_view what) const {
  const char* const reason = archive_error_string(archive_.get());
  return absl::InternalError(absl::StrCat(what, ": ", reason == nullptr ? "no reason" : reason));
}

absl::StatusOr<TarFile> TarFile::Create(const std::string& file) {
  Fd fd(open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) {
    const std::string why = absl::StrCat("cannot create ", file, ": ", strerror(errno));
    return errno == EEXIST ? absl::AlreadyExistsError(absl::StrCat(why, "; name another file"))
                           : absl::FailedPreconditionError(why);
  }
  TarFile tar(std::move(fd), archive_write_new());
  if (archive_write_add_filter_gzip(tar.archive_.get()) != ARCHIVE_OK ||
      archive_write_set_format_pax_restricted(tar.archive_.get()) != ARCHIVE_OK ||
      archive_write_open_fd(tar.archive_.get(), tar.fd_.get()) != ARCHIVE_OK)
    return tar.Failed(absl::StrCat("cannot write ", file));
  return tar;
}

absl::Status TarFile::Add(const std::string& name, absl::string_view text) {
  const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(),
                                                                       archive_entry_free);
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_size(entry.get(), static_cast<int64_t>(text.size()));
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0600);
  archive_entry_set_mtime(entry.get(), time(nullptr), 0);
  if (archive_write_header(archive_.get(), entry.get()) != ARCHIVE_OK) return Failed(name);
  const la_ssize_t size = archive_write_data(archive_.get(), text.data(), text.size());
  if (size != static_cast<la_ssize_t>(text.size())) return Failed(name);
  return absl::OkStatus();
}

absl::Status TarFile::Close() {
  return archive_write_close(archive_.get()) == ARCHIVE_OK ? absl::OkStatus() : Failed("the end");
}

}  // namespace corral::ctl
