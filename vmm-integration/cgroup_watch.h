/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the cgroup probe reports: a thread has entered a cgroup called vcpuN. Shared by the BPF
 * program and its reader. */
#ifndef CORRAL_VMM_INTEGRATION_CGROUP_WATCH_H_
#define CORRAL_VMM_INTEGRATION_CGROUP_WATCH_H_

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

struct vcpu_cgroup_entry {
  __u32 tid;
  __u32 tgid;
  __u64 time_ns; /* CLOCK_MONOTONIC */
  char leaf[16]; /* "vcpu3" */
};

#endif /* CORRAL_VMM_INTEGRATION_CGROUP_WATCH_H_ */
