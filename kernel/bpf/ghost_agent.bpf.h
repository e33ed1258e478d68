/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What else agents may call: take and leave a core, direct a task's messages, say what it is promised and who may take it, arm a timer. Rights as in ghost_txn.bpf.h. */
#pragma once

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
			latch_replace(cpu_state_of(cpu), 0, cpu, false);
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
	if (ctx->abi_version != GHOST_ABI_VERSION)
		ctx->result = -EPROTO;
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
	/* CPUs that have idled since before look for offered tasks from now on. */
	kick_siblings(core, 0xff, 0);
	ctx->result = 0;
	return 0;
}

SEC("syscall")
int ghost_associate_prog(struct ghost_associate *ctx)
{
	struct ghost_thread *me = caller();
	struct ghost_class_info *info = info_of();
	struct ghost_core_state *core;
	struct ghost_status_word *sw;
	struct ghost_task *t;

	ctx->status = 0;
	ctx->result = -EPERM;
	if (!me || !me->agent_enclave || !info)
		return 0;
	ctx->result = -ENOENT;
	t = task_by_gtid(ctx->gtid, me->agent_enclave);
	if (!t)
		return 0;
	ctx->result = -EINVAL;
	core = core_of(ctx->queue);
	if (ctx->queue >= info->nr_queues || !core || core->enclave != me->agent_enclave)
		return 0;
	ctx->result = -ESTALE;
	if (TASK_BARRIER(READ_ONCE(t->word)) != ctx->barrier)
		return 0;
	if (t->queue == ctx->queue)
		ctx->status |= GHOST_ASSOC_ALREADY;
	if (t->queue == GHOST_QUEUE_DEFAULT)
		ctx->status |= GHOST_ASSOC_BRAND_NEW;
	WRITE_ONCE(t->queue, ctx->queue);
	sw = status_word_of(GHOST_GTID_SLOT(ctx->gtid));
	if (sw)
		WRITE_ONCE(sw->queue, ctx->queue);
	/* The barrier moved while we looked: a message may have gone to the old queue. */
	if (TASK_BARRIER(READ_ONCE(t->word)) != ctx->barrier)
		return 0;
	ctx->result = 0;
	return 0;
}

SEC("syscall")
int ghost_task_grant_prog(struct ghost_task_grant *ctx)
{
	struct ghost_thread *me = caller();
	struct ghost_core_state *core;
	struct ghost_status_word *sw;

	ctx->result = -EPERM;
	if (!me || !me->agent_enclave)
		return 0;
	ctx->result = -ENOENT;
	sw = status_word_of(GHOST_GTID_SLOT(ctx->gtid));
	if (!sw || !task_by_gtid(ctx->gtid, me->agent_enclave))
		return 0;
	ctx->result = -EINVAL;
	core = core_of(ctx->place);
	if (!core || core->enclave != me->agent_enclave || ctx->granted_ns > READ_ONCE(sw->budget_ns))
		return 0;
	WRITE_ONCE(sw->place, ctx->place);
	WRITE_ONCE(sw->free_ns, ctx->free_ns);
	WRITE_ONCE(sw->granted_ns, ctx->granted_ns);
	ctx->result = 0;
	return 0;
}

SEC("syscall")
int ghost_task_account_prog(struct ghost_task_account *ctx)
{
	struct ghost_thread *me = caller();
	struct ghost_waits *w;

	ctx->result = -EPERM;
	if (!me || !me->agent_enclave)
		return 0;
	ctx->result = -ENOENT;
	w = waits_of(GHOST_GTID_SLOT(ctx->gtid));
	if (!w || !task_by_gtid(ctx->gtid, me->agent_enclave))
		return 0;
	for (int i = 0; i < GHOST_NR_WAITS; i++)
		__sync_fetch_and_add(&w->ns[i], ctx->waits.ns[i]);
	__sync_fetch_and_add(&w->missed_ns, ctx->waits.missed_ns);
	__sync_fetch_and_add(&w->missed, ctx->waits.missed);
	ctx->result = 0;
	return 0;
}

SEC("syscall")
int ghost_task_offer_prog(struct ghost_task_offer *ctx)
{
	struct ghost_thread *me = caller();
	struct ghost_status_word *sw;
	struct ghost_task *t;

	ctx->result = -EPERM;
	if (!me || !me->agent_enclave)
		return 0;
	ctx->result = -ENOENT;
	t = task_by_gtid(ctx->gtid, me->agent_enclave);
	sw = status_word_of(GHOST_GTID_SLOT(ctx->gtid));
	if (!t || !sw)
		return 0;
	ctx->result = -EINVAL;
	if (ctx->offer >= GHOST_NR_OFFERS)
		return 0;
	/* Whoever takes it latches it first and looks at the offer afterwards: one of the two sees the other. */
	__sync_lock_test_and_set(&t->offer, ctx->offer);
	WRITE_ONCE(sw->offer, ctx->offer);
	ctx->result = TASK_STATE(READ_ONCE(t->word)) == TASK_LATCHED ? -EBUSY : 0;
	return 0;
}

/* ---- timers ---- */

static int cpu_timer_fired(void *map, int *key, struct ghost_cpu_timer *ct)
{
	struct ghost_cpu_config *cfg = cpu_config_of(ct->cpu);

	if (cfg && cfg->present)
		core_post(cfg->core, GHOST_MSG_CPU_TIMER_EXPIRED, ct->cpu, ct->cookie);
	return 0;
}

SEC("syscall")
int ghost_timer_arm_prog(struct ghost_timer_arm *ctx)
{
	struct ghost_cpu_config *cfg = cpu_config_of(ctx->cpu);
	struct ghost_core_state *core = core_of_cpu(cfg);
	struct ghost_cpu_timer *ct = cpu_timer_of(ctx->cpu);
	struct ghost_thread *me = caller();

	ctx->result = -EINVAL;
	if (!core || !ct)
		return 0;
	ctx->result = -EPERM;
	if (!me || !me->agent_enclave || core->enclave != me->agent_enclave)
		return 0;
	if (!__sync_val_compare_and_swap(&ct->ready, 0, 1)) {
		ct->cpu = ctx->cpu;
		bpf_timer_init(&ct->timer, &cpu_timers, 1 /* CLOCK_MONOTONIC */);
	}
	/* A cancelled timer has forgotten it. */
	bpf_timer_set_callback(&ct->timer, cpu_timer_fired);
	ct->cookie = ctx->cookie;
	ctx->result = ctx->when_ns ? bpf_timer_start(&ct->timer, ctx->when_ns, BPF_F_TIMER_ABS) : 0;
	if (!ctx->when_ns)
		bpf_timer_cancel(&ct->timer);
	return 0;
}
