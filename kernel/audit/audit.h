/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the auditor's BPF program and its user space share: the layout of its maps.
 *
 * Plain C, for clang's BPF target (include vmlinux.h first) and for C++. Nothing here is shared with the scheduling class: an
 * auditor that used the class's idea of who belongs where could not contradict it. Times are ns of CLOCK_MONOTONIC.
 */
#ifndef CORRAL_KERNEL_AUDIT_AUDIT_H_
#define CORRAL_KERNEL_AUDIT_AUDIT_H_

#ifndef __bpf__
#include <linux/bpf.h>
#include <linux/types.h>
#endif

#define AUDIT_MAX_SIBLINGS 8
#define AUDIT_MAX_NAMES 16
#define AUDIT_NAME_LEN 32
#define AUDIT_COMM_LEN 16
/* Four to an octave: 0, 1, 2, 3, 4, 5, 6, 7, up to 9, 11, 13, 15, 19 ns, and so on; some behind all that a time can be. */
#define AUDIT_LENGTHS 256

/* What a CPU runs. */
enum audit_kind {
	AUDIT_UNKNOWN, /* no switch seen on this CPU yet */
	AUDIT_IDLE,
	AUDIT_KTHREAD,
	AUDIT_HOST, /* a user task of no VM */
	AUDIT_HELPER, /* a thread of a VM that is not a vCPU: main loop, I/O, vhost worker */
	AUDIT_VCPU,
};

/* One stint of a task on a CPU. */
struct audit_slot {
	__u64 task; /* address of its task_struct; 0 = nothing known yet */
	__u64 start; /* start_boottime of the thread: with tid, its identity for ever */
	__u32 tid;
	__u32 tgid;
	__u32 vm; /* 0 = none */
	__u8 kind; /* enum audit_kind */
	__u8 enrolled; /* its policy was SCHED_EXT when the stint began */
	__u16 unused;
};

/*
 * The conditions that a core can be in, several at a time. Each is timed by an audit_span. "Beside" means on two siblings of
 * one core at once; a condition holds as long as any two siblings fulfil it.
 */
enum audit_condition {
	AUDIT_VCPU_ENFORCED, /* vCPU beside another VM's vCPU, both enrolled: invariant I1 is broken */
	AUDIT_VCPU_EXPOSED, /* the same, but at least one of them not enrolled */
	AUDIT_VCPU_VCPU, /* either of the two */
	AUDIT_VCPU_HELPER, /* vCPU beside another VM's helper */
	AUDIT_HELPER_HELPER, /* helper beside another VM's helper */
	AUDIT_CROSS_VM, /* any of the above */
	AUDIT_BESIDE_HOST, /* vCPU beside a host user task: invariant I2 */
	AUDIT_FORCED_IDLE, /* vCPU beside the idle task */
	AUDIT_SAME_VM, /* two threads of one VM */
	AUDIT_BUSY, /* at least one sibling runs a VM */
	AUDIT_STATES,
};

struct audit_party {
	__u32 vm;
	__u32 tid;
	__u32 cpu;
	__u32 kind; /* enum audit_kind */
};

/* When a condition last began, and between whom: the sibling whose switch began it, and the one that was there already (the same
 * one for AUDIT_BUSY). */
struct audit_onset {
	__u64 time;
	struct audit_party newcomer;
	struct audit_party incumbent;
};

/* How long, how often and how long at worst a core was in one condition. */
struct audit_span {
	__u64 ns;
	__u64 count;
	__u64 longest_ns;
	__u64 last_ns; /* how long the one was that ended last */
	struct audit_onset longest;
	struct audit_onset open; /* meaningful while the state's bit is set in audit_core.mask */
};

/* How many stretches were that long. A new epoch does not begin by clearing all of them. */
struct audit_length {
	__u64 epoch;
	__u64 count;
};

/*
 * Of two siblings, what was counted while one of them may have been between two tasks: void if it was. The first one's kernel had begun
 * to look for another task, and its probe had not run yet, while the other went on.
 */
struct audit_doubt {
	__u64 at; /* since then; 0: there is no doubt */
	__u64 ns[AUDIT_STATES];
	__u64 count[AUDIT_STATES];
	__u64 longest_ns; /* of AUDIT_VCPU_ENFORCED, before there was doubt */
	struct audit_onset longest;
};

struct audit_core {
	struct bpf_spin_lock lock;
	__u32 siblings; /* how many of the entries of cpu and slot are in use */
	__u64 epoch; /* the measuring epoch that the figures belong to, named by the time when it began */
	__u64 last; /* the figures are complete up to here */
	__u64 switches; /* vCPU stints that began while the last vCPU on this core had been another VM's */
	__u64 negative; /* events whose time lay before `last`, because a sibling overtook them between clock and lock */
	__u64 negative_ns; /* by how much, in total */
	/* Switches away from a task that no switch had led to: the kernel did not report one in between, the figures are in doubt. */
	__u64 missed;
	__u32 mask; /* a bit per audit_condition: the conditions that hold since `last` */
	__u32 last_vm; /* VM of the last vCPU that began a stint here */
	__u64 peers; /* four bits per audit_condition: a sibling that fulfilled it with the one that changed last */
	__u32 cpu[AUDIT_MAX_SIBLINGS];
	struct audit_slot slot[AUDIT_MAX_SIBLINGS];
	/* The conditions that each two siblings fulfil between them; on the diagonal those that one fulfils alone. Symmetric. */
	__u16 between[AUDIT_MAX_SIBLINGS][AUDIT_MAX_SIBLINGS];
	/* When the kernel last began to look for another task for the sibling, as long as there was no switch since; 0: not known. No lock. */
	__u64 look[AUDIT_MAX_SIBLINGS];
	struct audit_doubt doubt[2]; /* about each sibling; on cores with two */
	struct audit_span span[AUDIT_STATES];
	struct audit_length beside_host[AUDIT_LENGTHS]; /* stretches of AUDIT_BESIDE_HOST that are over, by length; the first says nothing */
};

/* Where a CPU sits. User space fills this in before the probes are attached. */
struct audit_cpu {
	__u32 mapped; /* 0: this CPU was not online then */
	__u32 core;
	__u32 sibling;
};

struct audit_thread_key {
	__u64 start; /* start_boottime */
	__u32 tid;
	__u32 unused;
};

/* One thread of a VM, kept after its exit until the next epoch. */
struct audit_thread {
	struct bpf_spin_lock lock;
	__u32 tgid;
	__u32 vm;
	__u32 cpu; /* the last one */
	__u8 kind; /* of the last stint */
	__u8 enrolled; /* likewise */
	__u8 running; /* on a CPU since `since` */
	__u8 exited;
	__u32 unused;
	char comm[AUDIT_COMM_LEN];
	__u64 epoch; /* as in audit_core */
	__u64 first_seen; /* begin of its first stint, in whatever epoch */
	__u64 first_enrolled; /* begin of its first enrolled stint; 0 = none yet */
	__u64 since;
	__u64 stints;
	__u64 run_ns;
	__u64 exposure_ns; /* ran as a vCPU while not enrolled */
	__u64 early_ns; /* the part of exposure_ns that lies before the first enrolled stint */
};

enum audit_process_flags {
	AUDIT_DECLARED = 1, /* named by the operator: all its threads count as vCPUs, and no exec ends its membership */
	AUDIT_INHERITED = 2, /* a forked child of a VM: belongs to it until it executes something else */
};

/* A process that belongs to a VM; the key is its tgid. */
struct audit_process {
	__u64 start; /* start_boottime of the leader: tells a reused tgid apart */
	__u32 vm;
	__u32 flags; /* enum audit_process_flags */
	char name[AUDIT_COMM_LEN]; /* the leader's comm when the process was found */
};

/* The beginning of an executable's file name that means "this is a VM". */
struct audit_name {
	__u32 length; /* 0 = entry not in use */
	char prefix[AUDIT_NAME_LEN];
};

/* Things that must not happen. One per CPU; counted since the auditor was loaded, never reset. */
struct audit_faults {
	__u64 unmapped_switches; /* on a CPU that came online after the auditor */
	__u64 lost_threads; /* stints of threads that found the thread table full; cores still count them */
	__u64 lost_processes; /* VM processes that found the process table full */
};

#endif /* CORRAL_KERNEL_AUDIT_AUDIT_H_ */
