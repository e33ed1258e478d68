/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Threads of no enclave, which any user may put into SCHED_EXT: they run alone on a core, in a time that is theirs or that nobody wants. */
#pragma once

/* Per core and for threads of no enclave: once in this time, for that long; longer only when they are so many that one would wait too long. */
#define UNATTACHED_PERIOD_NS (100 * 1000 * 1000ULL)
#define UNATTACHED_TIME_NS (5 * 1000 * 1000ULL)
#define UNATTACHED_TIME_EACH_NS (40 * 1000ULL)
#define UNATTACHED_TIME_MAX_NS (90 * 1000 * 1000ULL)
/* Of a thread of the host with the weight of nice 0. */
#define HOST_SLICE_NS (12 * 1000 * 1000ULL)

/*
 * A thread of no enclave, from `dsq`. It trusts nobody, the others of its kind included, so it has a core for itself: core_word.h denies
 * GHOST_DOMAIN_UNATTACHED a core of which a sibling is busy.
 */
static __noinline int pick_unattached_from(struct pick *pk, u64 dsq, enum core_cause cause)
{
	if (!pk || !pk->core || !pk->cs || !scx_bpf_dsq_nr_queued(dsq))
		return RUN_ABSENT;
	pk->denied = !core_acquire(pk->core, pk->sibling, unattached_domain(), cause) && !FAULT(STRANGERS_UNGATED);
	if (pk->denied)
		return RUN_DENIED;
	/* Before the move, as in run_task(): what becomes of the previous thread meanwhile must not give up this claim. */
	WRITE_ONCE(pk->cs->claim, UNATTACHED_CLAIM_ANY);
	if (!move_to_local(pk->cs, dsq)) {
		WRITE_ONCE(pk->cs->claim, 0);
		core_release(pk->core, pk->sibling);
		return RUN_ABSENT;
	}
	return RUN_OK;
}

/* One of those that wait for this core, or of the host's for another one. */
static __noinline int pick_unattached(struct pick *pk)
{
	struct ghost_class_info *info = info_of();
	u32 i, nr, other;
	int result;

	if (!pk || !info)
		return RUN_ABSENT;
	result = pick_unattached_from(pk, UNATTACHED_DSQ(pk->core_index), CAUSE_CLASS);
	if (result != RUN_ABSENT || !whole_host())
		return result;
	nr = info->nr_cores;
	bpf_for(i, 1, nr) {
		other = pk->core_index + i < nr ? pk->core_index + i : pk->core_index + i - nr;
		if (pick_unattached_from(pk, UNATTACHED_DSQ(other), CAUSE_ELSEWHERE) == RUN_OK)
			return RUN_OK;
		pk->denied = 0;
	}
	return RUN_ABSENT;
}

/* ---- their time ---- */

/* The next sibling that is there, round about. */
static __always_inline u32 next_turn(struct ghost_core_state *core)
{
	u32 i, k, turn = core->unattached_turn;

	bpf_for(i, 0, GHOST_MAX_SIBLINGS) {
		struct ghost_cpu_state *cs;

		k = (turn + 1 + i) & 7;
		if (k >= core->nr_cpus)
			continue;
		cs = cpu_state_of(core->cpus[k & 7]);
		if (cs && !READ_ONCE(cs->offline))
			return k;
	}
	return turn;
}

/*
 * Each sibling asks again who runs. Where another class has the CPU at this moment, an agent for instance, a kick is not enough: whom that
 * class pushed aside would come back out of the CPU's local queue without a question.
 */
__noinline int ask_again(struct ghost_core_state *core)
{
	u32 k;

	if (!core)
		return 0;
	bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
		if (k < core->nr_cpus && cpu_is_busy(core->cpus[k & 7]))
			kf_reenqueue_local_of(core->cpus[k & 7]);
	}
	kick_siblings(core, 0xff, SCX_KICK_PREEMPT);
	return 0;
}

static __always_inline int give_time(struct ghost_core_state *core, u64 now, u64 time)
{
	WRITE_ONCE(core->unattached_turn, next_turn(core));
	core->unattached_time_ns = now;
	WRITE_ONCE(core->unattached_until_ns, now + time);
	return ask_again(core);
}

/* The class's own watch gives them time, however long others want the core. */
__noinline int unattached_guard(struct ghost_core_state *core, u32 index, u64 now)
{
	u32 queued = scx_bpf_dsq_nr_queued(UNATTACHED_DSQ(index));
	u64 time = queued * UNATTACHED_TIME_EACH_NS;

	if (!core || !queued || now < core->unattached_time_ns + (whole_host() ? 2 * UNATTACHED_TIME_NS : UNATTACHED_PERIOD_NS))
		return 0;
	if (time < UNATTACHED_TIME_NS)
		time = UNATTACHED_TIME_NS;
	if (time > UNATTACHED_TIME_MAX_NS)
		time = UNATTACHED_TIME_MAX_NS;
	return give_time(core, now, time);
}

/*
 * By its weight, so that threads that take turns get their shares; long enough, because the kernel ends a slice at a timer tick, of which there
 * may be 250 a second.
 */
static __always_inline u64 host_slice(struct task_struct *p)
{
	u64 slice = HOST_SLICE_NS * p->scx.weight / 100;

	if (slice < HOST_SLICE_NS / 12)
		return HOST_SLICE_NS / 12;
	return slice > HOST_SLICE_NS * 4 ? HOST_SLICE_NS * 4 : slice;
}

/* Then the core is the VMs' again. */
static __always_inline void end_with_time(struct ghost_core_state *core, struct task_struct *p)
{
	u64 now = bpf_ktime_get_ns(), until = READ_ONCE(core->unattached_until_ns);

	if (core->enclave && now < until && whole_host())
		kf_set_slice(p, until - now);
}

/*
 * A thread of the host waits for the core, which VMs have to leave at once, unless the host had it just before. What the host has, it keeps
 * only as long as nobody else wants it.
 */
__noinline int host_waits(struct ghost_core_state *core, u64 now)
{
	core_word_t w;
	u64 until;

	if (!core)
		return 0;
	w = READ_ONCE(core->word);
	until = READ_ONCE(core->unattached_until_ns);
	if (now < until || (core_word_busy(w) && (core_word_owner(w) == GHOST_DOMAIN_WHOLE_HOST || now < until + UNATTACHED_TIME_NS)))
		return 0;
	return give_time(core, now, UNATTACHED_TIME_NS);
}

/* Who runs in that time keeps the CPU to its end, whatever the agent has decided meanwhile. */
static __always_inline bool keep_unattached(struct pick *pk, struct task_struct *prev, u64 until)
{
	if (!prev || !(prev->scx.flags & SCX_TASK_QUEUED) || READ_ONCE(pk->cs->claim) != UNATTACHED_CLAIM(prev->pid))
		return false;
	kf_set_slice(prev, until - pk->now);
	return true;
}

/*
 * The time that the guard set aside for them, each time on another sibling: one who may use only that one would otherwise wait for ever
 * for another of his kind. True: this pick is settled.
 */
static __always_inline bool pick_unattached_in_time(struct pick *pk, struct task_struct *prev)
{
	u64 until = READ_ONCE(pk->core->unattached_until_ns);

	if (pk->now >= until)
		return false;
	if (!scx_bpf_dsq_nr_queued(UNATTACHED_DSQ(pk->core_index)))
		return keep_unattached(pk, prev, until);
	pk->prev_slot = 0;
	if (pk->sibling != READ_ONCE(pk->core->unattached_turn) && !whole_host())
		return true; /* makes room */
	/* Denied, this CPU waits for its siblings to leave. And the host's may be for a sibling alone. */
	if (pick_unattached_from(pk, UNATTACHED_DSQ(pk->core_index), CAUSE_CLASS) != RUN_ABSENT || whole_host())
		return true;
	/* None of them may use this CPU: the time is the others' again. */
	WRITE_ONCE(pk->core->unattached_until_ns, 0);
	kick_siblings(pk->core, 0xff & ~(1u << (pk->sibling & 7)), 0);
	return false;
}
