// SPDX-License-Identifier: Apache-2.0
// A piece of work such as corrald's, to tell how much slower than this machine an emulated CPU is
// at it. A few milliseconds long.
#ifndef CORRAL_TESTS_LIBVIRT_REFERENCE_JOB_H_
#define CORRAL_TESTS_LIBVIRT_REFERENCE_JOB_H_

#include "kernel/types.h"

namespace corral {

// The CPU time that it takes here, at best.
Duration ReferenceJob();

}  // namespace corral

#endif  // CORRAL_TESTS_LIBVIRT_REFERENCE_JOB_H_
