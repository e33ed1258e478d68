/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What happened to each task since it was attached, counted by the class, by slot. Only the CPU that switches to a task writes its tally;
 * readers may look at any time.
 */
#ifndef CORRAL_KERNEL_ABI_TALLY_H_
#define CORRAL_KERNEL_ABI_TALLY_H_

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

/* Bounds of 1, 5, 10, 50 us and so on up to 1 s, and the last bucket has none. */
#define GHOST_WAIT_BUCKETS 14

struct ghost_tally {
	__u64 waits[GHOST_WAIT_BUCKETS]; /* how often it waited for a CPU, by how long: at most the bucket's bound, and more than the one before */
	__u64 waited_ns;		 /* all of that together */
	__u64 core_moves;		 /* it came to run on another core than before */
	__u64 node_moves;		 /* and that was on another NUMA node */
};

/* Of bucket i, in ns. */
static inline __u64 ghost_wait_bound(unsigned int i)
{
	__u64 bound = 1000;
	unsigned int k;

	if (i >= GHOST_WAIT_BUCKETS - 1)
		return ~0ULL;
	for (k = 0; k < i; k++)
		bound *= k & 1 ? 2 : 5;
	return bound;
}

static inline unsigned int ghost_wait_bucket(__u64 ns)
{
	__u64 bound = 1000;
	unsigned int i;

	for (i = 0; i < GHOST_WAIT_BUCKETS - 1; i++) {
		if (ns <= bound)
			break;
		bound *= i & 1 ? 2 : 5;
	}
	return i;
}

#endif /* CORRAL_KERNEL_ABI_TALLY_H_ */
