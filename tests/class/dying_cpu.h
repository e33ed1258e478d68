/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What dying_cpu.bpf.c tells of each CPU, in memory that it shares with the threads which it is about. */
#ifndef CORRAL_TESTS_CLASS_DYING_CPU_H_
#define CORRAL_TESTS_CLASS_DYING_CPU_H_

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define DYING_CPU_MAX 64

struct dying_cpu_state {
	__u32 turns;	  /* so often it went or came: odd while the scheduler has given it up */
	__u32 switch_ins; /* of SCHED_EXT threads while it was given up */
	__u32 user_mode;  /* times that such a thread found itself in user mode there; counted by the threads */
};

#endif /* CORRAL_TESTS_CLASS_DYING_CPU_H_ */
