/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the class did last, always on: a ring of events for each CPU, which only that CPU writes. Entry i of CPU c is traces[c *
 * GHOST_TRACE_EVENTS + i]. A reader takes an entry whose number is the same before and after.
 */
#ifndef CORRAL_KERNEL_ABI_TRACE_H_
#define CORRAL_KERNEL_ABI_TRACE_H_

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

/* Per CPU, a power of two. */
#define GHOST_TRACE_EVENTS 4096

enum ghost_trace_type {
	GHOST_TRACE_SWITCH = 1, /* the CPU came to run thread tid of domain (0: idle); what: GHOST_CPU_*, if another class has the CPU */
	GHOST_TRACE_MESSAGE,	/* what: ghost_msg_type; of thread tid of domain, or of a CPU; arg: the queue */
	GHOST_TRACE_COMMIT,	/* what: ghost_txn_state; arg: the core */
	GHOST_TRACE_LATCH,	/* thread tid of domain shall run on CPU arg */
};

struct ghost_trace_event {
	__u64 number; /* of the events of this CPU, from 1; 0 while it is being written */
	__u64 time_ns;
	__u32 tid;
	__u32 domain;
	__u16 type;
	__u16 what;
	__u32 arg;
};

#endif /* CORRAL_KERNEL_ABI_TRACE_H_ */
