/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The host's own threads, where the class has all of them (`scope: host`, sched_ext's full switch). Nobody attached them, so they are threads
 * of no enclave (ghost_unattached.bpf.h), with these differences: they trust each other, so two of them may share a core, never with a
 * VM; they take turns with the VMs that want the core, half of the time at most; and whom no CPU wants elsewhere, an idle one takes. No agent
 * has a say in that. A kernel thread that is bound to its CPU is part of the kernel there: it runs at once, beside whom it likes, as in core
 * scheduling.
 */
#pragma once

static __always_inline bool whole_host(void)
{
	struct ghost_class_info *info = info_of();

	return info && READ_ONCE(info->whole_host);
}

/* Of threads in the class, those that its gate lets pass. */
static __always_inline bool is_exempt(struct task_struct *p)
{
	return p->policy != SCHED_EXT && (p->flags & PF_KTHREAD) && p->nr_cpus_allowed == 1 && whole_host();
}

static __always_inline bool is_fair(u32 policy)
{
	return policy == SCHED_NORMAL || policy == SCHED_BATCH || policy == SCHED_IDLE;
}

/* Of all threads, those that the gate holds back: the others are in classes above ours, or exempt. */
static __always_inline bool is_gated(struct task_struct *p)
{
	if (p->policy == SCHED_EXT)
		return true;
	return p->pid && is_fair(p->policy) && whole_host() && !is_exempt(p);
}

/* Of threads of no enclave. */
static __always_inline u32 unattached_domain(void)
{
	return whole_host() ? GHOST_DOMAIN_WHOLE_HOST : GHOST_DOMAIN_UNATTACHED;
}
