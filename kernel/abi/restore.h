/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What a class is told that takes the place of another one, by the control plane, before it has agents: how far its tasks and cores had got.
 *
 * Arguments of SYSCALL programs. Saying it again changes nothing. Results: 0 or a negative errno, in `result`.
 */
#ifndef CORRAL_KERNEL_ABI_RESTORE_H_
#define CORRAL_KERNEL_ABI_RESTORE_H_

#include "kernel/abi/ghost.h"
#include "kernel/abi/tally.h"

/* Of a task that was attached and has not run since. */
struct ghost_task_restore {
	__u64 gtid;
	__u64 runtime_ns;
	__u32 former_policy; /* what it goes back to when it is detached */
	__s32 result;	     /* -ENOENT */
	struct ghost_waits waits;
	struct ghost_tally tally;
};

/* Of a core: what is counted in these, and nothing else of them. */
struct ghost_core_restore {
	__u32 core;
	__s32 result; /* -EINVAL */
	struct ghost_core_state counted;
	struct ghost_queue_state queue;
	struct ghost_cpu_state cpus[GHOST_MAX_SIBLINGS]; /* by sibling */
};

#endif /* CORRAL_KERNEL_ABI_RESTORE_H_ */
