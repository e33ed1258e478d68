/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the class's source (kernel/bpf) needs of a kernel, for its native build: the types that bpftool would take from a kernel's BTF,
 * cut down to the fields that the class reads, and the values of sched_ext's constants. The simulated machine (kernel/sim) fills them in.
 *
 * Source: include/linux/sched/ext.h and kernel/sched/ext/ of Linux 7.2, by name and meaning; nothing is copied from there.
 */
#ifndef CORRAL_KERNEL_SIM_NATIVE_VMLINUX_H_
#define CORRAL_KERNEL_SIM_NATIVE_VMLINUX_H_
/* For the headers of kernel/abi, which then take the integer types from here. */
#define __VMLINUX_H__

#ifdef __cplusplus
extern "C" {
#else
#include <stdbool.h>
#endif
#include <stddef.h>
#include <linux/types.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

#define SIM_CPUMASK_WORDS 16

struct cpumask {
	u64 bits[SIM_CPUMASK_WORDS];
};

struct scx_dispatch_q {
	u64 id;
};

struct sched_ext_entity {
	u32 flags;
	u64 slice;
	u32 weight;
	struct scx_dispatch_q *dsq;
};

struct rq;

struct cfs_rq {
	u32 h_nr_queued, h_nr_runnable;
	struct rq *rq;
};

/* Of one CPU. Tasks of the class are in neither number: only what the one is more than the other is of interest. */
struct rq {
	u32 nr_running;
	struct {
		u32 nr_running;
	} scx;
	struct cfs_rq cfs;
};

struct task_struct {
	s32 pid;
	s32 tgid;
	u32 flags;
	u32 policy;
	s32 on_cpu;
	s32 on_rq;
	struct cpumask cpus_mask;
	const struct cpumask *cpus_ptr;
	s32 nr_cpus_allowed;
	struct sched_ext_entity scx;
	struct {
		struct cfs_rq *cfs_rq;
	} se;
	void *storage; /* of the one task-storage map, 0 until it is made */
};

struct scx_init_task_args {
	bool fork;
};

struct scx_exit_task_args {
	bool cancelled;
};

struct scx_exit_info {
	u32 kind;
	const char *reason;
	const char *msg;
};

enum pid_type { PIDTYPE_PID, PIDTYPE_TGID };

/* Only their order matters. */
enum cpuhp_state { CPUHP_OFFLINE = 0, CPUHP_TEARDOWN_CPU = 100, CPUHP_AP_ACTIVE = 200, CPUHP_ONLINE = 201 };

#define SCX_DSQ_FLAG_BUILTIN (1ULL << 63)
#define SCX_DSQ_LOCAL (SCX_DSQ_FLAG_BUILTIN | 2)
#define SCX_DSQ_LOCAL_ON (SCX_DSQ_FLAG_BUILTIN | 1ULL << 62)
#define SCX_SLICE_DFL (20 * 1000 * 1000ULL)
#define SCX_SLICE_INF (~0ULL)
#define SCX_KICK_IDLE 1ULL
#define SCX_KICK_PREEMPT 2ULL
#define SCX_ENQ_WAKEUP 1ULL
#define SCX_ENQ_PREEMPT (1ULL << 32)
#define SCX_ENQ_REENQ (1ULL << 40)
#define SCX_ENQ_LAST (1ULL << 41)
#define SCX_DEQ_SLEEP 1ULL
#define SCX_TASK_QUEUED 1u
#define SCX_OPS_ENQ_LAST 2ULL
#define SCX_OPS_ENQ_EXITING 4ULL
#define SCX_OPS_SWITCH_PARTIAL 8ULL
#define SCX_OPS_ENQ_MIGRATION_DISABLED 16ULL

struct sched_ext_ops {
	s32 (*select_cpu)(struct task_struct *p, s32 prev_cpu, u64 wake_flags);
	void (*enqueue)(struct task_struct *p, u64 enq_flags);
	void (*dispatch)(s32 cpu, struct task_struct *prev);
	void (*running)(struct task_struct *p);
	void (*stopping)(struct task_struct *p, bool runnable);
	void (*quiescent)(struct task_struct *p, u64 deq_flags);
	bool (*yield)(struct task_struct *from, struct task_struct *to);
	void (*tick)(struct task_struct *p);
	void (*set_cpumask)(struct task_struct *p, const struct cpumask *cpumask);
	void (*set_weight)(struct task_struct *p, u32 weight);
	void (*cpu_online)(s32 cpu);
	void (*cpu_offline)(s32 cpu);
	s32 (*init_task)(struct task_struct *p, struct scx_init_task_args *args);
	void (*enable)(struct task_struct *p);
	void (*disable)(struct task_struct *p);
	void (*exit_task)(struct task_struct *p, struct scx_exit_task_args *args);
	s32 (*init)(void);
	void (*exit)(struct scx_exit_info *info);
	u64 flags;
	u32 timeout_ms;
	char name[128];
};

#ifdef __cplusplus
}
#endif
#endif
