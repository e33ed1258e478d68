/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Offered tasks: those that an idle CPU may take without being told, which spares a wake-up the way through an agent, and lets cores share what
 * is runnable at the moment (ghOSt's acceleration of pick_next_task, SOSP'21 section 3.4). The agent said beforehand who may (struct
 * ghost_task_offer), and hears of it afterwards.
 *
 * Two ways lead there. A task that becomes runnable looks for an idle CPU: on the core that it lives on, then in that core's NUMA node, then
 * elsewhere, as far as it is offered. If there is none it is put up on the board of its node, where CPUs look that find nothing else to do: a
 * CPU counts as looking before it reads the board, and the task is there before it looks for such a CPU, so they cannot miss each other.
 *
 * Who finds a CPU on his own core needs no agent now, so the agent is not woken: it would take a CPU from the very task. If that CPU then
 * cannot take the task, or others have it, the agent is woken after all (offer_missed()).
 *
 * Only a core that is empty, or its domain's, takes it, and it asks the core's word as everybody does. Whoever lives on that core goes before it.
 */
#pragma once

static __always_inline u32 node_of_core(struct ghost_core_state *core)
{
	struct ghost_cpu_config *cfg = cpu_config_of(core->cpus[0]);

	return cfg ? cfg->node : 0;
}

/* A decision for another domain is on its way to a sibling. */
__noinline bool decided_otherwise(struct ghost_core_state *core, u32 domain)
{
	u32 k;

	if (!core)
		return true;
	bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
		struct ghost_cpu_state *cs = cpu_state_of(core->cpus[k & 7]);
		u64 latch = cs && k < core->nr_cpus ? READ_ONCE(cs->latch) : 0;

		if (latch && LATCH_SLOT1(latch) != LATCH_IDLE && domain_of_slot1(LATCH_SLOT1(latch)) != domain)
			return true;
	}
	return false;
}

/* How far the task is from home there, as enum ghost_offer counts. */
static __always_inline u32 distance(struct ghost_task *t, struct ghost_core_state *core)
{
	struct ghost_core_state *home = core_of(queue_for(t));

	if (!home || home == core)
		return GHOST_OFFER_CORE;
	return node_of_core(home) == node_of_core(core) ? GHOST_OFFER_NODE : GHOST_OFFER_MACHINE;
}

/*
 * Nobody has anything to do on the core but, perhaps, the task's own domain; nobody waits for it, and an agent serves it. On another node a
 * sibling of a busy core is worth less than the way there.
 */
static __always_inline bool core_may_take(struct ghost_core_state *core, struct ghost_task *t)
{
	core_word_t w = READ_ONCE(core->word);
	u32 far = distance(t, core);

	if (READ_ONCE(t->offer) < far || decided_otherwise(core, t->domain))
		return false;
	if (core->enclave != t->enclave || !READ_ONCE(core->agent_tid) || READ_ONCE(core->agent_stalled) || READ_ONCE(core->closed))
		return false;
	if (READ_ONCE(core->rescue) || host_on(core, ~0u) || READ_ONCE(core->left_to) || core_word_waiters(w) || core_word_handover(w))
		return false;
	return !core_word_busy(w) || (core_word_owner(w) == t->domain && far < GHOST_OFFER_MACHINE);
}

/* An idle CPU of the core that may run the task, `first` before others: there it ran last, and is woken; + 1, or 0. */
__noinline u32 idle_cpu_of(struct ghost_core_state *core, u32 slot, u32 first)
{
	struct ghost_task *t = task_of(slot);
	u32 k, found = 0, claims;

	if (!core || !t || !core_may_take(core, t))
		return 0;
	claims = core_word_busy(READ_ONCE(core->word));
	bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
		u32 cpu = core->cpus[k & 7];
		struct ghost_cpu_state *cs;

		if (k >= core->nr_cpus)
			break;
		cs = cpu_state_of(cpu);
		if (!cs || (claims & (1u << k)) || READ_ONCE(cs->busy) || READ_ONCE(cs->offline) || READ_ONCE(cs->latch) || READ_ONCE(cs->offered))
			continue;
		if (!may_use(slot, cpu) || (found && cpu != first))
			continue;
		found = cpu + 1;
	}
	return found;
}

#define OFFERED_BOARD 0xffffffffu /* ghost_cpu_state.offered: some task on the board */

/* What a CPU was woken for it did not take: the task's agent does not know yet that it waits. */
__noinline int offer_missed(u32 offered)
{
	struct ghost_task *t = offered && offered != OFFERED_BOARD ? task_of(offered - 1) : NULL;

	if (t && TASK_STATE(READ_ONCE(t->word)) == TASK_HELD)
		agent_poke(queue_for(t));
	return 0;
}

__noinline int wake_for_offer(u32 cpu, u32 offered)
{
	struct ghost_cpu_state *cs = cpu_state_of(cpu);

	if (!cs)
		return 0;
	offer_missed(__sync_lock_test_and_set(&cs->offered, offered));
	/* Others came just now, and looked before: see switch_availability(). */
	if (READ_ONCE(cs->busy))
		offer_missed(__sync_lock_test_and_set(&cs->offered, 0));
	else
		scx_bpf_kick_cpu(cpu, 0);
	return 0;
}

/* An idle CPU of another core, in `node` or in any other; + 1, or 0. */
__noinline u32 idle_cpu_elsewhere(u32 slot, u32 home, u32 cpu, u32 node, bool there)
{
	struct ghost_class_info *info = info_of();
	u32 i, nr, found;

	if (!info)
		return 0;
	nr = info->nr_cores;
	bpf_for(i, 1, nr) {
		u32 c = home + i;
		struct ghost_core_state *core;
		struct ghost_board *board;

		if (c >= nr)
			c -= nr;
		core = core_of(c);
		if (!core || (node_of_core(core) == node) != there)
			continue;
		board = board_of(node_of_core(core));
		if (!board || !READ_ONCE(board->looking))
			continue;
		found = idle_cpu_of(core, slot, cpu);
		if (found)
			return found;
	}
	return 0;
}

/* The task has just become runnable, on `cpu`. An idle CPU of the core that it lives on; + 1, or 0. */
static __always_inline u32 idle_cpu_at_home(struct ghost_task *t, u32 slot, u32 cpu)
{
	return READ_ONCE(t->offer) ? idle_cpu_of(core_of(queue_for(t)), slot, cpu) : 0;
}

/* There was none. */
__noinline int offer_elsewhere(u32 slot, u32 cpu, u64 barrier)
{
	struct ghost_task *t = task_of(slot);
	u32 home, node, at, found = 0;
	struct ghost_core_state *core;
	struct ghost_board *board;

	if (!t || READ_ONCE(t->offer) < GHOST_OFFER_NODE)
		return 0;
	home = queue_for(t);
	core = core_of(home);
	if (!core)
		return 0;
	node = node_of_core(core);
	board = board_of(node);
	if (!board)
		return 0;
	at = __sync_fetch_and_add(&board->next, 1);
	__sync_lock_test_and_set(&board->entry[at & (BOARD_ENTRIES - 1)], LATCH(barrier, slot + 1));
	if (READ_ONCE(board->looking))
		found = idle_cpu_elsewhere(slot, home, cpu, node, true);
	if (!found && READ_ONCE(t->offer) >= GHOST_OFFER_MACHINE)
		found = idle_cpu_elsewhere(slot, home, cpu, node, false);
	if (found)
		wake_for_offer(found - 1, OFFERED_BOARD);
	return 0;
}

/* Takes the task, if this CPU may and it is still to be had. */
static __noinline int take_offered(struct pick *pk, u32 slot)
{
	struct ghost_task *t = task_of(slot);
	int result = RUN_DENIED;
	u32 far;
	u64 w;

	if (!t || !pk || !pk->core || !pk->cs)
		return RUN_DENIED;
	w = READ_ONCE(t->word);
	far = distance(t, pk->core);
	if (TASK_STATE(w) != TASK_HELD || !core_may_take(pk->core, t) || !may_use(slot, pk->cpu))
		return RUN_DENIED;
	if (!task_step(t, w, TASK_LATCHED, 0))
		return RUN_DENIED;
	t->slice_ns = far == GHOST_OFFER_CORE ? 0 : tenure_of(pk->core);
	t->run_flags = 0;
	/* Once more: it may have been revoked before the step (ghost_task_offer_prog()). */
	if (READ_ONCE(t->offer) >= far)
		result = run_task(pk, slot, CAUSE_OFFER);
	if (result != RUN_OK) {
		task_step(t, TASK_WORD(TASK_BARRIER(w), TASK_LATCHED), TASK_HELD, 0);
		return result;
	}
	/* A decision that came meanwhile goes first. What it has to send away it looks for after its latches, and we for those after our claim. */
	if (decided_otherwise(pk->core, t->domain)) {
		__sync_val_compare_and_swap(&pk->cs->latch, 0, LATCH(0, LATCH_IDLE));
		scx_bpf_kick_cpu(pk->cpu, SCX_KICK_PREEMPT);
	}
	__sync_fetch_and_add(&pk->core->taken, 1);
	task_post(slot, GHOST_MSG_TASK_ON_CPU, GHOST_MSG_F_OFFERED | POST_QUIETLY, TASK_BARRIER(READ_ONCE(t->word)), pk->cpu);
	return RUN_OK;
}

/* The oldest entry of the board that this CPU can have. What is out of date is taken down. */
static __noinline bool take_from_board(struct pick *pk, u32 node)
{
	struct ghost_board *board = board_of(node);
	u32 i, first;

	if (!board || !pk)
		return false;
	first = READ_ONCE(board->next);
	bpf_for(i, 0, BOARD_ENTRIES) {
		u64 *place = &board->entry[(first + i) & (BOARD_ENTRIES - 1)], entry = READ_ONCE(*place);
		bool taken = false;
		struct ghost_task *t;

		if (!entry)
			continue;
		t = task_of(LATCH_SLOT1(entry) - 1);
		if (t && READ_ONCE(t->word) == TASK_WORD(LATCH_BARRIER(entry), TASK_HELD)) {
			taken = take_offered(pk, LATCH_SLOT1(entry) - 1) == RUN_OK;
			if (!taken)
				continue;
		}
		__sync_val_compare_and_swap(place, entry, 0);
		if (taken)
			return true;
	}
	return false;
}

static __always_inline void start_looking(struct ghost_core_state *core, struct ghost_cpu_state *cs)
{
	struct ghost_board *board = READ_ONCE(cs->looking) ? NULL : board_of(node_of_core(core));

	if (board && !__sync_val_compare_and_swap(&cs->looking, 0, 1))
		__sync_fetch_and_add(&board->looking, 1);
}

static __always_inline void stop_looking(struct ghost_cpu_config *cfg, struct ghost_cpu_state *cs)
{
	struct ghost_board *board = READ_ONCE(cs->looking) ? board_of(cfg->node) : NULL;

	if (board && __sync_val_compare_and_swap(&cs->looking, 1, 0) == 1)
		__sync_fetch_and_sub(&board->looking, 1);
}

/* The task that this CPU was woken for. True: this pick is settled. */
static __always_inline bool take_home(struct pick *pk)
{
	int result;

	if (!pk->offered || pk->offered == OFFERED_BOARD)
		return false;
	result = take_offered(pk, pk->offered - 1);
	if (result == RUN_ABSENT && pk->cs->latch_retries++ < CUSTODY_RETRIES) {
		wake_for_offer(pk->cpu, pk->offered);
		return true;
	}
	pk->cs->latch_retries = 0;
	return result == RUN_OK;
}

/* This CPU has nothing to do. True: now it has. */
static __noinline bool pick_offered(struct pick *pk)
{
	struct ghost_class_info *info = info_of();
	u32 node, i, nr;

	if (!pk || !pk->cs || !pk->core || !info)
		return false;
	if (take_home(pk))
		return true;
	start_looking(pk->core, pk->cs);
	node = node_of_core(pk->core);
	nr = info->nr_nodes;
	bpf_for(i, 0, nr) {
		u32 other = node + i;

		if (take_from_board(pk, other < nr ? other : other - nr))
			return true;
	}
	return false;
}
