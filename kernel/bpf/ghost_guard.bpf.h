/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The class's own watch (I5): a task that waited longer than its enclave allows is run by the class, wherever it may run, and threads of
 * no enclave get a little time, so that neither an agent nor a stranger can have the class ejected by sched_ext's watchdog.
 */
#pragma once

#define GUARD_PERIOD_NS (50 * 1000 * 1000ULL)
/* A quarter of sched_ext's watchdog (corral_ops.timeout_ms): no task waits longer, whatever its enclave says. */
#define LONGEST_WAIT_NS (5 * 1000 * 1000 * 1000ULL)
/* A claim, or a rescue, is taken back from a task that waits that long behind other scheduling classes. */
#define LONGEST_CLAIM_NS (20 * 1000 * 1000ULL)

/* CPU `cpu` shall run the task next. False if its core is busy with another rescue. */
__noinline bool rescue_on(u32 cpu, u32 slot)
{
	struct ghost_cpu_config *cfg = cpu_config_of(cpu);
	struct ghost_cpu_state *cs = cpu_state_of(cpu);
	struct ghost_core_state *core = core_of_cpu(cfg);

	if (!core || !cs || READ_ONCE(cs->offline) || __sync_val_compare_and_swap(&core->rescue, 0, 1))
		return false;
	WRITE_ONCE(cs->rescue, slot + 1);
	kick_siblings(core, 0xff, SCX_KICK_PREEMPT);
	return true;
}

static __always_inline bool is_hogged(struct ghost_cpu_state *cs, u64 now)
{
	return cs->busy && now > cs->busy_since_ns + LONGEST_CLAIM_NS;
}

/* The CPU whose run queue the thread is in; -1 if it is gone. */
static __always_inline s32 cpu_of_thread(u32 tid)
{
	struct task_struct *p = bpf_task_from_pid(tid);
	s32 cpu = -1;

	if (!p)
		return cpu;
	cpu = scx_bpf_task_cpu(p);
	bpf_task_release(p);
	return cpu;
}

/*
 * Where: every other try on the CPU that it is on, whatever its affinity says now: preempted where migration is disabled, it can go on nowhere
 * else, and who has just changed its affinity waits for that. Otherwise on a CPU of its enclave, or else on any that it may use, because
 * it was pinned elsewhere. The gate holds there as well. Each try begins with another CPU, and CPUs that other classes use come last: they may
 * keep them for longer than sched_ext's watchdog waits.
 */
__noinline int rescue(u32 slot, u64 turn)
{
	struct ghost_status_word *sw = status_word_of(slot);
	struct ghost_class_info *info = info_of();
	struct ghost_task *t = task_of(slot);
	u32 i, pass, nr;
	s32 own;

	if (!sw || !t || !info)
		return 0;
	own = cpu_of_thread(sw->tid);
	if (own >= 0 && ((turn & 1) || (may_use(slot, own) && !cpu_is_busy(own))) && rescue_on(own, slot))
		return 0;
	nr = info->nr_cpus;
	bpf_for(pass, 0, 3) {
		bpf_for(i, 0, nr) {
			u32 cpu = (i + (u32)turn) % (nr ?: 1);
			struct ghost_core_state *core = core_of_cpu(cpu_config_of(cpu));

			if (!core || (pass < 2 && core->enclave != t->enclave) || (!pass && cpu_is_busy(cpu)) || !may_use(slot, cpu))
				continue;
			if (rescue_on(cpu, slot))
				return 0;
		}
	}
	return 0;
}

static __always_inline u64 longest_wait(struct ghost_task *t)
{
	struct ghost_enclave *e = enclave_of(t->enclave);
	u64 timeout = e ? e->runnable_timeout_ns : 0;

	return timeout && timeout < LONGEST_WAIT_NS ? timeout : LONGEST_WAIT_NS;
}

__noinline int guard_task(u32 slot, u64 now, u64 turn)
{
	struct ghost_task *t = task_of(slot);
	struct ghost_core_state *core;
	u32 state, queue;
	u64 longest;

	if (!t)
		return 0;
	state = TASK_STATE(READ_ONCE(t->word));
	longest = longest_wait(t);
	if ((state != TASK_HELD && state != TASK_LATCHED) || now < t->held_since + longest)
		return 0;
	/* Its agent's core: a queue has the number of the core whose agent reads it. */
	queue = queue_for(t);
	core = core_of(queue);
	if (core && core->enclave == t->enclave && core->agent_tid && !core->agent_stalled && now >= core->last_commit_ns + longest) {
		/* Not just this task: the agent decides nothing at all. */
		WRITE_ONCE(core->agent_stalled, 1);
		__sync_fetch_and_add(&core->rescues, 1);
		core_post(queue, GHOST_MSG_CORE_RESCUED, core->cpus[0], slot);
		kick_siblings(core, 0xff, SCX_KICK_PREEMPT);
		return 0;
	}
	return rescue(slot, turn);
}

/* Preempted by another class, a task waits in its CPU's local queue with its claim, and the siblings wait with it. */
static __always_inline void guard_claim(struct ghost_core_state *core, u32 k, u64 now)
{
	struct ghost_cpu_state *cs = cpu_state_of(core->cpus[k & 7]);

	if (cs && READ_ONCE(cs->claim) && is_hogged(cs, now))
		kf_reenqueue_local_of(core->cpus[k & 7]);
}

/* A sibling that is there has a task to rescue; what one had that went offline, or that another class keeps, is forgotten, to be tried elsewhere. */
__noinline bool rescue_pending(struct ghost_core_state *core, u64 now)
{
	bool pending = false;
	u32 k;

	if (!core)
		return false;
	bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
		struct ghost_cpu_state *cs = cpu_state_of(core->cpus[k & 7]);

		if (k >= core->nr_cpus || !cs || !READ_ONCE(cs->rescue))
			continue;
		if (READ_ONCE(cs->offline) || is_hogged(cs, now))
			WRITE_ONCE(cs->rescue, 0);
		else
			pending = true;
	}
	return pending;
}

__noinline int guard_core(u32 index, u64 now)
{
	struct ghost_core_state *core = core_of(index);
	u32 k;

	if (!core)
		return 0;
	bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
		if (k < core->nr_cpus)
			guard_claim(core, k, now);
	}
	/* It has been waiting for a whole period of ours: who stands in the way is told again. If its CPU has gone, it tries elsewhere. */
	if (READ_ONCE(core->rescue)) {
		if (!rescue_pending(core, now))
			WRITE_ONCE(core->rescue, 0);
		kick_siblings(core, 0xff, SCX_KICK_PREEMPT);
	}
	/*
	 * Who takes the CPU offline waits until no thread counts as that CPU's, and looks only when that CPU schedules. The last one may have been one
	 * that waited there and that another CPU took.
	 */
	if (READ_ONCE(core->closed))
		kick_siblings(core, 0xff, 0);
	unattached_guard(core, index, now);
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
				guard_task(i * GHOST_BLOCK_SLOTS + k, now, info->guard_runs);
		}
	}
	nr = info->nr_cores;
	bpf_for(i, 0, nr)
		guard_core(i, now);
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
