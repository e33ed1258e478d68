/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Slots: a task's place in the class's tables. A domain owns whole blocks of 64 slots, so that its tasks are found without looking at
 * anybody else's. Taken when a thread is attached, forked or about to change its domain; given back when it leaves the domain or the class.
 */
#pragma once

/* A free slot in one of the domain's blocks; slot + 1, or 0. */
__noinline u32 slot_in_blocks(struct ghost_domain *d)
{
	u32 i, k, block1;

	if (!d)
		return 0;
	block1 = d->first_block;
	bpf_for(i, 0, 1024) {
		struct ghost_block *b = block1 ? block_of(block1 - 1) : NULL;

		if (!b)
			return 0;
		bpf_for(k, 0, GHOST_BLOCK_SLOTS) {
			u64 used = READ_ONCE(b->used);

			if (!(used & (1ULL << k)) &&
			    __sync_val_compare_and_swap(&b->used, used, used | 1ULL << k) == used)
				return (block1 - 1) * GHOST_BLOCK_SLOTS + k + 1;
		}
		block1 = b->next;
	}
	return 0;
}

/* Forks on several CPUs may give their domain a block at the same time. */
__noinline int block_link(struct ghost_domain *d, struct ghost_block *b, u32 block1)
{
	u32 i, first;

	if (!d || !b)
		return 0;
	bpf_for(i, 0, CAS_TRIES) {
		first = READ_ONCE(d->first_block);
		WRITE_ONCE(b->next, first);
		if (__sync_val_compare_and_swap(&d->first_block, first, block1) == first)
			break;
	}
	return 0;
}

__noinline u32 slot_alloc(u32 domain)
{
	struct ghost_class_info *info = info_of();
	struct ghost_domain *d = domain_of(domain);
	u32 i, nr, slot1;

	if (!d || !info)
		return 0;
	slot1 = slot_in_blocks(d);
	if (slot1)
		return slot1;
	nr = info->nr_slots / GHOST_BLOCK_SLOTS;
	bpf_for(i, 0, nr) {
		struct ghost_block *b = block_of(i);

		if (!b || __sync_val_compare_and_swap(&b->domain, 0, domain))
			continue;
		block_link(d, b, i + 1);
		return slot_in_blocks(d);
	}
	return 0;
}

/* Whom a slot is for. */
struct slot_owner {
	u32 domain;
	u32 enclave;
	u32 tid;
	u32 tgid;
	u32 vcpu;
	u32 weight;
	u32 policy; /* that it goes back to */
};

static __noinline int slot_fill(u32 slot, struct slot_owner *owner)
{
	struct ghost_status_word *sw = status_word_of(slot);
	struct ghost_task *t = task_of(slot);
	struct ghost_waits *waits = waits_of(slot);
	struct ghost_tally *tally = tally_of(slot);
	struct ghost_domain *d;
	u64 w;

	if (!sw || !t || !waits || !tally || !owner)
		return -EINVAL;
	d = domain_of(owner->domain);
	if (d)
		__sync_fetch_and_add(&d->nr_tasks, 1);
	t->incarnation++;
	t->announced = 0;
	t->asleep = 0;
	t->domain = owner->domain;
	t->enclave = owner->enclave;
	t->queue = GHOST_QUEUE_DEFAULT;
	t->slice_ns = 0;
	t->on_cpu_since = 0;
	t->held_since = bpf_ktime_get_ns();
	t->waits_since = 0;
	t->ran_on = 0;
	t->run_flags = 0;
	t->offer = GHOST_OFFER_NONE;
	sw->offer = GHOST_OFFER_NONE;
	t->rescued_until = 0;
	t->leaving = LEAVE_NOT;
	t->elide_preempt = 0;
	w = t->word;
	WRITE_ONCE(t->word, TASK_WORD(TASK_BARRIER(w) + 1, TASK_BLOCKED));
	sw->runtime_ns = 0;
	sw->switch_time_ns = 0;
	sw->on_since_ns = 0;
	sw->cpu = -1;
	sw->tid = owner->tid;
	sw->tgid = owner->tgid;
	sw->domain = owner->domain;
	sw->enclave = owner->enclave;
	sw->queue = GHOST_QUEUE_DEFAULT;
	sw->weight = owner->weight;
	sw->budget_ns = 0;
	sw->period_ns = 0;
	sw->cap_ns = 0;
	sw->cap_period_ns = 0;
	sw->node = GHOST_NO_NODE;
	sw->priority = 0;
	sw->place = GHOST_NO_CORE;
	sw->granted_ns = 0;
	sw->free_ns = 0;
	sw->vcpu = owner->vcpu;
	sw->former_policy = owner->policy;
	sw->stops = 0;
	__builtin_memset(waits, 0, sizeof(*waits));
	__builtin_memset(tally, 0, sizeof(*tally));
	WRITE_ONCE(sw->gtid, GHOST_GTID(slot, t->incarnation));
	task_publish(slot);
	return 0;
}

/* A slot of the domain for the thread, with its custody: slot + 1, or an error. Sleeps. */
static __always_inline s32 slot_make(struct task_struct *p, struct slot_owner *owner)
{
	u32 slot1 = slot_alloc(owner->domain);
	int err;

	if (!slot1)
		return -ENOSPC;
	err = scx_bpf_create_dsq(CUSTODY_DSQ(slot1 - 1), -1);
	if (err && err != -EEXIST) {
		slot_free(slot1 - 1);
		return err;
	}
	affinity_copy(slot1 - 1, p);
	slot_fill(slot1 - 1, owner);
	return slot1;
}

static __always_inline int slot_attach(struct task_struct *p, struct slot_owner *owner)
{
	struct ghost_thread *th = bpf_task_storage_get(&threads, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	s32 slot1;

	if (!th)
		return -ENOMEM;
	slot1 = slot_make(p, owner);
	if (slot1 < 0)
		return slot1;
	th->slot = slot1;
	return 0;
}

/* What a task that is to change its domain is promised; until then that may change under its new gtid. */
__noinline int slot_inherit_promise(u32 slot, u32 from)
{
	struct ghost_status_word *sw = status_word_of(slot), *old = status_word_of(from);

	if (!sw || !old)
		return 0;
	sw->budget_ns = old->budget_ns;
	sw->period_ns = old->period_ns;
	sw->cap_ns = old->cap_ns;
	sw->cap_period_ns = old->cap_period_ns;
	sw->weight = old->weight;
	sw->node = old->node;
	return 0;
}

/* And, when it does, its past. */
__noinline int slot_inherit_past(u32 slot, u32 from)
{
	struct ghost_status_word *sw = status_word_of(slot), *old = status_word_of(from);

	if (!sw || !old)
		return 0;
	sw->priority = old->priority;
	sw->cpu = old->cpu;
	sw->switch_time_ns = old->switch_time_ns;
	sw->runtime_ns = old->runtime_ns;
	sw->stops = old->stops;
	return 0;
}

/*
 * The thread's domain changes, or it gets its first one: under its run-queue lock, while it is being put off its CPU or waits to be put onto one. Whatever it runs on
 * belongs to the former domain until the switch away from it, as for every task that leaves.
 */
static __noinline int slot_change(struct task_struct *p, u32 cpu)
{
	struct ghost_thread *th = p ? thread_of(p) : NULL;
	struct ghost_status_word *sw, *old_sw;
	struct ghost_task *t, *old_t;
	u32 next1, slot, from, old = 0;
	u64 barrier;

	next1 = th ? __sync_lock_test_and_set(&th->next_slot, 0) : 0;
	if (!next1)
		return 0;
	slot = next1 - 1;
	/* A thread of no enclave that is taken in where it is. */
	if (!th->slot) {
		affinity_copy(slot, p);
		th->slot = next1;
		return 0;
	}
	from = th->slot - 1;
	t = task_of(slot);
	old_t = task_of(from);
	sw = status_word_of(slot);
	old_sw = status_word_of(from);
	if (!t || !old_t || !sw || !old_sw)
		return 0;
	barrier = task_advance(from, TASK_NONE, &old);
	if (old_t->announced)
		task_post(from, GHOST_MSG_TASK_DEPARTED, 0, barrier, cpu);
	slot_inherit_past(slot, from);
	affinity_copy(slot, p);
	/* The present stint is accounted for at its end, here. */
	WRITE_ONCE(sw->on_since_ns, old_sw->on_since_ns);
	t->on_cpu_since = old_t->on_cpu_since;
	th->slot = next1;
	slot_free(from);
	return 0;
}
