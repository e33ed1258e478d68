/* SPDX-License-Identifier: GPL-2.0-only */
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
static __noinline int latch_replace(struct ghost_cpu_state *cs, u64 next, s32 cpu)
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
	t->held_since = bpf_ktime_get_ns();
	task_publish(slot);
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

/* Phase 1: one domain for the whole core, and every target there to be had. */
static __noinline u32 txn_validate(struct ghost_core_state *core, struct ghost_core_txn *x, u32 enclave)
{
	u32 k, domain = 0, bad = 0;

	if (!core || !x)
		return GHOST_TXN_INVALID_CPU;
	bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
		struct ghost_txn_sibling *s = &x->sibling[k & 7];
		struct ghost_task *t;
		u32 d;

		s->state = GHOST_TXN_READY;
		if (k >= core->nr_cpus || s->target == GHOST_TARGET_IDLE)
			continue;
		if (s->target == GHOST_TARGET_KEEP) {
			d = kept_domain(core, k);
		} else {
			t = task_by_gtid(s->target, enclave);
			s->state = target_state(t, s->barrier);
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

/* Phase 2: {barrier, HELD} -> {barrier, LATCHED} for all, or for none. */
static __noinline u32 txn_latch(struct ghost_core_state *core, struct ghost_core_txn *x)
{
	u32 k, done = 0, bad = 0;

	if (!core || !x)
		return GHOST_TXN_INVALID_CPU;
	bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
		struct ghost_txn_sibling *s = &x->sibling[k & 7];
		struct ghost_task *t;

		if (k >= core->nr_cpus || s->target == GHOST_TARGET_IDLE || s->target == GHOST_TARGET_KEEP)
			continue;
		t = task_of(GHOST_GTID_SLOT(s->target));
		if (!t)
			continue;
		if (!task_step(t, TASK_WORD(s->barrier, TASK_HELD), TASK_LATCHED, 0)) {
			s->state = bad = target_state(t, s->barrier);
			break;
		}
		t->slice_ns = s->slice_ns;
		done |= 1u << k;
	}
	if (!bad)
		return GHOST_TXN_COMPLETE;
	bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
		struct ghost_txn_sibling *s = &x->sibling[k & 7];
		struct ghost_task *t;

		if (!(done & (1u << k)))
			continue;
		t = task_of(GHOST_GTID_SLOT(s->target));
		if (t)
			task_step(t, TASK_WORD(s->barrier, TASK_LATCHED), TASK_HELD, 0);
	}
	return bad;
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
		struct ghost_cpu_state *cs;
		u32 slot = GHOST_GTID_SLOT(s->target);

		if (k >= core->nr_cpus)
			continue;
		s->state = GHOST_TXN_COMPLETE;
		if (s->target == GHOST_TARGET_KEEP)
			continue;
		cs = cpu_state_of(cpu);
		if (s->target == GHOST_TARGET_IDLE) {
			bool busy = core_word_busy(READ_ONCE(core->word)) & (1u << k);

			latch_replace(cs, busy ? LATCH(0, LATCH_IDLE) : 0, cpu);
			if (!busy)
				continue;
		} else {
			latch_replace(cs, LATCH(s->barrier, slot + 1), cpu);
			task_publish(slot);
		}
		kick |= 1u << k;
		/* A task that the agent itself pushed aside waits in this CPU's local queue and would be picked unasked. */
		if (cpu == bpf_get_smp_processor_id())
			kf_reenqueue_local();
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
	} else {
		bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
			if (x->sibling[k & 7].state == GHOST_TXN_READY)
				x->sibling[k & 7].state = GHOST_TXN_POISONED;
		}
	}
	x->state = state;
	return state;
}

SEC("syscall")
int ghost_commit_prog(struct ghost_commit *ctx)
{
	struct ghost_thread *me = caller();
	u32 i, nr = ctx->nr, completed = 0;
	u64 base = 0;

	ctx->completed = 0;
	if (ctx->abi_version != GHOST_ABI_VERSION || nr > GHOST_COMMIT_MAX_CORES) {
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
		struct ghost_core_state *core;
		struct ghost_core_txn *x;
		u32 index = 0;

		if (bpf_probe_read_kernel(&index, sizeof(index), (void *)from))
			break;
		core = core_of(index);
		x = txn_of(index);
		if (!core || !x || core->enclave != me->agent_enclave)
			continue; /* the caller finds no new outcome for this core */
		if (__sync_val_compare_and_swap(&core->commit_lock, 0, 1))
			continue;
		bpf_probe_read_kernel(x, sizeof(*x), (void *)from);
		x->core = index;
		if (txn_commit(index, me->agent_enclave) == GHOST_TXN_COMPLETE)
			completed++;
		__sync_lock_test_and_set(&core->commit_lock, 0);
	}
	ctx->completed = completed;
	ctx->result = 0;
	return 0;
}

/* Decisions that nobody will answer for any more are taken back. */
static __noinline int agent_leave(u32 index, u32 tid)
{
	struct ghost_core_state *core = core_of(index);
	u32 k;

	if (!core || __sync_val_compare_and_swap(&core->agent_tid, tid, 0) != tid)
		return 0;
	bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
		u32 cpu = core->cpus[k & 7];

		if (k < core->nr_cpus)
			latch_replace(cpu_state_of(cpu), 0, cpu);
	}
	/* Whatever runs without an end is now the class's to end. */
	kick_siblings(core, 0xff, SCX_KICK_PREEMPT);
	return 0;
}

/* The enclave whose agents the threads of process `tgid` may become. */
static __noinline u32 blessed_enclave(u32 tgid)
{
	struct task_struct *leader = bpf_task_from_pid(tgid);
	struct ghost_thread *th;
	u32 enclave = 0;

	if (!leader)
		return 0;
	th = bpf_task_storage_get(&threads, leader, 0, 0);
	if (th)
		enclave = th->blessed_enclave;
	bpf_task_release(leader);
	return enclave;
}

SEC("syscall")
int ghost_agent_enter_prog(struct ghost_agent_enter *ctx)
{
	struct task_struct *p = bpf_get_current_task_btf();
	struct ghost_core_state *core = core_of(ctx->core);
	struct ghost_thread *me;
	u32 enclave;

	ctx->result = -EINVAL;
	if (ctx->abi_version != GHOST_ABI_VERSION || !core)
		return 0;
	ctx->result = -EPERM;
	enclave = blessed_enclave(p->tgid);
	if (!enclave || enclave != core->enclave)
		return 0;
	me = bpf_task_storage_get(&threads, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!me) {
		ctx->result = -ENOMEM;
		return 0;
	}
	if (ctx->leave) {
		if (me->agent_core == ctx->core + 1)
			me->agent_core = 0;
		agent_leave(ctx->core, p->pid);
		ctx->result = 0;
		return 0;
	}
	if (__sync_val_compare_and_swap(&core->agent_tid, 0, p->pid)) {
		ctx->result = -EBUSY;
		return 0;
	}
	me->agent_core = ctx->core + 1;
	me->agent_enclave = enclave;
	core->last_commit_ns = bpf_ktime_get_ns();
	WRITE_ONCE(core->agent_stalled, 0);
	ctx->result = 0;
	return 0;
}

/* An agent that dies, however, leaves its core to the class at once. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(ghost_process_exit, struct task_struct *p)
{
	struct ghost_thread *th = thread_of(p);

	if (th && th->agent_core) {
		agent_leave(th->agent_core - 1, p->pid);
		th->agent_core = 0;
	}
	return 0;
}

SEC("syscall")
int ghost_associate_prog(struct ghost_associate *ctx)
{
	struct ghost_thread *me = caller();
	struct ghost_class_info *info = info_of();
	struct ghost_task *t;

	ctx->result = -EPERM;
	if (!me || !me->agent_enclave || !info)
		return 0;
	ctx->result = -ENOENT;
	t = task_by_gtid(ctx->gtid, me->agent_enclave);
	if (!t)
		return 0;
	ctx->result = -EINVAL;
	if (ctx->queue >= info->nr_queues)
		return 0;
	ctx->result = -ESTALE;
	if (TASK_BARRIER(READ_ONCE(t->word)) != ctx->barrier)
		return 0;
	WRITE_ONCE(t->queue, ctx->queue);
	/* The barrier moved while we looked: a message may have gone to the old queue. */
	if (TASK_BARRIER(READ_ONCE(t->word)) != ctx->barrier)
		return 0;
	ctx->result = 0;
	return 0;
}
