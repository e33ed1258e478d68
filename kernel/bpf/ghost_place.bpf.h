/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Where threads of no enclave go, and wait: their CPU when they wake up, and the queue of its core. */
#pragma once

/* A CPU of a core that no enclave has, for a thread of no enclave: there it disturbs nobody. */
static __noinline s32 free_cpu(struct task_struct *p, s32 prev_cpu)
{
	struct ghost_class_info *info = info_of();
	struct ghost_core_state *core;
	u32 i, nr, cpu;

	if (!info || !p)
		return prev_cpu;
	nr = info->nr_cpus;
	bpf_for(i, 0, nr) {
		cpu = prev_cpu + i < nr ? prev_cpu + i : prev_cpu + i - nr;
		core = core_of_cpu(cpu_config_of(cpu));
		if (core && !core->enclave && bpf_cpumask_test_cpu(cpu, p->cpus_ptr) && !cpu_is_offline(cpu))
			return cpu;
	}
	return settled_cpu(p, prev_cpu);
}

/* A CPU where a thread of the host can begin at once, best of all on a core that no enclave has. */
static __noinline s32 host_cpu(struct task_struct *p, s32 prev_cpu)
{
	struct ghost_class_info *info = info_of();
	struct ghost_cpu_config *cfg;
	struct ghost_core_state *core;
	s32 found = -1;
	u32 i, nr, cpu;
	core_word_t w;

	if (!info || !p)
		return prev_cpu;
	nr = info->nr_cpus;
	bpf_for(i, 0, nr) {
		cpu = prev_cpu + i < nr ? prev_cpu + i : prev_cpu + i - nr;
		cfg = cpu_config_of(cpu);
		core = core_of_cpu(cfg);
		if (!core || READ_ONCE(core->closed) || cpu_is_busy(cpu) || !bpf_cpumask_test_cpu(cpu, p->cpus_ptr))
			continue;
		w = READ_ONCE(core->word);
		if ((core_word_busy(w) & (1u << (cfg->sibling & 7))) || (core_word_busy(w) && core_word_owner(w) != GHOST_DOMAIN_WHOLE_HOST))
			continue;
		if (!core->enclave)
			return cpu;
		if (found < 0)
			found = cpu;
	}
	return found < 0 ? settled_cpu(p, prev_cpu) : found;
}

static __always_inline void release_unattached(struct task_struct *p, s32 cpu, u64 enq_flags)
{
	claim_release(cpu, UNATTACHED_CLAIM(p->pid));
	/* It may have waited in the core's queue as well, and who is in the local one goes on. */
	if ((enq_flags & SCX_ENQ_REENQ) && !scx_bpf_dsq_nr_queued(SCX_DSQ_LOCAL_ON | cpu))
		claim_release(cpu, UNATTACHED_CLAIM_ANY);
}

/* A core where CPUs do not come and go at this moment: whoever takes one offline must get on with it. */
static __noinline u32 open_core(struct task_struct *p, u32 index)
{
	struct ghost_class_info *info = info_of();
	struct ghost_core_state *core = core_of(index);
	u32 i, nr;

	if (!p || !info || !core || !READ_ONCE(core->closed))
		return index;
	nr = info->nr_cores;
	bpf_for(i, 0, nr) {
		core = core_of(i);
		if (core && !READ_ONCE(core->closed) && bpf_cpumask_test_cpu(core->cpus[0], p->cpus_ptr))
			return i;
	}
	return index;
}

static __noinline int enqueue_host(struct task_struct *p, u32 home, u64 enq_flags)
{
	u32 index = p ? open_core(p, home) : home;
	struct ghost_core_state *core = core_of(index);

	if (!p || !core)
		return 0;
	kf_dsq_insert(p, UNATTACHED_DSQ(index), host_slice(p), enq_flags);
	kick_siblings(core, 0xff, SCX_KICK_IDLE);
	return host_waits(core, bpf_ktime_get_ns());
}

/*
 * At once. But one that gives up its CPU at this moment, or waits for it, would preempt whom it was preempted by, and be preempted in turn:
 * hotplug's thread and the one of the soft interrupts did that without end.
 */
static __always_inline void enqueue_exempt(struct task_struct *p, u64 enq_flags)
{
	if (!(enq_flags & SCX_ENQ_REENQ) && bpf_get_current_task_btf() != p)
		enq_flags |= SCX_ENQ_PREEMPT;
	kf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, enq_flags);
}

static __always_inline void enqueue_unattached(struct task_struct *p, s32 cpu, u64 enq_flags)
{
	struct ghost_cpu_config *cfg = cpu_config_of(cpu);
	struct ghost_core_state *core = core_of_cpu(cfg);

	if (is_exempt(p)) {
		enqueue_exempt(p, enq_flags);
		return;
	}
	if (!cfg || !core) {
		kf_dsq_insert(p, ORPHAN_DSQ, UNATTACHED_SLICE_NS, enq_flags);
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
		return;
	}
	release_unattached(p, cpu, enq_flags);
	if (whole_host()) {
		enqueue_host(p, cfg->core, enq_flags);
		return;
	}
	kf_dsq_insert(p, UNATTACHED_DSQ(cfg->core), UNATTACHED_SLICE_NS, enq_flags);
	/* Any sibling that idles; which of them the thread may use, the move from the queue finds out. */
	kick_siblings(core, 0xff, SCX_KICK_IDLE);
}
