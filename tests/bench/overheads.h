/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The arguments of the SYSCALL programs in overheads.bpf.c. The machine that they work on is made up: cores of two siblings, CPU c is
 * sibling c % 2 of core c / 2, and each CPU has one task, which may use all of them. One core more, of one CPU, is in no enclave: there the
 * agent is, wherever this machine has it. Plain C, for BPF and C++.
 */
#ifndef CORRAL_TESTS_BENCH_OVERHEADS_H_
#define CORRAL_TESTS_BENCH_OVERHEADS_H_

#include "kernel/abi/ghost.h"

#define OVERHEADS_SIBLINGS 2
#define OVERHEADS_CORES 50
#define OVERHEADS_CPUS (OVERHEADS_CORES * OVERHEADS_SIBLINGS)
#define OVERHEADS_AGENT_CPU OVERHEADS_CPUS

/* Gives a CPU its task, which is held from then on. */
struct overheads_task {
	__u32 cpu;
	__u32 domain;
	__u64 gtid; /* out */
	__s32 result;
	__u32 reserved;
};

/* How far the loss of a CPU is followed. Each does what the former does as well. */
enum overheads_depth {
	OVERHEADS_LOOP,	   /* nothing but the loop and the look-ups that it needs: what is to be subtracted */
	OVERHEADS_MESSAGE, /* a message is posted */
	OVERHEADS_EVENT,   /* the task's word and its status word change first */
};

/* `count` times a task loses its CPU: one CPU's after the other's. */
struct overheads_events {
	__u32 count;
	__u32 depth; /* enum overheads_depth */
	__s32 result;
	__u32 type; /* enum ghost_msg_type: how, TASK_PREEMPT or TASK_YIELD */
	__u32 loud; /* 1: the messages wake the agent, which nobody needs here */
	__u32 reserved;
};

/* Commits txn[0..nr) `rounds` times without a system call for each; after each round every task is held again, as before. */
struct overheads_txns {
	__u32 rounds;
	__u32 nr;
	__u32 enclave;
	__u32 commit;	 /* 0: nothing but the loop and the taking back */
	__u32 completed; /* out */
	__s32 result;
	struct ghost_core_txn txn[OVERHEADS_CORES];
};

/* Takes back all decisions: every task is held again, at the barrier that it had. */
struct overheads_take_back {
	__s32 result;
	__u32 reserved;
};

#endif /* CORRAL_TESTS_BENCH_OVERHEADS_H_ */
