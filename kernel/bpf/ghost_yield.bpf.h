/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Directed yield: a task that spins makes way for one that may hold what it waits for. KVM asks for that when a vCPU executes PAUSE in a
 * loop, trying one vCPU of the VM after the other (kvm_vcpu_on_spin(), yield_to()) until it is told that something was done.
 *
 * A task gives away its own time only, and to its own domain only, so the others neither gain nor lose. What is done, the first that can be:
 *
 *   beside it  an idle sibling of its core takes the other task, and the one that yields goes on;
 *   in place   its own CPU takes the other task, which then has what is left of its stint; no agent wakes up for that. Both tasks must be
 *              offered (ghost_offer.bpf.h), because one whose time is watched is switched by its agent alone. One of another core comes only
 *              while that is another domain's: otherwise it can run there, and two agents would be busy with where it is;
 *   by agents  one that both have in common is told by TASK_YIELD, and the CPU is left to its decision. Otherwise the other task's is told by
 *              CORE_YIELDED_TO, once for each time that the task waits, and the one that yields goes on.
 *
 * Locks: the run queues of both tasks. Nothing here takes another, or calls what is not allowed under them.
 */
#pragma once

static __always_inline bool agent_decides(struct ghost_core_state *core)
{
	return READ_ONCE(core->agent_tid) && !READ_ONCE(core->agent_stalled);
}

static __always_inline bool has_core(struct ghost_core_state *core, u32 domain)
{
	core_word_t w = READ_ONCE(core->word);

	return core_word_claims(w) && core_word_owner(w) == domain;
}

/* The CPU, where `from` runs, may take `slot` in its place. Asked again at the pick. */
__noinline bool may_replace(u32 cpu, u32 from, u32 slot)
{
	struct ghost_core_state *core = core_of_cpu(cpu_config_of(cpu));
	struct ghost_task *f = task_of(from), *t = task_of(slot);

	if (!core || !f || !t || !may_use(slot, cpu) || !slice_left(f, bpf_ktime_get_ns()))
		return false;
	if (!agent_decides(core))
		return core->enclave == t->enclave;
	return READ_ONCE(f->offer) && core_may_take(core, t);
}

/* At once, if the core is its domain's anyway; otherwise when its agent next has something to do. */
__noinline bool tell_of_yield(u32 slot, s32 cpu)
{
	struct ghost_status_word *sw = status_word_of(slot);
	struct ghost_task *t = task_of(slot);
	struct ghost_core_state *home;
	u32 queue;

	if (!sw || !t)
		return false;
	queue = queue_for(t);
	home = core_of(queue);
	if (!home || home->enclave != t->enclave || !agent_decides(home) || __sync_lock_test_and_set(&t->yielded_to, 1))
		return false;
	core_tell(queue, GHOST_MSG_CORE_YIELDED_TO, cpu, sw->gtid, !has_core(home, t->domain));
	return true;
}

enum yield_result {
	YIELD_REFUSED,
	YIELD_STAYS, /* something was done, and the one that yields goes on */
	YIELD_LEAVES,
};

/* `from` runs on `cpu` and yields to `slot`. */
__noinline int yield_to_slot(u32 cpu, u32 from, u32 slot)
{
	struct ghost_core_state *core = core_of_cpu(cpu_config_of(cpu)), *home;
	struct ghost_task *f = task_of(from), *t = task_of(slot);
	struct ghost_cpu_state *cs = cpu_state_of(cpu);
	bool agents, free;
	u32 beside;

	if (!core || !cs || !f || !t || from == slot || f->domain != t->domain || f->enclave != t->enclave)
		return YIELD_REFUSED;
	/* It runs already, or sleeps; or the one that yields is to leave anyway, or not to be disturbed. */
	if (TASK_STATE(READ_ONCE(t->word)) != TASK_HELD || READ_ONCE(cs->claim) != from + 1 || READ_ONCE(cs->latch) ||
	    f->leaving != LEAVE_NOT || f->rescued_until)
		return YIELD_REFUSED;
	beside = idle_cpu_of(core, slot, cpu);
	if (beside) {
		wake_for_offer(beside - 1, slot + 1);
		return YIELD_STAYS;
	}
	home = core_of(queue_for(t));
	agents = home == core && queue_for(f) == queue_for(t) && may_use(slot, cpu);
	free = !home || home == core || !agent_decides(home) || !has_core(home, t->domain);
	if (agents || (free && may_replace(cpu, from, slot))) {
		f->yields_to = slot + 1;
		f->leaving = LEAVE_YIELD;
		return YIELD_LEAVES;
	}
	return tell_of_yield(slot, cpu) ? YIELD_STAYS : YIELD_REFUSED;
}

/* The task in whose favour this CPU's previous task has yielded. True: this pick is settled. */
static __noinline bool pick_yielded_to(struct pick *pk)
{
	struct ghost_task *f = pk && pk->prev_slot ? task_of(pk->prev_slot - 1) : NULL, *t;
	u32 slot1 = f && f->leaving == LEAVE_YIELD ? f->yields_to : 0;
	u64 left;

	if (!slot1 || !pk->core || !pk->cs || pk->left)
		return false;
	t = task_of(slot1 - 1);
	if (!t || t->domain != f->domain || !may_replace(pk->cpu, pk->prev_slot - 1, slot1 - 1))
		return false;
	left = slice_left(f, pk->now);
	if (!agent_decides(pk->core)) {
		if (TASK_STATE(READ_ONCE(t->word)) != TASK_HELD || run_task(pk, slot1 - 1, CAUSE_CLASS) != RUN_OK)
			return false;
		t->slice_ns = left == SCX_SLICE_INF ? tenure_of(pk->core) : left;
		return true;
	}
	if (take_offered(pk, slot1 - 1) != RUN_OK)
		return false;
	if (left != SCX_SLICE_INF && (!t->slice_ns || t->slice_ns > left))
		t->slice_ns = left;
	f->leaving = LEAVE_REPLACED;
	WRITE_ONCE(pk->cs->lent, distance(t, pk->core) != GHOST_OFFER_CORE);
	return true;
}

/* A guest took the place of one that yielded, and the agent, which was told quietly, may not know that one waits. Now the CPU has nobody. */
static __always_inline void end_loan(struct pick *pk)
{
	if (!READ_ONCE(pk->cs->lent) || READ_ONCE(pk->cs->claim))
		return;
	WRITE_ONCE(pk->cs->lent, 0);
	agent_poke(pk->core->queue);
}
