// SPDX-License-Identifier: Apache-2.0
// Text of tables as mdoc(7). Plain functions; any thread.
#ifndef CORRAL_PACKAGING_MAN_MDOC_H_
#define CORRAL_PACKAGING_MAN_MDOC_H_

#include <string>

#include "absl/strings/string_view.h"

namespace corral {

// Text that roff takes as it is.
std::string Escaped(absl::string_view text);

// Help as config/keys.h describes it. Each macro has a line, and each sentence begins one.
std::string Mdoc(absl::string_view help);

}  // namespace corral

#endif  // CORRAL_PACKAGING_MAN_MDOC_H_
