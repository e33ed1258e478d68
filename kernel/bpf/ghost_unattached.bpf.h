/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Threads of no enclave, which any user may put into SCHED_EXT: they run alone on a core, in a time that is theirs or that nobody wants. */
#pragma once

/*
 * A thread of no enclave. It trusts nobody, the others of its kind included, so it has a core for itself: core_word.h denies
 * GHOST_DOMAIN_UNATTACHED a core of which a sibling is busy.
 */
static __noinline int pick_unattached(struct pick *pk)
{
	u64 dsq;

	if (!pk || !pk->core || !pk->cs)
		return RUN_ABSENT;
	dsq = UNATTACHED_DSQ(pk->core_index);
	if (!scx_bpf_dsq_nr_queued(dsq))
		return RUN_ABSENT;
	pk->denied = !core_acquire(pk->core, pk->sibling, GHOST_DOMAIN_UNATTACHED, CAUSE_CLASS) && !FAULT(STRANGERS_UNGATED);
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
	if (pk->sibling != READ_ONCE(pk->core->unattached_turn))
		return true; /* makes room */
	if (pick_unattached(pk) != RUN_ABSENT)
		return true; /* denied: this CPU waits for its siblings to leave */
	/* None of them may use this CPU: the time is the others' again. */
	WRITE_ONCE(pk->core->unattached_until_ns, 0);
	kick_siblings(pk->core, 0xff & ~(1u << (pk->sibling & 7)), 0);
	return false;
}
