/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the name probe reports: a thread has taken a name as QEMU gives its vCPUs. Shared by the BPF
 * program and its reader. */
#ifndef CORRAL_VMM_INTEGRATION_NAME_WATCH_H_
#define CORRAL_VMM_INTEGRATION_NAME_WATCH_H_

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

struct vcpu_name_entry {
  __u32 tid;
  __u32 tgid;
  __u64 time_ns; /* CLOCK_MONOTONIC */
  char name[16]; /* "CPU 3/KVM" */
};

#endif /* CORRAL_VMM_INTEGRATION_NAME_WATCH_H_ */
