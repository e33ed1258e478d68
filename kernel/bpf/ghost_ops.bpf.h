/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The class's callbacks, in the order of a task's life. */
#pragma once

static __always_inline struct ghost_task *attached(struct task_struct *p, u32 *slot)
{
	struct ghost_thread *th = thread_of(p);

	if (!th || !th->slot)
		return NULL;
	*slot = th->slot - 1;
	return task_of(*slot);
}

/*
 * A CPU of the enclave that could start a task of `domain` now is told to look. For cores that no agent serves. One that another scheduling
 * class uses looks by itself when that is over.
 */
static __noinline int wake_cpu_for(struct task_struct *p, u32 domain, u32 enclave)
{
	struct ghost_class_info *info = info_of();
	u32 i, k, first, nr;
	struct ghost_cpu_config *cfg;

	if (!info)
		return 0;
	cfg = cpu_config_of(scx_bpf_task_cpu(p));
	first = cfg ? cfg->core : 0;
	nr = info->nr_cores;
	bpf_for(i, 0, nr) {
		u32 c = first + i;
		struct ghost_core_state *core;
		core_word_t w;

		if (c >= nr)
			c -= nr;
		core = core_of(c);
		if (!core || core->enclave != enclave || (core->agent_tid && !core->agent_stalled) || host_on(core, ~0u))
			continue;
		w = READ_ONCE(core->word);
		if (core_word_claims(w) && (core_word_owner(w) != domain || core_word_handover(w)))
			continue;
		bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
			u32 cpu = core->cpus[k & 7];
			struct ghost_cpu_state *cs = cpu_state_of(cpu);

			if (!cs || READ_ONCE(cs->busy))
				continue;
			/* One that is on CPU without a claim is on its way out: its pick is over, and may have seen nothing. */
			if (k >= core->nr_cpus || (core_word_claims(w) & (1u << k)) || !bpf_cpumask_test_cpu(cpu, p->cpus_ptr))
				continue;
			scx_bpf_kick_cpu(cpu, 0);
			return 0;
		}
	}
	return 0;
}

/* The default would insert into an idle CPU's local queue, past the gate. Where a task runs is decided at its pick. */
SEC("struct_ops/select_cpu")
s32 BPF_PROG(ghost_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	u32 slot = 0;

	if (attached(p, &slot))
		return settled_cpu(p, prev_cpu);
	return whole_host() ? host_cpu(p, prev_cpu) : free_cpu(p, prev_cpu);
}

static __always_inline u32 enqueue_message(struct ghost_task *t)
{
	if (t->asleep)
		return GHOST_MSG_TASK_WAKEUP;
	return t->leaving == LEAVE_YIELD || t->leaving == LEAVE_REPLACED ? GHOST_MSG_TASK_YIELD : GHOST_MSG_TASK_PREEMPT;
}

/* Its CPU took another in its place; if that is on the core that its agent serves, there is nothing to decide. */
static __always_inline u32 replaced_flags(struct ghost_task *t, s32 cpu)
{
	struct ghost_cpu_config *cfg = cpu_config_of(cpu);

	return GHOST_MSG_F_OFFERED | (cfg && cfg->core == queue_for(t) ? POST_QUIETLY : 0);
}

SEC("struct_ops/enqueue")
void BPF_PROG(ghost_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct ghost_thread *th = thread_of(p);
	s32 cpu = scx_bpf_task_cpu(p);
	u32 slot = 0, old = 0, type, flags, home;
	struct ghost_task *t;
	u64 barrier;

	if (th && READ_ONCE(th->next_slot)) {
		if (!th->slot)
			release_unattached(p, cpu, enq_flags);
		slot_change(p, cpu);
	}
	t = attached(p, &slot);
	if (!t) {
		enqueue_unattached(p, cpu, enq_flags);
		return;
	}
	barrier = task_advance(slot, TASK_HELD, &old);
	t->held_since = bpf_ktime_get_ns();
	if (!t->waits_since)
		t->waits_since = t->held_since;
	type = enqueue_message(t);
	flags = (old == TASK_LATCHED ? GHOST_MSG_F_WAS_LATCHED : 0) | (type == GHOST_MSG_TASK_PREEMPT && t->rescued_until ? GHOST_MSG_F_RESCUED : 0);
	if (t->leaving == LEAVE_REPLACED)
		flags |= replaced_flags(t, cpu);
	t->rescued_until = 0;
	t->leaving = LEAVE_NOT;
	t->yielded_to = 0;
	home = idle_cpu_at_home(t, slot, cpu);
	if (home && type == GHOST_MSG_TASK_WAKEUP)
		flags |= POST_QUIETLY;
	if (type != GHOST_MSG_TASK_PREEMPT || !t->elide_preempt || !t->announced)
		task_tell(slot, t, type, flags, barrier, cpu);
	t->elide_preempt = 0;
	t->yields_to = 0;
	kf_dsq_insert(p, CUSTODY_DSQ(slot), SCX_SLICE_DFL, enq_flags);
	wake_cpu_for(p, t->domain, t->enclave);
	if (home)
		wake_for_offer(home - 1, slot + 1);
	else
		offer_elsewhere(slot, cpu, barrier);
}

/* Nobody wants this CPU for anything else, and the agent set no end. */
static __always_inline bool keep_unending(struct pick *pk, struct task_struct *p)
{
	struct ghost_task *t = pk->prev_slot ? task_of(pk->prev_slot - 1) : NULL;

	return t && !t->slice_ns && t->leaving == LEAVE_NOT && keep_prev(pk, p, SCX_SLICE_INF);
}

/*
 * This CPU's local queue is empty, or the kernel would not ask, so only the previous task can hold its claim. Another's has left without
 * a word: it was preempted, and moved to another CPU by the kernel, which tells of a migration only at its end.
 */
static __always_inline void claim_drop_stale(struct pick *pk, struct task_struct *prev)
{
	u32 claim = READ_ONCE(pk->cs->claim), own = 0, slot = 0;

	if (!claim)
		return;
	if (prev && (prev->scx.flags & SCX_TASK_QUEUED) && !is_exempt(prev))
		own = attached(prev, &slot) ? slot + 1 : UNATTACHED_CLAIM(prev->pid);
	if (claim != own)
		claim_release(pk->cpu, claim);
}

static __always_inline void pick_any(struct pick *pk, struct task_struct *prev)
{
	int result;

	if (keep_rescued(pk, prev) || pick_rescue(pk))
		return;
	/* Only a rescue is worth that: without it a host task that never ends would have the class ejected. */
	if (host_beside(pk->core, pk->sibling))
		return;
	if (pick_unattached_in_time(pk, prev))
		return;
	if (!READ_ONCE(pk->cs->latch) && pick_yielded_to(pk))
		return;
	if (READ_ONCE(pk->core->agent_tid) && !READ_ONCE(pk->core->agent_stalled)) {
		result = pick_latched(pk);
		/* Told to idle, it does not take by itself what is there, but may be woken for what comes. */
		if (result == LATCH_STAY_IDLE && !pk->denied)
			start_looking(pk->core, pk->cs);
		if (result != LATCH_NONE || keep_unending(pk, prev) || pick_offered(pk))
			return;
	} else if (pk->core->enclave) {
		latch_drop(pk);
		if (pick_alone(pk)) {
			pk->cs->latch_retries = 0;
			return;
		}
		if (keep_prev(pk, prev, tenure_of(pk->core)))
			return;
	}
	/*
	 * Outside their time strangers have what nobody waits for: taking turns with each other here, they would never let a sibling in. And beside
	 * one of the host's, another one of the host's would be let in where a VM has just been turned away.
	 */
	if (!pk->left && !(pk->denied && whole_host()) && !leave_core(pk))
		pick_unattached(pk);
}

SEC("struct_ops/dispatch")
void BPF_PROG(ghost_dispatch, s32 cpu, struct task_struct *prev)
{
	struct ghost_cpu_config *cfg = cpu_config_of(cpu);
	struct pick pk = { .cpu = cpu };
	u32 slot = 0, left, bit;

	pk.core = core_of_cpu(cfg);
	pk.cs = cpu_state_of(cpu);
	if (!cfg || !pk.core || !pk.cs) {
		kf_move_to_local(ORPHAN_DSQ);
		return;
	}
	pk.sibling = cfg->sibling;
	pk.core_index = cfg->core;
	claim_drop_stale(&pk, prev);
	if (READ_ONCE(pk.cs->offered))
		pk.offered = __sync_lock_test_and_set(&pk.cs->offered, 0);
	if (!core_is_open(&pk)) {
		offer_missed(pk.offered);
		return;
	}
	pk.now = bpf_ktime_get_ns();
	if (prev && (prev->scx.flags & SCX_TASK_QUEUED) && attached(prev, &slot) && READ_ONCE(pk.cs->claim) == slot + 1)
		pk.prev_slot = slot + 1;
	left = READ_ONCE(pk.core->left_to);
	bit = 1u << (pk.sibling & 7);
	pk.left = left && !(left & bit);
	pick_any(&pk, prev);
	if (pk.offered && READ_ONCE(pk.cs->claim) != pk.offered && READ_ONCE(pk.cs->offered) != pk.offered)
		offer_missed(pk.offered);
	end_loan(&pk);
	/*
	 * What was left to this CPU the others may ask for again, be it to wait for it, but not before this CPU could have it: denied, it
	 * waits for the one that left, whose switch is not over.
	 */
	if ((left & bit) && !pk.denied) {
		__sync_fetch_and_and(&pk.core->left_to, ~bit);
		kick_siblings(pk.core, 0xff & ~bit, 0);
	}
}

/* On its way onto the CPU, or already there when its class or affinity changed while it ran. */
SEC("struct_ops/running")
void BPF_PROG(ghost_running, struct task_struct *p)
{
	u32 cpu = scx_bpf_task_cpu(p), slot = 0, old = 0;
	struct ghost_cpu_config *cfg = cpu_config_of(cpu);
	struct ghost_cpu_state *cs = cpu_state_of(cpu);
	struct ghost_task *t = attached(p, &slot);
	u32 claim = t ? slot + 1 : UNATTACHED_CLAIM(p->pid), domain = t ? t->domain : unattached_domain(), held;
	u64 left;
	struct ghost_core_state *core;
	struct ghost_status_word *sw;

	core = core_of_cpu(cfg);
	if (!cs || !cfg || !core || is_exempt(p))
		return;
	if (READ_ONCE(cs->picking)) {
		kf_set_slice(p, 0);
		return;
	}
	if (!t && READ_ONCE(cs->claim) == UNATTACHED_CLAIM_ANY)
		WRITE_ONCE(cs->claim, claim);
	held = READ_ONCE(cs->claim);
	if (held != claim && !FAULT(RUNNING_UNGATED)) {
		/*
		 * A claim of another's is that of a task in this CPU's local queue, which will be picked without being asked. And outside its
		 * enclave a task has no business, but for a rescue, which has a claim.
		 */
		if (held || (t && t->enclave != core->enclave) || !core_adopt(core, cfg->sibling, domain)) {
			__sync_fetch_and_add(&core->evictions, 1);
			if (t)
				trip_in_bypass(p, thread_of(p), t, cs);
			kf_set_slice(p, 0);
			scx_bpf_kick_cpu(cpu, SCX_KICK_PREEMPT);
			return;
		}
		__sync_fetch_and_add(&core->adoptions, 1);
		WRITE_ONCE(cs->claim, claim);
		if (t) {
			t->claim_cpu = cpu;
			/* Its end tells the agent, which has not heard of the task being here. */
			t->slice_ns = tenure_of(core);
			task_advance(slot, TASK_RUNQ, &old);
		}
	}
	if (!t) {
		end_with_time(core, p);
		return;
	}
	/* Without an agent nobody would ever end it. */
	if (!t->slice_ns && (!READ_ONCE(core->agent_tid) || READ_ONCE(core->agent_stalled)))
		t->slice_ns = tenure_of(core);
	/* Already on the CPU, it goes on with what it has: a thread can change its own nice value as often as it likes. */
	left = t->on_cpu_since ? slice_left(t, bpf_ktime_get_ns()) : t->slice_ns ?: SCX_SLICE_INF;
	kf_set_slice(p, left);
	sw = status_word_of(slot);
	if (sw)
		sw->cpu = cpu;
	/* A decision that came after the pick, or a reason to leave that came while it ran. */
	if (!left || READ_ONCE(cs->latch) || t->leaving == LEAVE_CHANGED || (host_beside(core, cfg->sibling) && !t->rescued_until))
		scx_bpf_kick_cpu(cpu, SCX_KICK_PREEMPT);
}

/* sched_yield(), or a directed yield (ghost_yield.bpf.h), to which the answer says whether something was done: then the kernel picks anew. */
SEC("struct_ops/yield")
bool BPF_PROG(ghost_yield, struct task_struct *from, struct task_struct *to)
{
	u32 slot = 0, other = 0;
	struct ghost_task *t = attached(from, &slot);
	int result;

	if (to) {
		if (!t || !attached(to, &other))
			return false;
		result = yield_to_slot(scx_bpf_task_cpu(from), slot, other);
		if (result == YIELD_LEAVES)
			kf_set_slice(from, 0);
		return result != YIELD_REFUSED;
	}
	if (t) {
		t->leaving = LEAVE_YIELD;
		t->yields_to = 0;
	}
	kf_set_slice(from, 0);
	return false;
}

SEC("struct_ops/tick")
void BPF_PROG(ghost_tick, struct task_struct *p)
{
	s32 cpu = scx_bpf_task_cpu(p);
	struct ghost_cpu_config *cfg = cpu_config_of(cpu);
	struct ghost_core_state *core = core_of_cpu(cfg);
	struct ghost_enclave *e = core ? enclave_of(core->enclave) : NULL;
	struct ghost_cpu_state *cs = cpu_state_of(cpu);

	if (cs)
		cs->ticks++;
	if (core && whole_host() && scx_bpf_dsq_nr_queued(UNATTACHED_DSQ(cfg->core)))
		host_waits(core, bpf_ktime_get_ns());
	if (cfg && e && (e->flags & GHOST_ENCLAVE_DELIVER_TICKS))
		core_post(cfg->core, GHOST_MSG_CPU_TICK, cpu, 0);
}

/* Off its queue for the change, or asleep. One that runs gives up the CPU, as in ghOSt: its agent has to decide anew. */
SEC("struct_ops/set_cpumask")
void BPF_PROG(ghost_set_cpumask, struct task_struct *p, const struct cpumask *cpumask)
{
	u32 slot = 0;
	struct ghost_task *t = attached(p, &slot);

	/* Told at the entry as well, when nothing has changed. */
	if (!t || !affinity_copy(slot, p) || !t->announced)
		return;
	if (t->on_cpu_since)
		t->leaving = LEAVE_CHANGED;
	task_post(slot, GHOST_MSG_TASK_AFFINITY_CHANGED, 0, task_bump(slot), scx_bpf_task_cpu(p));
}

/*
 * Where the host is in the class as well, a thread that gets its former policy back leaves its enclave and not the class, of which `disable`
 * would tell. It is off its queue for the change.
 */
static __noinline int leave_enclave(struct task_struct *p)
{
	struct ghost_thread *th = p ? thread_of(p) : NULL;
	u32 slot = 0, old = 0;
	struct ghost_task *t;
	u64 barrier;

	if (!th)
		return 0;
	t = attached(p, &slot);
	if (t) {
		barrier = task_advance(slot, TASK_NONE, &old);
		if (t->announced)
			task_post(slot, GHOST_MSG_TASK_DEPARTED, 0, barrier, scx_bpf_task_cpu(p));
	}
	slot_leave(th);
	return 0;
}

/* Also told whenever a thread's policy is set. */
SEC("struct_ops/set_weight")
void BPF_PROG(ghost_set_weight, struct task_struct *p, u32 weight)
{
	u32 slot = 0;
	struct ghost_task *t = attached(p, &slot);

	struct ghost_status_word *sw = t ? status_word_of(slot) : NULL;
	u32 before = sw ? sw->priority : 0;

	if (p->policy != SCHED_EXT && whole_host()) {
		leave_enclave(p);
		return;
	}
	if (!t || !sw || before == weight)
		return;
	WRITE_ONCE(sw->priority, weight);
	if (before && t->announced)
		task_post(slot, GHOST_MSG_TASK_PRIORITY_CHANGED, 0, task_bump(slot), scx_bpf_task_cpu(p));
}

SEC("struct_ops/stopping")
void BPF_PROG(ghost_stopping, struct task_struct *p, bool runnable)
{
#ifdef CORRAL_SEEDED_FAULTS
	struct ghost_cpu_config *cfg = cpu_config_of(scx_bpf_task_cpu(p));
	struct ghost_core_state *core = cfg ? core_of(cfg->core) : NULL;
	struct ghost_cpu_state *cs = cpu_state_of(scx_bpf_task_cpu(p));
	u32 slot = 0;

	if (FAULT(RELEASE_IN_STOPPING) && core && core->enclave && cs && attached(p, &slot) && cs->claim == slot + 1) {
		cs->claim = 0;
		core_release(core, cfg->sibling);
		core_switch(core, cfg->sibling, 0);
	}
#endif
}

/* Off the run queue: asleep, or taken away for a moment to be changed. */
SEC("struct_ops/quiescent")
void BPF_PROG(ghost_quiescent, struct task_struct *p, u64 deq_flags)
{
	u32 cpu = scx_bpf_task_cpu(p), slot = 0, old = 0;
	struct ghost_task *t = attached(p, &slot);
	u64 barrier;

	if (!t) {
		claim_release(cpu, UNATTACHED_CLAIM(p->pid));
		/* In the local queue it has no name yet. One that waits elsewhere must not take that claim from another. */
		if (!is_exempt(p) && BPF_CORE_READ(p, scx.dsq) && BPF_CORE_READ(p, scx.dsq, id) == SCX_DSQ_LOCAL)
			claim_release(cpu, UNATTACHED_CLAIM_ANY);
		return;
	}
	barrier = task_advance(slot, TASK_BLOCKED, &old);
	if (deq_flags & SCX_DEQ_SLEEP)
		task_tell(slot, t, GHOST_MSG_TASK_BLOCKED, old == TASK_LATCHED ? GHOST_MSG_F_WAS_LATCHED : 0, barrier, cpu);
}

/* Whose child a thread's will be: of its domain, or of the one that it is about to get as its first. False: nobody's. */
static __always_inline bool owner_of_children(struct task_struct *parent, struct slot_owner *owner)
{
	struct ghost_thread *th = thread_of(parent);
	struct ghost_status_word *sw;
	u32 slot1, next1 = 0, slot;
	struct ghost_task *t;

	if (!th)
		return false;
	slot1 = READ_ONCE(th->slot);
	if (!slot1)
		next1 = READ_ONCE(th->next_slot);
	if (!slot1 && !next1)
		return false;
	slot = (slot1 ?: next1) - 1;
	sw = status_word_of(slot);
	t = task_of(slot);
	if (!sw || !t)
		return false;
	owner->domain = t->domain;
	owner->enclave = t->enclave;
	owner->weight = sw->weight;
	owner->policy = sw->former_policy;
	/* What it is about to get may be taken back at this moment, and be somebody else's. */
	return slot1 || (READ_ONCE(sw->tid) == parent->pid && (READ_ONCE(th->next_slot) == next1 || READ_ONCE(th->slot) == next1));
}

/* A child of an attached thread belongs to its parent's domain from its first instruction. Sleepable: its custody has to be made. */
SEC("struct_ops.s/init_task")
s32 BPF_PROG(ghost_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct slot_owner owner = { .tid = p->pid, .tgid = p->tgid, .vcpu = GHOST_NO_VCPU };

	if (!args->fork || p->policy != SCHED_EXT || !owner_of_children(bpf_get_current_task_btf(), &owner))
		return 0;
	return slot_attach(p, &owner);
}

/* Enters the class. */
SEC("struct_ops/enable")
void BPF_PROG(ghost_enable, struct task_struct *p)
{
	u32 slot = 0, old = 0;
	struct ghost_task *t = attached(p, &slot);
	u64 barrier;

	if (!t)
		return;
	barrier = task_advance(slot, TASK_BLOCKED, &old);
	/* It runs, and came there by another class. */
	if (p->on_cpu)
		t->on_cpu_since = bpf_ktime_get_ns();
	/* Asleep: nothing else will announce it. Otherwise it is announced once it is off CPU, so that it can be decided upon. */
	if (!p->on_rq)
		task_tell(slot, t, GHOST_MSG_TASK_BLOCKED, 0, barrier, scx_bpf_task_cpu(p));
}

/* Leaves the class: dead, or alive under another policy. Its right to come back went with it. */
SEC("struct_ops/disable")
void BPF_PROG(ghost_disable, struct task_struct *p)
{
	u32 slot = 0, old = 0;
	struct ghost_task *t = attached(p, &slot);
	struct ghost_thread *th = thread_of(p);
	u64 barrier;

	if (!th)
		return;
	if (!t) {
		slot_leave_next(th);
		return;
	}
	barrier = task_advance(slot, TASK_NONE, &old);
	if (t->announced)
		task_post(slot, p->flags & PF_EXITING ? GHOST_MSG_TASK_DEAD : GHOST_MSG_TASK_DEPARTED, 0, barrier, scx_bpf_task_cpu(p));
	trip_at_ejection(p, th, t);
	slot_leave(th);
}

SEC("struct_ops/exit_task")
void BPF_PROG(ghost_exit_task, struct task_struct *p, struct scx_exit_task_args *args)
{
	struct ghost_thread *th = thread_of(p);

	/* Attached, but never entered. */
	if (th)
		slot_leave(th);
}

