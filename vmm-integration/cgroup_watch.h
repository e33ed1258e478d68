/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the cgroup probe reports: a thread has entered a cgroup called vcpuN, and whose process was
 * stopped for that. Shared by the BPF program and its reader. */
#ifndef CORRAL_VMM_INTEGRATION_CGROUP_WATCH_H_
#define CORRAL_VMM_INTEGRATION_CGROUP_WATCH_H_

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

struct vcpu_cgroup_entry {
  __u32 tid;
  __u32 tgid;
  __u64 time_ns; /* CLOCK_MONOTONIC */
  __u64 hold;    /* number of the stop that holds its process; 0: it was not stopped */
  char leaf[16]; /* "vcpu3" */
};

/* A process that is stopped until the reader has dealt with its threads. */
struct held_vm {
  __u64 start_ns; /* of the process, since boot, as /proc/PID/stat has it in ticks */
  __u64 last;     /* number of the last stop */
};

#endif /* CORRAL_VMM_INTEGRATION_CGROUP_WATCH_H_ */
