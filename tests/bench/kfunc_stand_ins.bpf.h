/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In place of kernel/bpf/ghost_kfuncs.bpf.h, for kernels without sched_ext: each of sched_ext's
 * functions does nothing. So a commit kicks nobody, and what remains is the class's own work.
 */
#pragma once

extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *p) __ksym __weak;

/* Under other names: vmlinux.h may declare sched_ext's own. */
#define scx_bpf_kick_cpu no_kick_cpu
#define scx_bpf_create_dsq no_create_dsq
#define scx_bpf_dsq_nr_queued no_dsq_nr_queued
#define scx_bpf_task_cpu no_task_cpu

static __always_inline void no_kick_cpu(s32 cpu, u64 flags) {}
static __always_inline s32 no_create_dsq(u64 dsq_id, s32 node) { return 0; }
static __always_inline s32 no_dsq_nr_queued(u64 dsq_id) { return 0; }
static __always_inline s32 no_task_cpu(const struct task_struct *p) { return 0; }
static __always_inline void kf_dsq_insert(struct task_struct *p, u64 dsq_id, u64 slice,
                                          u64 enq_flags) {}
static __always_inline bool kf_move_to_local(u64 dsq_id) { return false; }
static __always_inline void kf_set_slice(struct task_struct *p, u64 slice) {}
static __always_inline void kf_reenqueue_local(void) {}
static __always_inline void kf_reenqueue_local_of(s32 cpu) {}
