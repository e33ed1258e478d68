// SPDX-License-Identifier: Apache-2.0
// Prints how long the reference job takes here, in ns.
#include <cstdio>

#include "tests/libvirt/reference_job.h"

int main() {
  printf("%lld\n", static_cast<long long>(corral::ReferenceJob().count()));
  return 0;
}
