// SPDX-License-Identifier: Apache-2.0
// ResolveCpus of config.h, with the errors of `config.files` one by one. Only config/ includes
// this.
#ifndef CORRAL_CONFIG_RESOLVE_H_
#define CORRAL_CONFIG_RESOLVE_H_

#include <vector>

#include "config/config.h"
#include "config/error_list.h"

namespace corral {

void ResolveCpus(Config& config, const HostCpus& host, FileErrors& errors);

}  // namespace corral

#endif  // CORRAL_CONFIG_RESOLVE_H_
