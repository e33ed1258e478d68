// SPDX-License-Identifier: Apache-2.0
// What a process has: descriptors, threads, memory. For tests of what is not given back.
#ifndef CORRAL_TESTS_LIBVIRT_FOOTPRINT_H_
#define CORRAL_TESTS_LIBVIRT_FOOTPRINT_H_

#include <sys/types.h>

#include <cstddef>

namespace corral {

struct Footprint {
  size_t descriptors = 0;
  size_t threads = 0;
  long resident_kib = 0;
  long anonymous_kib = 0;  // of that, what is of no file
};

// Nothing of a process that is not there.
Footprint FootprintOf(pid_t pid);

}  // namespace corral

#endif  // CORRAL_TESTS_LIBVIRT_FOOTPRINT_H_
