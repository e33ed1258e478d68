/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What agents may call. Who the caller is comes from its own task storage; whatever it passes is copied once (by the kernel, into the
 * program's context) and then validated. No call can put two domains on a core: the gate is asked at dispatch in any case.
 */
#pragma once

static __always_inline struct ghost_thread *caller(void)
{
	struct task_struct *p = bpf_get_current_task_btf();

	return bpf_task_storage_get(&threads, p, 0, 0);
}

/* The slot's task, if it is this incarnation and of this enclave. */
static __always_inline struct ghost_task *task_by_gtid(u64 gtid, u32 enclave)
{
	u32 slot = GHOST_GTID_SLOT(gtid);
	struct ghost_status_word *sw = status_word_of(slot);
	struct ghost_task *t = task_of(slot);

	if (!sw || !t || !gtid || READ_ONCE(sw->gtid) != gtid || t->enclave != enclave)
		return NULL;
	return t;
}

/* A latch that a newer decision replaces: its task is held again, and its agent hears of it. */
__noinline int latch_replace(struct ghost_cpu_state *cs, u64 next, s32 cpu, bool elide)
{
	struct ghost_task *t;
	u64 latch, w;
	u32 slot;

	if (!cs)
		return 0;
	latch = __sync_lock_test_and_set(&cs->latch, next);
	if (!latch || LATCH_SLOT1(latch) == LATCH_IDLE)
		return 0;
	slot = LATCH_SLOT1(latch) - 1;
	t = task_of(slot);
	w = TASK_WORD(LATCH_BARRIER(latch), TASK_LATCHED);
	if (!t || !task_step(t, w, TASK_HELD, 1))
		return 0;
	task_publish(slot);
	if (!elide)
		task_post(slot, GHOST_MSG_TASK_PREEMPT, GHOST_MSG_F_WAS_LATCHED, TASK_BARRIER(w) + 1, cpu);
	return 0;
}

/* The domain that a sibling which is left as it is will hold: its pending decision's, or its claim's. */
static __always_inline u32 kept_domain(struct ghost_core_state *core, u32 k)
{
	struct ghost_cpu_state *cs = cpu_state_of(core->cpus[k & 7]);
	core_word_t w = READ_ONCE(core->word);
	u64 latch = cs ? READ_ONCE(cs->latch) : 0;

	if (latch)
		return LATCH_SLOT1(latch) == LATCH_IDLE ? 0 : domain_of_slot1(LATCH_SLOT1(latch));
	return core_word_claims(w) & (1u << k) ? core_word_owner(w) : 0;
}

/* The flags that are for this kind of target, and no others. */
static __always_inline bool run_flags_valid(struct ghost_txn_sibling *s)
{
	switch (s->target) {
	case GHOST_TARGET_KEEP:
		return !s->run_flags;
	case GHOST_TARGET_IDLE:
		return !(s->run_flags & ~(GHOST_RUN_F_ELIDE_PREEMPT | GHOST_RUN_F_NEED_NOT_IDLE));
	default:
		return !(s->run_flags & ~(GHOST_RUN_F_SEND_ON_CPU | GHOST_RUN_F_ELIDE_PREEMPT));
	}
}

static __always_inline bool txn_flags_valid(struct ghost_core_txn *x)
{
	u32 both = GHOST_TXN_F_ELIDE_BARRIER_INC | GHOST_TXN_F_BARRIER_INC_ON_FAILURE;

	return !(x->flags & ~GHOST_TXN_FLAGS) && (x->flags & both) != both;
}

/* With GHOST_TXN_F_ALLOW_ONCPU: the target runs on sibling k already, and goes on. */
static __always_inline bool target_stays(struct ghost_core_state *core, struct ghost_core_txn *x, u32 k, struct ghost_task *t)
{
	struct ghost_cpu_state *cs = cpu_state_of(core->cpus[k & 7]);
	struct ghost_txn_sibling *s = &x->sibling[k & 7];
	u32 slot1 = GHOST_GTID_SLOT(s->target) + 1;
	u64 w = t ? READ_ONCE(t->word) : 0;

	return (x->flags & GHOST_TXN_F_ALLOW_ONCPU) && cs && TASK_STATE(w) == TASK_RUNQ && TASK_BARRIER(w) == s->barrier &&
	       READ_ONCE(cs->claim) == slot1;
}

static __always_inline bool sibling_offline(struct ghost_core_state *core, u32 k)
{
	struct ghost_cpu_state *cs = cpu_state_of(core->cpus[k & 7]);

	return !cs || READ_ONCE(cs->offline);
}

static __always_inline u32 target_state(struct ghost_task *t, u64 barrier)
{
	u64 w;

	if (!t)
		return GHOST_TXN_TARGET_NOT_FOUND;
	w = READ_ONCE(t->word);
	if (TASK_BARRIER(w) != barrier)
		return GHOST_TXN_TARGET_STALE;
	switch (TASK_STATE(w)) {
	case TASK_HELD:
		return GHOST_TXN_COMPLETE;
	case TASK_RUNQ:
	case TASK_LATCHED:
		return GHOST_TXN_TARGET_ONCPU;
	}
	return GHOST_TXN_TARGET_NOT_RUNNABLE;
}

/* Phase 1: one domain for the whole core, and every target there to be had. `x->stay` gets a bit per target that stays where it is. */
static __noinline u32 txn_validate(struct ghost_core_state *core, struct ghost_core_txn *x, u32 enclave)
{
	u32 k, domain = 0, bad = 0;

	if (!core || !x)
		return GHOST_TXN_INVALID_CPU;
	x->stay = 0;
	if (!txn_flags_valid(x))
		return GHOST_TXN_INVALID_FLAGS;
	if (!READ_ONCE(core->agent_tid))
		return GHOST_TXN_NO_AGENT;
	if ((x->flags & GHOST_TXN_F_AGENT_BARRIER) && x->agent_barrier != READ_ONCE(core->agent_barrier))
		return GHOST_TXN_AGENT_STALE;
	bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
		struct ghost_txn_sibling *s = &x->sibling[k & 7];
		struct ghost_task *t;
		u32 d;

		s->state = GHOST_TXN_READY;
		if (k >= core->nr_cpus)
			break;
		if (!run_flags_valid(s)) {
			s->state = GHOST_TXN_INVALID_FLAGS;
			bad = bad ?: s->state;
			continue;
		}
		if (s->target == GHOST_TARGET_IDLE)
			continue;
		if (s->target == GHOST_TARGET_KEEP) {
			d = kept_domain(core, k);
		} else {
			t = task_by_gtid(s->target, enclave);
			s->state = target_state(t, s->barrier);
			if (s->state == GHOST_TXN_TARGET_ONCPU && target_stays(core, x, k, t)) {
				x->stay |= 1u << k;
				s->state = GHOST_TXN_COMPLETE;
			}
			if (s->state == GHOST_TXN_COMPLETE && sibling_offline(core, k))
				s->state = GHOST_TXN_CPU_OFFLINE;
			if (s->state != GHOST_TXN_COMPLETE) {
				bad = bad ?: s->state;
				continue;
			}
			s->state = GHOST_TXN_READY;
			d = t ? t->domain : 0;
		}
		if (d && domain && d != domain) {
			s->state = GHOST_TXN_INVALID_TARGET;
			bad = bad ?: s->state;
		}
		domain = domain ?: d;
	}
	return bad ?: GHOST_TXN_COMPLETE;
}

/* What phase 2 did to the siblings in `done` is taken back. */
static __noinline int txn_unlatch(struct ghost_core_txn *x, u32 done)
{
	u32 k;

	if (!x)
		return 0;
	bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
		struct ghost_txn_sibling *s = &x->sibling[k & 7];
		struct ghost_task *t;

		if (!(done & (1u << k)))
			continue;
		t = task_of(GHOST_GTID_SLOT(s->target));
		if (t)
			task_step(t, TASK_WORD(s->barrier, TASK_LATCHED), TASK_HELD, 0);
	}
	return 0;
}

/* Phase 2: {barrier, HELD} -> {barrier, LATCHED} for all, or for none. */
static __noinline u32 txn_latch(struct ghost_core_state *core, struct ghost_core_txn *x)
{
	u32 k, done = 0, bad = 0;

	if (!core || !x)
		return GHOST_TXN_INVALID_CPU;
	bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
		struct ghost_txn_sibling *s = &x->sibling[k & 7];
		struct ghost_task *t;

		if (k >= core->nr_cpus)
			break;
		if (s->target == GHOST_TARGET_IDLE || s->target == GHOST_TARGET_KEEP || (x->stay & (1u << k)))
			continue;
		t = task_of(GHOST_GTID_SLOT(s->target));
		if (!t)
			continue;
		if (!task_step(t, TASK_WORD(s->barrier, TASK_HELD), TASK_LATCHED, 0)) {
			s->state = bad = target_state(t, s->barrier);
			break;
		}
		t->slice_ns = s->slice_ns;
		t->run_flags = s->run_flags;
		done |= 1u << k;
	}
	/* The agent left meanwhile: nobody would ever answer for these latches. */
	if (!bad && !READ_ONCE(core->agent_tid))
		bad = GHOST_TXN_ABORTED;
	if (!bad)
		return GHOST_TXN_COMPLETE;
	txn_unlatch(x, done);
	return bad;
}

/* A target that runs there already goes on, with the new slice. */
static __always_inline void txn_extend(struct ghost_txn_sibling *s, u32 slot)
{
	struct ghost_status_word *sw = status_word_of(slot);
	struct ghost_task *t = task_of(slot);
	struct task_struct *p;

	if (!sw || !t)
		return;
	t->slice_ns = s->slice_ns;
	t->slice_since = bpf_ktime_get_ns();
	p = bpf_task_from_pid(sw->tid);
	if (!p)
		return;
	kf_set_slice(p, s->slice_ns ?: SCX_SLICE_INF);
	bpf_task_release(p);
}

/* The agent does not want to hear of the task that loses this CPU to its decision. */
static __always_inline void txn_elide(struct ghost_cpu_state *cs)
{
	u32 claim = cs ? READ_ONCE(cs->claim) : 0;
	struct ghost_task *t = claim && !(claim & 0x80000000u) ? task_of(claim - 1) : NULL;

	if (t)
		t->elide_preempt = 1;
}

/* Siblings that are to idle, after those that are to run: a CPU that takes an offered task meanwhile sees the latter (ghost_offer.bpf.h). */
static __noinline u32 txn_deliver_idle(struct ghost_core_state *core, struct ghost_core_txn *x)
{
	u32 k, kick = 0;

	if (!core || !x)
		return 0;
	bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
		struct ghost_txn_sibling *s = &x->sibling[k & 7];
		u32 cpu = core->cpus[k & 7];
		struct ghost_cpu_state *cs = cpu_state_of(cpu);
		bool busy = core_word_busy(READ_ONCE(core->word)) & (1u << k);

		if (k >= core->nr_cpus)
			break;
		if (s->target != GHOST_TARGET_IDLE || !cs)
			continue;
		if (s->run_flags & GHOST_RUN_F_ELIDE_PREEMPT)
			txn_elide(cs);
		WRITE_ONCE(cs->need_not_idle, !!(s->run_flags & GHOST_RUN_F_NEED_NOT_IDLE));
		latch_replace(cs, busy ? LATCH(0, LATCH_IDLE) : 0, cpu, s->run_flags & GHOST_RUN_F_ELIDE_PREEMPT);
		if (busy)
			kick |= 1u << k;
	}
	return kick;
}

/* Phase 3: the CPUs learn of it. */
static __noinline int txn_deliver(struct ghost_core_state *core, struct ghost_core_txn *x)
{
	u32 k, kick = 0;

	if (!core || !x)
		return 0;
	bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
		struct ghost_txn_sibling *s = &x->sibling[k & 7];
		u32 cpu = core->cpus[k & 7];
		struct ghost_status_word *sw;
		struct ghost_cpu_state *cs;
		u32 slot = GHOST_GTID_SLOT(s->target);

		if (k >= core->nr_cpus)
			break;
		s->state = GHOST_TXN_COMPLETE;
		if (s->target == GHOST_TARGET_KEEP || s->target == GHOST_TARGET_IDLE)
			continue;
		cs = cpu_state_of(cpu);
		if (!cs)
			continue;
		if (x->stay & (1u << k)) {
			latch_replace(cs, 0, cpu, s->run_flags & GHOST_RUN_F_ELIDE_PREEMPT);
			txn_extend(s, slot);
			continue;
		}
		if (s->run_flags & GHOST_RUN_F_ELIDE_PREEMPT)
			txn_elide(cs);
		latch_replace(cs, LATCH(s->barrier, slot + 1), cpu, s->run_flags & GHOST_RUN_F_ELIDE_PREEMPT);
		task_publish(slot);
		sw = status_word_of(slot);
		if (sw)
			trace(GHOST_TRACE_LATCH, 0, sw->tid, sw->domain, cpu);
		kick |= 1u << k;
	}
	kick |= txn_deliver_idle(core, x);
	if (x->flags & GHOST_TXN_F_NO_KICK)
		return 0;
	bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
		/* A task that the agent itself, or another class, pushed aside waits in that CPU's local queue and would be picked unasked. */
		struct ghost_cpu_state *cs = cpu_state_of(core->cpus[k & 7]);

		if (!(kick & (1u << k)))
			continue;
		if (core->cpus[k & 7] == bpf_get_smp_processor_id())
			kf_reenqueue_local();
		else if (cs && READ_ONCE(cs->taken) == GHOST_CPU_BY_HOST)
			kf_reenqueue_local_of(core->cpus[k & 7]);
	}
	kick_siblings(core, kick, SCX_KICK_PREEMPT);
	return 0;
}

static __noinline u32 txn_commit(u32 index, u32 enclave)
{
	struct ghost_core_state *core = core_of(index);
	struct ghost_core_txn *x = txn_of(index);
	u32 k, state;

	if (!core || !x)
		return GHOST_TXN_INVALID_CPU;
	state = txn_validate(core, x, enclave);
	if (state == GHOST_TXN_COMPLETE)
		state = txn_latch(core, x);
	if (state == GHOST_TXN_COMPLETE) {
		txn_deliver(core, x);
		core->commits++;
		core->last_commit_ns = bpf_ktime_get_ns();
		WRITE_ONCE(core->agent_stalled, 0);
		if (!(x->flags & GHOST_TXN_F_ELIDE_BARRIER_INC))
			__sync_fetch_and_add(&core->agent_barrier, 1);
	} else {
		if (x->flags & GHOST_TXN_F_BARRIER_INC_ON_FAILURE)
			__sync_fetch_and_add(&core->agent_barrier, 1);
		bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
			if (x->sibling[k & 7].state == GHOST_TXN_READY)
				x->sibling[k & 7].state = GHOST_TXN_POISONED;
		}
	}
	x->state = state;
	trace(GHOST_TRACE_COMMIT, state, 0, 0, index);
	return state;
}

/* One transaction of a commit, which stands at `from` in the caller's copied arguments. */
static __noinline u32 commit_one(u64 from, u32 enclave)
{
	struct ghost_core_state *core;
	struct ghost_core_txn *x;
	u32 index = 0, state;

	if (bpf_probe_read_kernel(&index, sizeof(index), (void *)from))
		return GHOST_TXN_INVALID_CPU;
	core = core_of(index);
	x = txn_of(index);
	if (!core || !x)
		return GHOST_TXN_INVALID_CPU;
	if (core->enclave != enclave)
		return GHOST_TXN_NOT_PERMITTED;
	if (__sync_val_compare_and_swap(&core->commit_lock, 0, 1))
		return GHOST_TXN_CPU_UNAVAIL;
	bpf_probe_read_kernel(x, sizeof(*x), (void *)from);
	x->core = index;
	state = txn_commit(index, enclave);
	__sync_lock_test_and_set(&core->commit_lock, 0);
	return state;
}

/* Threads of other scheduling classes on the caller's CPU, the caller apart. A kernel without group scheduling does not tell. */
static __always_inline u32 others_runnable(void)
{
	struct task_struct *p = bpf_get_current_task_btf();
	struct rq *rq;
	u32 all, not = 1;

	if (!bpf_core_field_exists(p->se.cfs_rq))
		return 0;
	rq = BPF_CORE_READ(p, se.cfs_rq, rq);
	if (!rq)
		return 0;
	all = BPF_CORE_READ(rq, nr_running);
	/* Kernels without sched_ext have none of them; there only a benchmark loads this. */
	if (bpf_core_field_exists(rq->scx.nr_running))
		not += BPF_CORE_READ(rq, scx.nr_running);
	/* Fair threads may stay queued in their sleep. */
	if (bpf_core_field_exists(rq->cfs.h_nr_runnable))
		not += BPF_CORE_READ(rq, cfs.h_nr_queued) - BPF_CORE_READ(rq, cfs.h_nr_runnable);
	return all > not ? all - not : 0;
}

/*
 * An agent that spins is of a class above most others, and would never hear of those that it keeps waiting: they do not get as far as a
 * context switch. So each commit looks, also one of no transactions. Threads of no enclave count: they may be able to run there only.
 */
static __noinline int note_kept_waiting(void)
{
	u32 cpu = bpf_get_smp_processor_id(), others = others_runnable();
	struct ghost_cpu_config *cfg = cpu_config_of(cpu);
	struct ghost_cpu_state *cs = cpu_state_of(cpu);
	s32 strangers;

	if (!cs || !cfg || !cfg->present)
		return 0;
	strangers = scx_bpf_dsq_nr_queued(UNATTACHED_DSQ(cfg->core));
	if (strangers > 0)
		others += strangers;
	if (READ_ONCE(cs->kept_waiting) != others)
		WRITE_ONCE(cs->kept_waiting, others);
	return 0;
}

/* For the statistics of the caller's queue. */
static __always_inline void note_txn(u32 core_index, u32 state)
{
	struct ghost_core_state *core = core_of(core_index);
	struct ghost_queue_state *qs = core ? queue_state_of(core->queue) : NULL;

	if (qs && state < GHOST_NR_TXN_STATES)
		__sync_fetch_and_add(&qs->txns[state], 1);
}

/* The verifier wants each store into the arguments at a constant offset. */
static __always_inline void commit_answer(struct ghost_commit *ctx, const u8 *states)
{
	u32 i;

#pragma unroll
	for (i = 0; i < GHOST_COMMIT_MAX_CORES; i++)
		ctx->states[i] = states[i];
}

/*
 * The kernel copies as much of a call's arguments as the caller says there is, and does not keep a program from looking behind them through
 * bpf_rdonly_cast(): an agent that names more transactions than it sends would have the kernel's memory read as transactions, and might find
 * some of it in the mapped array. But it does not run a program on less than what that looks at directly. So each of the three, for `most`
 * transactions, looks at the last byte that it may want.
 */
static __always_inline int commit(struct ghost_commit *ctx, u32 most)
{
	struct ghost_thread *me = caller();
	u8 states[GHOST_COMMIT_MAX_CORES] = {};
	u32 i, nr = ctx->nr, completed = 0;
	u64 base = 0;

	(void)*(volatile u32 *)&ctx->txn[most - 1].sibling[GHOST_MAX_SIBLINGS - 1].run_flags;
	ctx->completed = 0;
	if (ctx->abi_version != GHOST_ABI_VERSION) {
		ctx->result = -EPROTO;
		return 0;
	}
	if (nr > most) {
		ctx->result = -EINVAL;
		return 0;
	}
	if (!me || !me->agent_core || !me->agent_enclave) {
		ctx->result = -EPERM;
		return 0;
	}
	base = (u64)bpf_rdonly_cast(ctx, 0);
	bpf_for(i, 0, nr) {
		u64 from = base + __builtin_offsetof(struct ghost_commit, txn) + i * sizeof(struct ghost_core_txn);
		u32 state = commit_one(from, me->agent_enclave);

		states[i & (GHOST_COMMIT_MAX_CORES - 1)] = state;
		note_txn(me->agent_core - 1, state);
		if (state == GHOST_TXN_COMPLETE)
			completed++;
	}
	commit_answer(ctx, states);
	note_kept_waiting();
	ctx->completed = completed;
	ctx->result = 0;
	return 0;
}

SEC("syscall")
int ghost_commit_prog(struct ghost_commit *ctx)
{
	return commit(ctx, 1);
}

SEC("syscall")
int ghost_commit_few_prog(struct ghost_commit *ctx)
{
	return commit(ctx, GHOST_COMMIT_FEW_CORES);
}

SEC("syscall")
int ghost_commit_many_prog(struct ghost_commit *ctx)
{
	return commit(ctx, GHOST_COMMIT_MAX_CORES);
}

