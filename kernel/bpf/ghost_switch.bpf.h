/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What really runs: each context switch, as the scheduler's tracepoint tells it. The only place where a core's on_cpu bits change. */
#pragma once

/* The task that leaves: its time is added up. */
static __always_inline void switch_account(struct task_struct *prev, u64 now)
{
	struct ghost_status_word *sw;
	struct ghost_task *t;
	u32 slot = 0;

	if (prev->policy != SCHED_EXT)
		return;
	t = attached(prev, &slot);
	sw = t ? status_word_of(slot) : NULL;
	if (!sw || !t->on_cpu_since)
		return;
	/* In this order: who reads the time first and then adds the present stint to it counts no stint twice. */
	WRITE_ONCE(sw->on_since_ns, 0);
	if (now > t->on_cpu_since)
		__sync_fetch_and_add(&sw->runtime_ns, now - t->on_cpu_since);
	t->on_cpu_since = 0;
	t->waits_since = prev->scx.flags & SCX_TASK_QUEUED ? now : 0;
	sw->switch_time_ns = now;
}

static __always_inline void tally_wait(struct ghost_task *t, struct ghost_tally *tally, u64 now)
{
	u64 since = t->waits_since, waited = now > since ? now - since : 0;
	u32 bucket = ghost_wait_bucket(waited);

	t->waits_since = 0;
	if (!since || bucket >= GHOST_WAIT_BUCKETS)
		return;
	WRITE_ONCE(tally->waits[bucket], tally->waits[bucket] + 1);
	WRITE_ONCE(tally->waited_ns, tally->waited_ns + waited);
}

static __always_inline void tally_move(struct ghost_task *t, struct ghost_tally *tally, u32 cpu)
{
	struct ghost_cpu_config *from = t->ran_on ? cpu_config_of(t->ran_on - 1) : NULL, *to = cpu_config_of(cpu);

	t->ran_on = cpu + 1;
	if (!from || !to || from->core == to->core)
		return;
	WRITE_ONCE(tally->core_moves, tally->core_moves + 1);
	if (from->node != to->node)
		WRITE_ONCE(tally->node_moves, tally->node_moves + 1);
}

/* The task that comes; returns its domain. */
static __always_inline u32 switch_enter(struct task_struct *next, u32 cpu, u64 now)
{
	struct ghost_status_word *sw;
	struct ghost_tally *tally;
	struct ghost_task *t;
	u32 slot = 0;

	if (!is_gated(next))
		return GHOST_DOMAIN_HOST;
	t = attached(next, &slot);
	sw = t ? status_word_of(slot) : NULL;
	if (!sw)
		return unattached_domain();
	t->on_cpu_since = now;
	t->slice_since = now;
	tally = tally_of(slot);
	if (tally) {
		tally_wait(t, tally, now);
		tally_move(t, tally, cpu);
	}
	sw->switch_time_ns = now;
	WRITE_ONCE(sw->on_since_ns, now);
	if (t->run_flags & GHOST_RUN_F_SEND_ON_CPU) {
		t->run_flags = 0;
		task_post(slot, GHOST_MSG_TASK_ON_CPU, 0, task_bump(slot), cpu);
	}
	return t->domain;
}

/* Whether the CPU is there for the class at all, and whether it idles: what agents may want to hear of. */
static __always_inline void switch_availability(struct ghost_cpu_config *cfg, struct ghost_core_state *core, struct ghost_cpu_state *cs,
						struct task_struct *next, u32 cpu, u64 now)
{
	struct ghost_enclave *e = enclave_of(core->enclave);
	bool idle = !next->pid, busy = !idle && !is_gated(next);
	u32 bit = 1u << (cfg->sibling & 7);

	if (!idle)
		stop_looking(cfg, cs);
	if (!idle && READ_ONCE(cs->need_not_idle) && __sync_val_compare_and_swap(&cs->need_not_idle, 1, 0) == 1)
		core_post(cfg->core, GHOST_MSG_CPU_NOT_IDLE, cpu, 0);
	if (busy == cs->busy)
		return;
	__sync_lock_test_and_set(&cs->busy, busy);
	cs->busy_since_ns = now;
	if (busy && READ_ONCE(cs->offered))
		offer_missed(__sync_lock_test_and_set(&cs->offered, 0));
	/* The core was left to this CPU, which cannot come. */
	if (busy && (READ_ONCE(core->left_to) & bit)) {
		__sync_fetch_and_and(&core->left_to, ~bit);
		kick_siblings(core, 0xff & ~bit, 0);
	}
	/* Who was kicked here for a task that woke up does not look now. */
	if (busy && core->enclave && (!READ_ONCE(core->agent_tid) || READ_ONCE(core->agent_stalled)))
		kick_siblings(core, 0xff & ~bit, SCX_KICK_IDLE);
	if (e && (e->flags & GHOST_ENCLAVE_DELIVER_AVAILABILITY))
		core_post(cfg->core, busy ? GHOST_MSG_CPU_BUSY : GHOST_MSG_CPU_AVAILABLE, cpu, 0);
}

/* Who has the CPU now, if not the class: GHOST_CPU_*. */
static __always_inline u32 taken_by(struct task_struct *next)
{
	struct ghost_thread *th;

	if (!next->pid || is_gated(next))
		return GHOST_CPU_NOT_TAKEN;
	th = thread_of(next);
	return th && th->agent_core ? GHOST_CPU_BY_AGENT : GHOST_CPU_BY_HOST;
}

/* How long others had the CPU, for whoever wants to know why a task of the class did not run there. */
static __always_inline void switch_taken(struct ghost_cpu_state *cs, u32 taken, u64 now)
{
	u32 former = cs->taken;

	if (taken == former)
		return;
	if (former == GHOST_CPU_BY_AGENT) {
		WRITE_ONCE(cs->agent_ns, cs->agent_ns + now - cs->taken_since_ns);
		WRITE_ONCE(cs->kept_waiting, 0);
	} else if (former == GHOST_CPU_BY_HOST) {
		WRITE_ONCE(cs->host_ns, cs->host_ns + now - cs->taken_since_ns);
	}
	WRITE_ONCE(cs->taken_since_ns, now);
	WRITE_ONCE(cs->taken, taken);
}

/*
 * I2: a user task of the host comes or leaves. Agents are trusted, and kernel threads are part of the kernel. Noted whether it matters or
 * not: an enclave may become strict while that task runs on, without another switch.
 */
static __always_inline void switch_host(struct ghost_cpu_config *cfg, struct ghost_core_state *core, struct task_struct *next, u32 taken)
{
	bool host = taken == GHOST_CPU_BY_HOST && !(next->flags & PF_KTHREAD);
	u32 bit = 1u << (cfg->sibling & 7);

	if (host == !!(READ_ONCE(core->host) & bit))
		return;
	if (host)
		__sync_fetch_and_or(&core->host, bit);
	else
		__sync_fetch_and_and(&core->host, ~bit);
	if (is_strict(core))
		kick_siblings(core, 0xff & ~bit, host ? SCX_KICK_PREEMPT : 0);
}

static int agent_leave(u32 index, u32 tid);

/*
 * An agent that dies, however, leaves its core to the class. Here and not at sched_process_exit, where another thread may come to die on this
 * CPU while a program is at work for the first one: the kernel leaves the program out for that (Linux 7.0 and later), and the core would
 * be a dead agent's.
 */
static __always_inline void switch_agent(struct task_struct *prev)
{
	struct ghost_thread *th = prev->flags & PF_EXITING ? thread_of(prev) : NULL;

	if (!th || !th->agent_core)
		return;
	agent_leave(th->agent_core - 1, prev->pid);
	th->agent_core = 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(ghost_sched_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct ghost_cpu_config *cfg = cpu_config_of(cpu);
	struct ghost_cpu_state *cs = cpu_state_of(cpu);
	struct ghost_core_state *core = core_of_cpu(cfg);
	struct ghost_class_info *info = info_of();
	u64 now = bpf_ktime_get_ns();
	u32 taken, domain;

	if (!cfg || !core || !cs || !info || !at_work(info))
		return 0;
	switch_account(prev, now);
	domain = switch_enter(next, cpu, now);
	cs->running_domain = domain == GHOST_DOMAIN_WHOLE_HOST ? GHOST_DOMAIN_HOST : domain;
	core_switch(core, cfg->sibling, domain);
	switch_availability(cfg, core, cs, next, cpu, now);
	taken = taken_by(next);
	/* Between two of other classes nothing changes for ours. */
	if (prev->policy == SCHED_EXT || next->policy == SCHED_EXT || taken != cs->taken)
		trace(GHOST_TRACE_SWITCH, taken, next->pid, cs->running_domain, 0);
	switch_taken(cs, taken, now);
	switch_host(cfg, core, next, taken);
	/* Preempted, the previous task would come back without a question, to a core that was closed meanwhile. */
	if (READ_ONCE(core->closed) && !READ_ONCE(cs->offline) && !is_gated(next))
		kf_reenqueue_local_of(cpu);
	switch_agent(prev);
	trip_at_switch(prev, next);
	return 0;
}
