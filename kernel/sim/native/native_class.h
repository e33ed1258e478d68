/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The class's own source, kernel/bpf/ghost.bpf.c, compiled for this machine instead of for BPF: the boundary between it and the simulated
 * kernel (kernel/sim), which calls its callbacks as sched_ext would and offers what it calls.
 *
 * Thread rules: sim_current says on behalf of which machine the code of this thread runs; each machine belongs to one thread. It is what
 * `current` and the per-CPU pointer are in a kernel, and set only for the duration of a call (SimClass).
 */
#ifndef CORRAL_KERNEL_SIM_NATIVE_NATIVE_CLASS_H_
#define CORRAL_KERNEL_SIM_NATIVE_NATIVE_CLASS_H_

#include "kernel/sim/native/vmlinux.h"

#include "kernel/abi/ghost.h"
#include "kernel/abi/restore.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A map's memory. */
struct sim_array {
	char *data;
	u32 value_size; /* 0: pointers to rings */
	u32 entries;
};

struct sim_context {
	const struct sim_array *arrays; /* by the place of the map's declaration behind first_map */
	const char *first_map;
	struct task_struct *current;
	u64 now_ns;
	u32 cpu;
	u32 fault; /* enum corral_seeded_fault */
	void *machine;
	void *reserved; /* the ring in which a message is being written */
};
extern __thread struct sim_context *sim_current;

/* What the class declares. */
struct sim_map {
	const char *name;
	const void *declaration;
	u32 value_size;
	u32 entries; /* as declared; 1 where the loader decides */
};
extern const struct sim_map sim_maps[];
extern const u32 sim_nr_maps;
extern const u32 sim_thread_storage_size;
extern struct sched_ext_ops corral_ops;

/* Its tracing programs and calls. */
int ghost_sched_switch(bool preempt, struct task_struct *prev, struct task_struct *next);
int ghost_cpuhp_enter(unsigned int cpu, int target, int idx, void *fun);
int ghost_cpuhp_exit(unsigned int cpu, int state, int idx, int ret);
int ghost_commit_prog(struct ghost_commit *args);
int ghost_commit_few_prog(struct ghost_commit *args);
int ghost_commit_many_prog(struct ghost_commit *args);
int ghost_agent_enter_prog(struct ghost_agent_enter *args);
int ghost_associate_prog(struct ghost_associate *args);
int ghost_timer_arm_prog(struct ghost_timer_arm *args);
int ghost_task_grant_prog(struct ghost_task_grant *args);
int ghost_task_account_prog(struct ghost_task_account *args);
int ghost_task_offer_prog(struct ghost_task_offer *args);
int ghost_enclave_create_prog(struct ghost_enclave_create *args);
int ghost_enclave_update_prog(struct ghost_enclave_update *args);
int ghost_enclave_destroy_prog(struct ghost_enclave_destroy *args);
int ghost_core_assign_prog(struct ghost_core_assign *args);
int ghost_agent_bless_prog(struct ghost_agent_bless *args);
int ghost_domain_create_prog(struct ghost_domain_create *args);
int ghost_domain_destroy_prog(struct ghost_domain_destroy *args);
int ghost_task_attach_prog(struct ghost_task_attach *args);
int ghost_task_update_prog(struct ghost_task_update *args);
int ghost_task_relabel_prog(struct ghost_task_relabel *args);
int ghost_task_detach_prog(struct ghost_task_detach *args);
int ghost_task_restore_prog(struct ghost_task_restore *args);
int ghost_core_restore_prog(struct ghost_core_restore *args);

/* What the simulated kernel offers it. */
struct bpf_timer {
	u64 opaque[2];
};
typedef int (*sim_timer_callback)(void *map, int *key, void *value);
void *sim_new_storage(struct task_struct *p);
#define BPF_RB_NO_WAKEUP 1
#define BPF_RB_FORCE_WAKEUP 2
void *sim_ring_reserve(void *ring);
void sim_ring_submit(void *message, u64 flags);
void sim_ring_discard(void *message, u64 flags);
long sim_timer_init(struct bpf_timer *timer);
long sim_timer_set_callback(struct bpf_timer *timer, sim_timer_callback callback);
long sim_timer_start(struct bpf_timer *timer, u64 ns, u64 flags);
long sim_timer_cancel(struct bpf_timer *timer);
void scx_bpf_kick_cpu(s32 cpu, u64 flags);
s32 scx_bpf_create_dsq(u64 dsq_id, s32 node);
s32 scx_bpf_dsq_nr_queued(u64 dsq_id);
s32 scx_bpf_task_cpu(const struct task_struct *p);
void scx_bpf_dsq_insert(struct task_struct *p, u64 dsq_id, u64 slice, u64 enq_flags);
bool scx_bpf_dsq_move_to_local(u64 dsq_id);
bool scx_bpf_task_set_slice(struct task_struct *p, u64 slice);
void scx_bpf_reenqueue_local___v2___compat(void);
void scx_bpf_dsq_reenq(u64 dsq_id, u64 reenq_flags);
struct task_struct *bpf_task_from_pid(s32 pid);
void bpf_task_release(struct task_struct *p);

#ifdef __cplusplus
}
#endif
#endif
