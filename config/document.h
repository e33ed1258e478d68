// SPDX-License-Identifier: Apache-2.0
// From texts to the checked settings of all of them. Only config/ includes this.
#ifndef CORRAL_CONFIG_DOCUMENT_H_
#define CORRAL_CONFIG_DOCUMENT_H_

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "config/config.h"
#include "config/setting.h"

namespace corral {

struct Document {
  std::vector<std::string> files;
  Setting root;  // with defaults
};

// Adds every error to `errors`, which are of these texts; the result counts only if there is none.
Document ReadDocument(absl::Span<const ConfigText> texts, absl::Span<const PolicyOptions> policies,
                      FileErrors& errors);

std::vector<std::string> NamesOf(absl::Span<const ConfigText> texts);

// Of a document that is checked.
Config ToConfig(const Document& document, absl::Span<const PolicyOptions> policies);

}  // namespace corral

#endif  // CORRAL_CONFIG_DOCUMENT_H_
