/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The class's own watch (I5): a task that waited longer than its enclave allows is run by the class, and threads of no enclave get a
 * little time, so that neither an agent nor a stranger can have the class ejected by sched_ext's watchdog.
 */
#pragma once

#define GUARD_PERIOD_NS (50 * 1000 * 1000ULL)
/* Once in this time, for one slice of UNATTACHED_SLICE_NS: 5 % of one core. */
#define UNATTACHED_PERIOD_NS (100 * 1000 * 1000ULL)

static __noinline int guard_task(u32 slot, u64 now)
{
	struct ghost_task *t = task_of(slot);
	struct ghost_core_state *core;
	struct ghost_enclave *e;
	u32 state;

	if (!t)
		return 0;
	state = TASK_STATE(READ_ONCE(t->word));
	e = enclave_of(t->enclave);
	if (!e || !e->runnable_timeout_ns || (state != TASK_HELD && state != TASK_LATCHED) ||
	    now < t->held_since + e->runnable_timeout_ns)
		return 0;
	/* Its agent's core: a queue has the number of the core whose agent reads it. */
	core = core_of(queue_for(t));
	if (!core || core->enclave != t->enclave || !core->agent_tid || core->agent_stalled ||
	    now < core->last_commit_ns + e->runnable_timeout_ns)
		return 0;
	WRITE_ONCE(core->agent_stalled, 1);
	__sync_fetch_and_add(&core->rescues, 1);
	core_post(core, GHOST_MSG_CORE_RESCUED);
	kick_siblings(core, 0xff, SCX_KICK_PREEMPT);
	return 0;
}

static __noinline int guard_unattached(u64 now)
{
	struct ghost_class_info *info = info_of();
	struct ghost_core_state *core;
	u32 i, nr;

	if (!info || now < info->unattached_time_ns + UNATTACHED_PERIOD_NS || !scx_bpf_dsq_nr_queued(UNATTACHED_DSQ))
		return 0;
	nr = info->nr_cores;
	core = core_of((u32)(info->guard_runs % (nr ?: 1)));
	if (!core || !core->enclave)
		return 0;
	bpf_for(i, 0, GHOST_MAX_SIBLINGS) {
		struct ghost_cpu_state *cs = cpu_state_of(core->cpus[i & 7]);

		if (i < core->nr_cpus && cs)
			WRITE_ONCE(cs->rescue, 1);
	}
	kick_siblings(core, 0xff, SCX_KICK_PREEMPT);
	return 0;
}

static int guard_tick(void *map, int *key, struct guard_timer *g)
{
	struct ghost_class_info *info = info_of();
	u64 now = bpf_ktime_get_ns();
	u32 i, k, nr;

	if (!info)
		return 0;
	nr = info->nr_slots / GHOST_BLOCK_SLOTS;
	bpf_for(i, 0, nr) {
		struct ghost_block *b = block_of(i);
		u64 used = b ? b->used : 0;

		if (!used)
			continue;
		bpf_for(k, 0, GHOST_BLOCK_SLOTS) {
			if (used & (1ULL << k))
				guard_task(i * GHOST_BLOCK_SLOTS + k, now);
		}
	}
	guard_unattached(now);
	info->guard_runs++;
	bpf_timer_start(&g->timer, GUARD_PERIOD_NS, 0);
	return 0;
}

static __always_inline int guard_start(void)
{
	struct guard_timer *g;
	u32 zero = 0;

	g = bpf_map_lookup_elem(&guard, &zero);
	if (!g)
		return -ENOENT;
	bpf_timer_init(&g->timer, &guard, 1 /* CLOCK_MONOTONIC */);
	bpf_timer_set_callback(&g->timer, guard_tick);
	return bpf_timer_start(&g->timer, GUARD_PERIOD_NS, 0);
}
