/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What a CPU runs next: the decision that its agent latched, or, where no agent decides, the class's own round robin.
 *
 * Every way goes through run_task(): acquire the core for the task's domain, then move the task out of custody into this CPU's own local
 * queue, then note the claim. Nothing is ever put into another CPU's local queue.
 */
#pragma once

#define LATCH_SLOT_BITS 24
#define LATCH_SLOT_MASK ((1u << LATCH_SLOT_BITS) - 1)
#define LATCH_IDLE LATCH_SLOT_MASK /* in place of slot + 1 */
#define LATCH(barrier, slot1) ((u64)(barrier) << LATCH_SLOT_BITS | (slot1))
#define LATCH_SLOT1(latch) ((u32)(latch) & LATCH_SLOT_MASK)
#define LATCH_BARRIER(latch) ((latch) >> LATCH_SLOT_BITS)

/* A task whose enqueue is not finished is not in custody yet; the wait for it is short, and bounded. */
#define CUSTODY_RETRIES 64
#define UNATTACHED_SLICE_NS (5 * 1000 * 1000ULL)
#define RESCUE_SLICE_NS (5 * 1000 * 1000ULL)

/* One CPU at its pick. */
struct pick {
	u32 cpu;
	u32 core_index;
	u32 sibling;
	u32 prev_slot; /* + 1, of a runnable previous task that still holds this CPU's claim */
	u32 left;      /* the core was left to others: this CPU's turn comes after their pick */
	u32 denied;    /* the last task that was tried may not have the core: this CPU waits for it */
	u32 offered;   /* what this CPU was woken for, as ghost_cpu_state has it */
	u64 now;
	struct ghost_cpu_state *cs;
	struct ghost_core_state *core;
};

enum run_result { RUN_OK, RUN_DENIED, RUN_ABSENT };

/*
 * The move may drop this CPU's run-queue lock to take another's. The task that is still on the CPU may then be changed (class, nice,
 * affinity), which shows as `running`: it must not adopt the claim that was just made for the next one.
 */
static __always_inline bool move_to_local(struct ghost_cpu_state *cs, u64 dsq)
{
	bool moved;

	WRITE_ONCE(cs->picking, 1);
	moved = kf_move_to_local(dsq);
	WRITE_ONCE(cs->picking, 0);
	return moved;
}

/* Takes `slot` to this CPU. Under this CPU's run-queue lock, which the move may drop for a moment. */
static __noinline int run_task(struct pick *pk, u32 slot, enum core_cause cause)
{
	struct ghost_cpu_state *cs = pk ? pk->cs : NULL;
	struct ghost_task *t = task_of(slot);
	struct ghost_status_word *sw;
	u32 i;

	if (!cs || !t || !pk->core)
		return RUN_ABSENT;
	pk->denied = !core_acquire(pk->core, pk->sibling, t->domain, cause);
	if (pk->denied)
		return RUN_DENIED;
	WRITE_ONCE(cs->claim, slot + 1);
	if (!move_to_local(cs, CUSTODY_DSQ(slot))) {
		WRITE_ONCE(cs->claim, 0);
		core_release(pk->core, pk->sibling);
		return RUN_ABSENT;
	}
	/*
	 * It is in our local queue and our lock is held again, so it is ours whatever happened to its word meanwhile. A transaction
	 * that latched it for somebody else finds that out from the barrier.
	 */
	t->claim_cpu = pk->cpu;
	sw = status_word_of(slot);
	if (sw)
		WRITE_ONCE(sw->cpu, pk->cpu);
	bpf_for(i, 0, CAS_TRIES) {
		u64 w = READ_ONCE(t->word);

		if (task_step(t, w, TASK_RUNQ, TASK_STATE(w) == TASK_LATCHED && cause == CAUSE_AGENT ? 0 : 1))
			break;
	}
	task_publish(slot);
	return RUN_OK;
}

/* A latch that cannot be carried out: its task is held again, and the agent is told. */
static __always_inline void latch_fail(struct pick *pk, u64 latch)
{
	u32 slot = LATCH_SLOT1(latch) - 1;
	struct ghost_task *t = task_of(slot);
	u64 w = TASK_WORD(LATCH_BARRIER(latch), TASK_LATCHED);

	__sync_fetch_and_add(&pk->core->latch_failures, 1);
	if (!t || !task_step(t, w, TASK_HELD, 1))
		return; /* it went its own way, and the message about that is in the queue */
	task_publish(slot);
	task_post(slot, GHOST_MSG_TASK_LATCH_FAILURE, 0, TASK_BARRIER(w) + 1, pk->cpu);
}

static __always_inline bool latch_take(struct ghost_cpu_state *cs, u64 latch)
{
	return __sync_val_compare_and_swap(&cs->latch, latch, 0) == latch;
}

/* Where no agent decides, a latch that one left behind must not hide its task from the class. */
static __always_inline void latch_drop(struct pick *pk)
{
	u64 latch = READ_ONCE(pk->cs->latch);

	if (latch && latch_take(pk->cs, latch))
		latch_fail(pk, latch);
}

#ifdef CORRAL_SEEDED_FAULTS
extern int bpf_iter_scx_dsq_new(struct bpf_iter_scx_dsq *it, u64 dsq_id, u64 flags) __ksym __weak;
extern struct task_struct *bpf_iter_scx_dsq_next(struct bpf_iter_scx_dsq *it) __ksym __weak;
extern void bpf_iter_scx_dsq_destroy(struct bpf_iter_scx_dsq *it) __ksym __weak;
extern bool scx_bpf_dsq_move(struct bpf_iter_scx_dsq *it, struct task_struct *p, u64 dsq_id, u64 enq_flags) __ksym __weak;

/* The seeded bug: one CPU's dispatch also puts the sibling's task into the sibling's local queue. */
static __noinline int fault_insert_for_siblings(struct pick *pk)
{
	u32 i;

	bpf_for(i, 0, GHOST_MAX_SIBLINGS) {
		struct ghost_cpu_state *cs;
		struct ghost_task *t;
		struct task_struct *p;
		u64 latch;
		u32 slot, cpu;

		if (i == pk->sibling || i >= pk->core->nr_cpus)
			continue;
		cpu = pk->core->cpus[i & 7];
		cs = cpu_state_of(cpu);
		if (!cs)
			continue;
		latch = READ_ONCE(cs->latch);
		if (!latch || LATCH_SLOT1(latch) == LATCH_IDLE || !latch_take(cs, latch))
			continue;
		slot = LATCH_SLOT1(latch) - 1;
		t = task_of(slot);
		if (!t || !task_step(t, TASK_WORD(LATCH_BARRIER(latch), TASK_LATCHED), TASK_RUNQ, 0))
			continue;
		t->claim_cpu = cpu;
		cs->claim = slot + 1;
		__sync_fetch_and_or(&pk->core->word, 1ULL << (CORE_WORD_CLAIMS_SHIFT + i));
		bpf_for_each(scx_dsq, p, CUSTODY_DSQ(slot), 0) {
			scx_bpf_dsq_move(&___it, p, SCX_DSQ_LOCAL_ON | cpu, 0);
			break;
		}
		task_publish(slot);
	}
	return 0;
}
#endif

enum latch_result { LATCH_NONE, LATCH_RAN, LATCH_STAY_IDLE };

static __noinline int pick_latched(struct pick *pk)
{
	struct ghost_cpu_state *cs = pk ? pk->cs : NULL;
	/* A decision that came to nothing still was one: what it was to replace does not stay. */
	int none = LATCH_NONE;
	u32 i;

	if (!cs || !pk->core)
		return LATCH_NONE;
	bpf_for(i, 0, 4) {
		u64 latch = READ_ONCE(cs->latch);
		struct ghost_task *t;
		int result;

		if (!latch)
			return none;
		if (LATCH_SLOT1(latch) == LATCH_IDLE) {
			latch_take(cs, latch);
			return LATCH_STAY_IDLE;
		}
		t = task_of(LATCH_SLOT1(latch) - 1);
		if (!t || READ_ONCE(t->word) != TASK_WORD(LATCH_BARRIER(latch), TASK_LATCHED)) {
			if (latch_take(cs, latch))
				latch_fail(pk, latch);
			none = LATCH_STAY_IDLE;
			continue;
		}
		result = run_task(pk, LATCH_SLOT1(latch) - 1, CAUSE_AGENT);
		if (result == RUN_OK) {
#ifdef CORRAL_SEEDED_FAULTS
			if (FAULT(LOCAL_ON_INSERT))
				fault_insert_for_siblings(pk);
#endif
			cs->latch_retries = 0;
			latch_take(cs, latch); /* a newer one is seen in `running` */
			return LATCH_RAN;
		}
		if (result == RUN_DENIED)
			return LATCH_STAY_IDLE; /* the release that empties the core kicks this CPU */
		if (cs->latch_retries++ < CUSTODY_RETRIES) {
			scx_bpf_kick_cpu(pk->cpu, 0);
			return LATCH_STAY_IDLE;
		}
		cs->latch_retries = 0;
		if (latch_take(cs, latch))
			latch_fail(pk, latch);
		none = LATCH_STAY_IDLE;
	}
	return none;
}

/* ---- without an agent ---- */

/* A held task of `domain` that may run on `cpu`, the next one after the last; slot + 1, or 0. */
__noinline u32 find_held(u32 domain, u32 cpu)
{
	struct ghost_domain *d = domain_of(domain);
	u32 block1, i, start, pass;

	if (!d || !d->nr_tasks)
		return 0;
	start = d->cursor;
	/* First the slots behind the cursor, then all of them. */
	bpf_for(pass, 0, 2) {
		block1 = d->first_block;
		bpf_for(i, 0, 64) {
			struct ghost_block *b;
			u64 used;
			u32 k;

			if (!block1)
				break;
			b = block_of(block1 - 1);
			if (!b)
				break;
			used = b->used;
			bpf_for(k, 0, GHOST_BLOCK_SLOTS) {
				u32 slot = (block1 - 1) * GHOST_BLOCK_SLOTS + k;
				struct ghost_task *t;

				if (!(used & (1ULL << k)) || (!pass && slot <= start))
					continue;
				t = task_of(slot);
				if (t && TASK_STATE(READ_ONCE(t->word)) == TASK_HELD && may_use(slot, cpu)) {
					d->cursor = slot;
					return slot + 1;
				}
			}
			block1 = b->next;
		}
	}
	return 0;
}

/* The next domain after the core's cursor that has a held task and is not `except`; slot + 1 of that task, or 0. */
__noinline u32 find_other_domain(struct ghost_core_state *core, u32 except, u32 cpu)
{
	struct ghost_class_info *info = info_of();
	u32 i, nr, cursor;

	if (!core || !info)
		return 0;
	nr = info->nr_domains;
	cursor = core->cursor;
	bpf_for(i, 0, nr) {
		u32 domain = cursor + 1 + i, slot1;
		struct ghost_domain *d;

		if (domain >= nr)
			domain -= nr;
		d = domain_of(domain);
		if (!d || !d->in_use || d->enclave != core->enclave || domain == except)
			continue;
		slot1 = find_held(domain, cpu);
		if (slot1)
			return slot1;
	}
	return 0;
}

static __always_inline u64 tenure_of(struct ghost_core_state *core)
{
	struct ghost_enclave *e = enclave_of(core->enclave);

	return e && e->tenure_ns ? e->tenure_ns : SCX_SLICE_DFL;
}

static __always_inline u32 domain_of_slot1(u32 slot1)
{
	struct ghost_task *t = slot1 ? task_of(slot1 - 1) : NULL;

	return t ? t->domain : 0;
}

/* Runs slot1 for what is left of the tenure. */
static __noinline bool run_alone(struct pick *pk, u32 slot1, u64 tenure)
{
	struct ghost_task *t = slot1 ? task_of(slot1 - 1) : NULL;
	u64 used;
	int result;

	if (!t || !pk || !pk->core)
		return false;
	result = run_task(pk, slot1 - 1, CAUSE_CLASS);
	if (result == RUN_OK) {
		used = pk->now - READ_ONCE(pk->core->owned_since_ns);
		t->slice_ns = (s64)used > 0 && used < tenure ? tenure - used : tenure;
		if (t->slice_ns < 1000000)
			t->slice_ns = 1000000;
		pk->core->cursor = t->domain;
		return true;
	}
	if (result == RUN_ABSENT && pk->cs && pk->cs->latch_retries++ < CUSTODY_RETRIES)
		scx_bpf_kick_cpu(pk->cpu, 0);
	return false;
}

/* What is left of the slice of a task that runs: SCX_SLICE_INF if it has no end, 0 if it is over. */
static __always_inline u64 slice_left(struct ghost_task *t, u64 now)
{
	u64 used = now - t->slice_since;

	if (!t->slice_ns)
		return SCX_SLICE_INF;
	return used < t->slice_ns ? t->slice_ns - used : 0;
}

/* Lets the previous task go on, if it still has what it needs. `p` is it. */
static __always_inline bool keep_prev(struct pick *pk, struct task_struct *p, u64 slice)
{
	struct ghost_task *t;

	if (!p || !pk->prev_slot)
		return false;
	t = task_of(pk->prev_slot - 1);
	/* One that is to change has to leave for it. */
	if (!t || READ_ONCE(pk->cs->claim) != pk->prev_slot || t->leaving == LEAVE_CHANGED)
		return false;
	t->slice_ns = slice == SCX_SLICE_INF ? 0 : slice;
	t->slice_since = pk->now;
	t->leaving = LEAVE_NOT;
	kf_set_slice(p, slice);
	return true;
}

/* Siblings that wait for the core, and can come. */
__noinline u32 able_waiters(struct ghost_core_state *core, u32 sibling)
{
	u32 k, able = 0, waiters = core ? core_word_waiters(READ_ONCE(core->word)) & ~(1u << (sibling & 7)) : 0;

	if (!waiters)
		return 0;
	bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
		struct ghost_cpu_state *cs;

		if (k >= core->nr_cpus)
			break;
		cs = cpu_state_of(core->cpus[k & 7]);
		if ((waiters & (1u << k)) && cs && !READ_ONCE(cs->busy) && !READ_ONCE(cs->offline))
			able |= 1u << k;
	}
	return able;
}

/* Siblings wait for what this CPU may not run, and it would only take turns with itself: the core is theirs before we come back to it. */
static __always_inline bool leave_core(struct pick *pk)
{
	u32 able = able_waiters(pk->core, pk->sibling);

	/* What others still hold is not ours to leave. */
	if (!able || (core_word_busy(READ_ONCE(pk->core->word)) & ~(1u << (pk->sibling & 7))))
		return false;
	WRITE_ONCE(pk->core->left_to, able);
	pk->prev_slot = 0;
	return true;
}

/*
 * Round robin over domains: the owner keeps the core for the tenure, its siblings are filled from it, then the next domain with held tasks
 * takes over. A sibling that stands in the way of the next domain stops taking tasks; the one that leaves last hands over.
 */
static __noinline bool pick_round(struct pick *pk)
{
	struct ghost_core_state *core = pk ? pk->core : NULL;
	u32 owner, others, mine, next;
	core_word_t w;
	u64 tenure;
	bool over;

	if (!core)
		return false;
	w = READ_ONCE(core->word);
	owner = core_word_owner(w);
	others = core_word_busy(w) & ~(1u << pk->sibling);
	tenure = tenure_of(core);
	over = pk->now - READ_ONCE(core->owned_since_ns) >= tenure;
	if (others) {
		next = over ? find_other_domain(core, owner, pk->cpu) : 0;
		if (next) {
			if (run_alone(pk, next, tenure))
				return true; /* the siblings had just left */
			/* Turned away, this CPU waits, and its task with it. */
			pk->prev_slot = 0;
			kick_siblings(core, others, SCX_KICK_PREEMPT);
			return false;
		}
		if (over && able_waiters(core, pk->sibling)) {
			pk->prev_slot = 0; /* the core is to become empty, for a sibling that waits */
			return false;
		}
		mine = find_held(owner, pk->cpu);
		if (mine && run_alone(pk, mine, tenure))
			return true;
		if (pk->prev_slot)
			return false;
		/* Nothing of the owner's for this CPU: whoever is next waits for the core here, so that its release wakes us. */
		next = find_other_domain(core, owner, pk->cpu);
		return next && run_alone(pk, next, tenure);
	}
	next = 0;
	if (!over) {
		next = find_held(owner, pk->cpu);
		if (!next && pk->prev_slot)
			return false; /* the owner's only task goes on */
	}
	if (!next)
		next = find_other_domain(core, over && pk->prev_slot ? owner : 0, pk->cpu);
	if (!next && over && leave_core(pk))
		return false;
	if (!next)
		next = find_held(owner, pk->cpu);
	return next && run_alone(pk, next, tenure);
}

static __noinline bool pick_alone(struct pick *pk)
{
	if (!pk)
		return false;
	if (!pk->left)
		return pick_round(pk);
	pk->prev_slot = 0;
	return false;
}

/* ---- what the class runs whatever an agent wants: I5 ---- */

/*
 * A task of this core waited too long (ghost_guard.bpf.h). Its CPU asks for the core until it gets it; the siblings take nothing
 * meanwhile, so it comes soon. True: this pick is settled.
 */
static __noinline bool pick_rescue(struct pick *pk)
{
	struct ghost_core_state *core = pk ? pk->core : NULL;
	struct ghost_cpu_state *cs = pk ? pk->cs : NULL;
	struct ghost_task *t;
	u32 slot1;
	int result;

	if (!core || !cs || !READ_ONCE(core->rescue))
		return false;
	slot1 = READ_ONCE(cs->rescue);
	pk->prev_slot = 0;
	if (!slot1)
		return true;
	result = run_task(pk, slot1 - 1, CAUSE_CLASS);
	if (result == RUN_DENIED)
		return true; /* the release that empties the core kicks this CPU */
	WRITE_ONCE(cs->rescue, 0);
	WRITE_ONCE(core->rescue, 0);
	kick_siblings(core, 0xff & ~(1u << pk->sibling), 0);
	t = task_of(slot1 - 1);
	if (result != RUN_OK || !t)
		return false;
	t->slice_ns = RESCUE_SLICE_NS;
	t->rescued_until = pk->now + RESCUE_SLICE_NS;
	__sync_fetch_and_add(&core->rescues, 1);
	core_post(pk->core_index, GHOST_MSG_CORE_RESCUED, pk->cpu, slot1 - 1);
	return true;
}

/* A rescued task keeps the CPU for its slice. */
static __always_inline bool keep_rescued(struct pick *pk, struct task_struct *p)
{
	struct ghost_task *t = pk->prev_slot ? task_of(pk->prev_slot - 1) : NULL;

	return t && pk->now < t->rescued_until && keep_prev(pk, p, t->rescued_until - pk->now);
}
