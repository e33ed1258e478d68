// SPDX-License-Identifier: Apache-2.0
// All that is wrong with a file, each error with its place, told in the order of the file.
#ifndef CORRAL_CONFIG_ERROR_LIST_H_
#define CORRAL_CONFIG_ERROR_LIST_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace corral {

// Text of the file as it may stand in a message: printable, shortened, in quotation marks.
std::string Quoted(absl::string_view text);

class ErrorList {
 public:
  // Nobody reads more; a junk file of a megabyte must not become a log of a gigabyte.
  static constexpr size_t kMaxTold = 50;

  explicit ErrorList(std::string file) : file_(std::move(file)) {}

  // Lines and columns count from 1; 0 means that the place is unknown.
  void Add(int line, int column, std::string what);
  bool empty() const { return errors_.empty(); }
  // InvalidArgument with one line per error; OK if there is none.
  absl::Status ToStatus() const;

 private:
  struct Error {
    int line;
    int column;
    std::string what;
  };
  const std::string file_;
  std::vector<Error> errors_;
  size_t untold_ = 0;
};

}  // namespace corral

#endif  // CORRAL_CONFIG_ERROR_LIST_H_
