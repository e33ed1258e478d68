// SPDX-License-Identifier: Apache-2.0
// All that is wrong with a file, or with several, each error with its place, told in the order of
// the files.
#ifndef CORRAL_CONFIG_ERROR_LIST_H_
#define CORRAL_CONFIG_ERROR_LIST_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace corral {

// Text of the file as it may stand in a message: printable, shortened, in quotation marks.
std::string Quoted(absl::string_view text);

struct ConfigError {
  std::string file;
  int line = 0;  // lines and columns count from 1; 0 means that the place is unknown
  int column = 0;
  std::string what;  // is wrong, and what would be right

  std::string Text() const;  // "FILE:LINE:COLUMN: WHAT"
};

class ErrorList {
 public:
  // Nobody reads more; a junk file of a megabyte must not become a log of a gigabyte.
  static constexpr size_t kMaxTold = 50;

  explicit ErrorList(std::string file) : file_(std::move(file)) {}

  const std::string& file() const { return file_; }
  void Add(int line, int column, std::string what);
  bool empty() const { return errors_.empty(); }
  // Sorted by place. If there are more than may be told, the last one says how many.
  std::vector<ConfigError> Sorted() const;
  // InvalidArgument with one line per error; OK if there is none.
  absl::Status ToStatus() const;

 private:
  std::string file_;
  std::vector<ConfigError> errors_;
  size_t untold_ = 0;
};

// Where something stands in one of several files.
struct FilePosition {
  int file = -1;  // -1: in none, it is a default
  int line = 0;
  int column = 0;
};

// The errors of several files.
class FileErrors {
 public:
  explicit FileErrors(const std::vector<std::string>& files);

  ErrorList& of(int file) { return lists_[file]; }
  const std::string& name(int file) const { return lists_[file].file(); }
  void Add(const FilePosition& where, std::string what);
  bool empty() const;
  std::vector<ConfigError> Sorted() const;
  absl::Status ToStatus() const;

 private:
  std::vector<ErrorList> lists_;
};

}  // namespace corral

#endif  // CORRAL_CONFIG_ERROR_LIST_H_
