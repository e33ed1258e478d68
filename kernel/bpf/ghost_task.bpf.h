/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* A task's life: its word, its claim, its status word, and the messages that tell its agent. */
#pragma once

/* Custody: every attached task waits in a dispatch queue of its own, so an exit or a new affinity cannot leave a stale reference. */
#define CUSTODY_DSQ(slot) (0x10000000ULL + (slot))
/* Threads of no enclave wait here, by the core that they are on; the last one is for CPUs that belong to no core. */
#define UNATTACHED_DSQ(core) (0x08000000ULL + (core))
#define ORPHAN_DSQ 0x0fffffffULL

static __always_inline u32 status_flags(u64 word, struct ghost_task *t)
{
	u32 flags = GHOST_SW_INUSE;

	switch (TASK_STATE(word)) {
	case TASK_HELD:
		flags |= GHOST_SW_RUNNABLE;
		break;
	case TASK_LATCHED:
		flags |= GHOST_SW_RUNNABLE | GHOST_SW_LATCHED;
		break;
	case TASK_RUNQ:
		flags |= GHOST_SW_RUNNABLE | GHOST_SW_ONCPU;
		break;
	}
	if (t->announced)
		flags |= GHOST_SW_ANNOUNCED;
	return flags;
}

/* Copies the word into the status word. Whoever changed the word last copies last, so the copy ends up right. */
__noinline int task_publish(u32 slot)
{
	struct ghost_status_word *sw = status_word_of(slot);
	struct ghost_task *t = task_of(slot);
	u32 i;

	if (!sw || !t)
		return 0;
	bpf_for(i, 0, 16) {
		u64 w = READ_ONCE(t->word);

		WRITE_ONCE(sw->flags, TASK_STATE(w) == TASK_NONE ? 0 : status_flags(w, t));
		WRITE_ONCE(sw->barrier, TASK_BARRIER(w));
		if (READ_ONCE(t->word) == w)
			break;
	}
	return 0;
}

static __always_inline u32 queue_for(struct ghost_task *t)
{
	struct ghost_enclave *e;
	struct ghost_core_state *core;
	u32 queue = READ_ONCE(t->queue);

	/* A queue has its core's number. That core may have left the enclave. */
	if (queue != GHOST_QUEUE_DEFAULT) {
		core = core_of(queue);
		if (core && READ_ONCE(core->enclave) == t->enclave)
			return queue;
	}
	e = enclave_of(t->enclave);
	return e ? e->default_queue : 0;
}

/* A full queue loses nothing: the overflow is counted, and the agent then reads the status words. */
static __always_inline struct ghost_msg *msg_reserve(u32 queue)
{
	void *ring = bpf_map_lookup_elem(&queues, &queue);
	struct ghost_msg *m = ring ? bpf_ringbuf_reserve(ring, sizeof(*m), 0) : NULL;
	struct ghost_queue_state *qs = queue_state_of(queue);

	if (m) {
		__builtin_memset(m, 0, sizeof(*m));
		m->time_ns = bpf_ktime_get_ns();
		if (qs)
			__sync_fetch_and_add(&qs->messages, 1);
		return m;
	}
	if (qs)
		__sync_fetch_and_add(&qs->overflows, 1);
	return NULL;
}

/* In flags: the agent need not wake up for this message. */
#define POST_QUIETLY (1u << 31)

/*
 * The kernel by itself would wake a reader only who had read everything before, and of quiet messages he does not know. So a loud one always
 * wakes him.
 */
static __always_inline void msg_submit(struct ghost_msg *m, bool quiet)
{
	bpf_ringbuf_submit(m, quiet ? BPF_RB_NO_WAKEUP : BPF_RB_FORCE_WAKEUP);
}

/* The agent wakes up, and reads what was posted quietly. */
__noinline int agent_poke(u32 queue)
{
	struct ghost_msg *m = msg_reserve(queue);

	if (m)
		bpf_ringbuf_discard(m, BPF_RB_FORCE_WAKEUP);
	return 0;
}

static __always_inline u64 gtid_of_slot1(u32 slot1)
{
	struct ghost_status_word *sw = slot1 ? status_word_of(slot1 - 1) : NULL;

	return sw ? READ_ONCE(sw->gtid) : 0;
}

__noinline int task_post(u32 slot, u32 type, u32 flags, u64 barrier, s32 cpu)
{
	struct ghost_core_state *agent;
	struct ghost_status_word *sw = status_word_of(slot);
	struct ghost_task *t = task_of(slot);
	struct ghost_msg *m;
	u64 since;

	if (!t || !sw)
		return 0;
	if (type == GHOST_MSG_TASK_WAKEUP) {
		agent = core_of(queue_for(t));
		if (agent)
			__sync_fetch_and_add(&agent->agent_barrier, 1);
	}
	m = msg_reserve(queue_for(t));
	if (!m)
		return 0;
	if (type == GHOST_MSG_TASK_WAKEUP)
		m->arg = bpf_get_smp_processor_id();
	if (type == GHOST_MSG_TASK_YIELD)
		m->arg = gtid_of_slot1(t->yields_to);
	since = READ_ONCE(t->on_cpu_since);
	m->type = type;
	m->flags = flags & ~POST_QUIETLY;
	m->gtid = sw->gtid;
	m->barrier = barrier;
	m->runtime_ns = sw->runtime_ns + (since && since < m->time_ns ? m->time_ns - since : 0);
	m->cpu = cpu;
	m->domain = t->domain;
	m->tid = sw->tid;
	trace(GHOST_TRACE_MESSAGE, type, sw->tid, t->domain, queue_for(t));
	msg_submit(m, flags & POST_QUIETLY);
	return 0;
}

/* A message about a core or one of its CPUs, to the core's agent. */
__noinline int core_tell(u32 index, u32 type, s32 cpu, u64 arg, bool quiet)
{
	struct ghost_core_state *core = core_of(index);
	struct ghost_msg *m;
	u64 barrier;

	if (!core)
		return 0;
	barrier = __sync_fetch_and_add(&core->agent_barrier, 1) + 1;
	m = msg_reserve(core->queue);
	if (!m)
		return 0;
	m->type = type;
	m->barrier = barrier;
	m->core = index;
	m->cpu = cpu;
	m->arg = arg;
	trace(GHOST_TRACE_MESSAGE, type, 0, 0, core->queue);
	msg_submit(m, quiet);
	return 0;
}

static __always_inline int core_post(u32 index, u32 type, s32 cpu, u64 arg)
{
	return core_tell(index, type, cpu, arg, false);
}

/* ---- affinity ---- */

__noinline bool may_use(u32 slot, u32 cpu)
{
	struct ghost_affinity *a = affinity_of(slot);

	if (!a || cpu >= 64 * GHOST_AFFINITY_WORDS)
		return false;
	return a->cpus[cpu / 64] >> (cpu % 64) & 1;
}

/* The mask that was asked for: while migration is disabled cpus_ptr tells of one CPU only. True if it is another one. */
static __always_inline bool affinity_copy(u32 slot, struct task_struct *p)
{
	struct ghost_class_info *info = info_of();
	struct ghost_affinity *a = affinity_of(slot);
	struct ghost_affinity now = {};
	bool changed = false;
	u32 i, bytes;

	if (!a || !info)
		return false;
	bytes = (info->nr_cpus + 63) / 64 * 8;
	if (bytes > sizeof(now))
		bytes = sizeof(now);
	bpf_probe_read_kernel(&now, bytes, &p->cpus_mask);
	for (i = 0; i < GHOST_AFFINITY_WORDS; i++) {
		changed |= a->cpus[i] != now.cpus[i];
		WRITE_ONCE(a->cpus[i], now.cpus[i]);
	}
	return changed;
}

/* Gives up `claim`, if it still is what that CPU holds. Called under that CPU's run-queue lock. */
static __always_inline void claim_release(u32 cpu, u32 claim)
{
	struct ghost_cpu_config *cfg = cpu_config_of(cpu);
	struct ghost_cpu_state *cs = cpu_state_of(cpu);
	struct ghost_core_state *core;

	if (!cfg || !cs || READ_ONCE(cs->claim) != claim)
		return;
	WRITE_ONCE(cs->claim, 0);
	core = core_of(cfg->core);
	if (core)
		core_release(core, cfg->sibling);
}

/* Moves the task on to `state`, whatever it was, and gives up its claim. Returns its new barrier; *old is the state before. */
__noinline u64 task_advance(u32 slot, u32 state, u32 *old)
{
	struct ghost_task *t = task_of(slot);
	u32 i;

	if (!t || !old)
		return 0;
	bpf_for(i, 0, CAS_TRIES) {
		u64 w = READ_ONCE(t->word), n = TASK_WORD(TASK_BARRIER(w) + 1, state);

		if (__sync_val_compare_and_swap(&t->word, w, n) != w)
			continue;
		*old = TASK_STATE(w);
		if (*old == TASK_RUNQ && state != TASK_RUNQ)
			claim_release(t->claim_cpu, slot + 1);
		task_publish(slot);
		return TASK_BARRIER(n);
	}
	return 0;
}

/* An event that leaves the task in its state. Returns the new barrier. */
__noinline u64 task_bump(u32 slot)
{
	struct ghost_task *t = task_of(slot);
	u32 i;

	if (!t)
		return 0;
	bpf_for(i, 0, CAS_TRIES) {
		u64 w = READ_ONCE(t->word), n = TASK_WORD(TASK_BARRIER(w) + 1, TASK_STATE(w));

		/* A latch names the barrier at which it was made: it does not survive the event. */
		if (TASK_STATE(w) == TASK_LATCHED)
			n = TASK_WORD(TASK_BARRIER(w) + 1, TASK_HELD);
		if (__sync_val_compare_and_swap(&t->word, w, n) != w)
			continue;
		task_publish(slot);
		return TASK_BARRIER(n);
	}
	return 0;
}

/* One step from an expected word; the barrier rises by `bump`. */
static __always_inline bool task_step(struct ghost_task *t, u64 from, u32 to_state, u32 bump)
{
	return __sync_val_compare_and_swap(&t->word, from, TASK_WORD(TASK_BARRIER(from) + bump, to_state)) == from;
}

/* Tells the agent; the first message of a task is always TASK_NEW. */
static __always_inline void task_tell(u32 slot, struct ghost_task *t, u32 type, u32 flags, u64 barrier, s32 cpu)
{
	t->asleep = type == GHOST_MSG_TASK_BLOCKED;
	if (!t->announced) {
		t->announced = 1;
		task_publish(slot);
		task_post(slot, GHOST_MSG_TASK_NEW, type == GHOST_MSG_TASK_BLOCKED ? 0 : GHOST_MSG_F_RUNNABLE, barrier, cpu);
		return;
	}
	task_post(slot, type, flags, barrier, cpu);
}

/* The slot is free for another task from here on; its incarnation will differ. */
__noinline int slot_free(u32 slot)
{
	struct ghost_status_word *sw = status_word_of(slot);
	struct ghost_block *b = block_of(slot / GHOST_BLOCK_SLOTS);
	struct ghost_task *t = task_of(slot);
	struct ghost_domain *d;

	if (!sw || !b || !t)
		return 0;
	WRITE_ONCE(sw->gtid, 0);
	WRITE_ONCE(sw->flags, 0);
	d = domain_of(t->domain);
	if (d)
		__sync_fetch_and_sub(&d->nr_tasks, 1);
	__sync_fetch_and_and(&b->used, ~(1ULL << (slot % GHOST_BLOCK_SLOTS)));
	return 0;
}

/* The slot that the thread was to change to is not needed any more. */
static __always_inline void slot_leave_next(struct ghost_thread *th)
{
	u32 next1 = __sync_lock_test_and_set(&th->next_slot, 0);

	if (next1)
		slot_free(next1 - 1);
}

/* The thread gives its slot back. An attachment, an exit and a departure may meet: one of them frees it. */
static __always_inline void slot_leave(struct ghost_thread *th)
{
	u32 slot1 = __sync_lock_test_and_set(&th->slot, 0);

	if (slot1)
		slot_free(slot1 - 1);
	slot_leave_next(th);
}
