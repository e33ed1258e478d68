/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the control plane may call; the descriptors of these programs never leave it. */
#pragma once

static __always_inline void copy_bytes(void *to, const void *from, u32 size)
{
	__builtin_memcpy(to, from, size);
}

SEC("syscall")
int ghost_enclave_create_prog(struct ghost_enclave_create *ctx)
{
	struct ghost_enclave *e = NULL;
	u32 i, id = 0;

	ctx->result = ctx->abi_version == GHOST_ABI_VERSION ? -EINVAL : -EPROTO;
	if (ctx->abi_version != GHOST_ABI_VERSION || (ctx->flags & ~GHOST_ENCLAVE_FLAGS))
		return 0;
	bpf_for(i, 1, GHOST_MAX_ENCLAVES + 1) {
		e = enclave_of(i);
		if (e && __sync_val_compare_and_swap(&e->in_use, 0, 1) == 0) {
			id = i;
			break;
		}
	}
	ctx->result = -ENOSPC;
	if (!id || !e)
		return 0;
	e->flags = ctx->flags;
	e->tenure_ns = ctx->tenure_ns;
	e->runnable_timeout_ns = ctx->runnable_timeout_ns;
	e->default_queue = ctx->first_queue;
	e->nr_cores = 0;
	copy_bytes(e->name, ctx->name, GHOST_NAME_LEN);
	ctx->enclave = id;
	ctx->result = 0;
	return 0;
}

/* What was told to the core that left is told to another one. */
static __noinline int default_queue_moves(u32 enclave, u32 left)
{
	struct ghost_class_info *info = info_of();
	struct ghost_enclave *e = enclave_of(enclave);
	u32 i;

	if (!info || !e || e->default_queue != left)
		return 0;
	bpf_for(i, 0, info->nr_cores) {
		struct ghost_core_state *core = core_of(i);

		if (core && core->enclave == enclave) {
			WRITE_ONCE(e->default_queue, core->queue);
			return 0;
		}
	}
	return 0;
}

/*
 * Gives core `core` to enclave `enclave`, with the queue of its agent; enclave 0 takes it away: those of its tasks that run there are asked to
 * leave at once, by the switch, which finds that the core is not theirs.
 */
SEC("syscall")
int ghost_core_assign_prog(struct ghost_core_assign *ctx)
{
	struct ghost_core_state *core = core_of(ctx->core);
	struct ghost_enclave *e = enclave_of(ctx->enclave);
	u32 enclave;

	ctx->result = -EINVAL;
	if (!core || !e || (ctx->enclave && !e->in_use))
		return 0;
	ctx->result = -EBUSY;
	if (!ctx->enclave) {
		if (core->agent_tid)
			return 0;
		enclave = core->enclave;
		e = enclave_of(enclave);
		if (e && e->nr_cores)
			e->nr_cores--;
		WRITE_ONCE(core->enclave, 0);
		if (enclave)
			default_queue_moves(enclave, core->queue);
		kick_siblings(core, 0xff, SCX_KICK_PREEMPT);
		ctx->result = 0;
		return 0;
	}
	core->queue = ctx->queue;
	if (__sync_val_compare_and_swap(&core->enclave, 0, ctx->enclave))
		return 0;
	e->nr_cores++;
	/* Its CPUs have idled, and may be what tasks wait for. */
	kick_siblings(core, 0xff, 0);
	ctx->result = 0;
	return 0;
}

SEC("syscall")
int ghost_enclave_update_prog(struct ghost_enclave_update *ctx)
{
	struct ghost_enclave *e = enclave_of(ctx->enclave);
	struct ghost_class_info *info = info_of();
	u32 i;

	ctx->result = -EINVAL;
	if (!info || ctx->flags & ~GHOST_ENCLAVE_PROTECTION)
		return 0;
	ctx->result = -ENOENT;
	if (!e || !ctx->enclave || !e->in_use)
		return 0;
	/* The others never change. */
	WRITE_ONCE(e->flags, (e->flags & ~GHOST_ENCLAVE_PROTECTION) | ctx->flags);
	/* Who is beside a task of the host already, or idles for its sake, is asked again. */
	bpf_for(i, 0, info->nr_cores) {
		struct ghost_core_state *core = core_of(i);

		if (core && core->enclave == ctx->enclave && READ_ONCE(core->host))
			kick_siblings(core, 0xff, SCX_KICK_PREEMPT);
	}
	ctx->result = 0;
	return 0;
}

SEC("syscall")
int ghost_enclave_destroy_prog(struct ghost_enclave_destroy *ctx)
{
	struct ghost_class_info *info = info_of();
	struct ghost_enclave *e = enclave_of(ctx->enclave);
	u32 i, nr;

	ctx->result = -ENOENT;
	if (!info || !e || !ctx->enclave || !e->in_use)
		return 0;
	nr = info->nr_domains;
	ctx->result = -EBUSY;
	if (e->nr_cores)
		return 0;
	bpf_for(i, 0, nr) {
		struct ghost_domain *d = domain_of(i);

		if (d && d->in_use && d->enclave == ctx->enclave)
			return 0;
	}
	e->in_use = 0;
	ctx->result = 0;
	return 0;
}

SEC("syscall")
int ghost_agent_bless_prog(struct ghost_agent_bless *ctx)
{
	struct ghost_thread *th = NULL;
	struct task_struct *p = bpf_task_from_pid(ctx->tgid);

	ctx->result = -ESRCH;
	if (!p)
		return 0;
	th = bpf_task_storage_get(&threads, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (th) {
		th->blessed_enclave = ctx->enclave;
		ctx->result = 0;
	}
	bpf_task_release(p);
	return 0;
}

static __always_inline bool same_key(const u8 *a, const u8 *b)
{
	u32 i;

	for (i = 0; i < GHOST_DOMAIN_KEY_LEN; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

SEC("syscall")
int ghost_domain_create_prog(struct ghost_domain_create *ctx)
{
	struct ghost_enclave *e = enclave_of(ctx->enclave);
	struct ghost_class_info *info = info_of();
	struct ghost_domain *d;
	u8 key[GHOST_DOMAIN_KEY_LEN];
	u32 i, nr, free = 0;

	ctx->result = -EINVAL;
	if (!e || !ctx->enclave || !e->in_use || !info)
		return 0;
	copy_bytes(key, ctx->key, sizeof(key));
	nr = info->nr_domains;
	bpf_for(i, GHOST_DOMAIN_FIRST, nr) {
		d = domain_of(i);
		if (!d)
			break;
		if (!d->in_use) {
			free = free ?: i;
			continue;
		}
		if (d->enclave == ctx->enclave && same_key(d->key, key)) {
			ctx->domain = i;
			ctx->result = 0;
			return 0;
		}
	}
	ctx->result = -ENOSPC;
	d = free ? domain_of(free) : NULL;
	if (!d || __sync_val_compare_and_swap(&d->in_use, 0, 1))
		return 0;
	d->enclave = ctx->enclave;
	d->nr_tasks = 0;
	d->cursor = 0;
	copy_bytes(d->key, key, sizeof(key));
	copy_bytes(d->name, ctx->name, GHOST_DOMAIN_NAME_LEN);
	ctx->domain = free;
	ctx->result = 0;
	return 0;
}

/* A domain's index is given out again only when no core can still hold it. */
SEC("syscall")
int ghost_domain_destroy_prog(struct ghost_domain_destroy *ctx)
{
	struct ghost_class_info *info = info_of();
	struct ghost_domain *d = domain_of(ctx->domain);
	u32 i, nr, block1;

	ctx->result = -ENOENT;
	if (!d || !info || !d->in_use)
		return 0;
	ctx->result = -EBUSY;
	if (d->nr_tasks)
		return 0;
	nr = info->nr_cores;
	bpf_for(i, 0, nr) {
		struct ghost_core_state *core = core_of(i);
		core_word_t w = core ? READ_ONCE(core->word) : 0;

		if (core_word_busy(w) && core_word_owner(w) == ctx->domain)
			return 0;
	}
	block1 = d->first_block;
	d->first_block = 0;
	bpf_for(i, 0, 1024) {
		struct ghost_block *b = block1 ? block_of(block1 - 1) : NULL;

		if (!b)
			break;
		block1 = b->next;
		b->next = 0;
		WRITE_ONCE(b->domain, 0);
	}
	WRITE_ONCE(d->in_use, 0);
	ctx->result = 0;
	return 0;
}

/* As it looks where the kernel has core scheduling. */
struct task_struct___sched_core {
	unsigned long core_cookie;
} __attribute__((preserve_access_index));

static __always_inline bool has_cookie(struct task_struct *p)
{
	struct task_struct___sched_core *c = (void *)p;

	return bpf_core_field_exists(c->core_cookie) && BPF_CORE_READ(c, core_cookie);
}

/* Makes a slot ready for a thread that is in the class, in place of another one, or none; it takes it under its run-queue lock (slot_change()). */
static __noinline s32 slot_prepare(struct task_struct *p, struct ghost_thread *th, struct slot_owner *owner, u32 from1)
{
	s32 slot1;

	if (!p || !th || !owner)
		return -ENOENT;
	slot1 = slot_make(p, owner);
	if (slot1 < 0)
		return slot1;
	if (from1)
		slot_inherit_promise(slot1 - 1, from1 - 1);
	if (__sync_val_compare_and_swap(&th->next_slot, 0, slot1)) {
		slot_free(slot1 - 1);
		return -EBUSY;
	}
	return slot1;
}

static __always_inline s32 slot_offer(struct ghost_task_attach *ctx, struct task_struct *p, struct ghost_thread *th, struct slot_owner *owner)
{
	s32 slot1 = slot_prepare(p, th, owner, 0);
	struct ghost_status_word *sw;

	if (slot1 < 0)
		return slot1;
	sw = status_word_of(slot1 - 1);
	if (sw)
		ctx->gtid = sw->gtid;
	/* It began to die meanwhile. */
	if (READ_ONCE(p->flags) & PF_EXITING) {
		slot_leave_next(th);
		return -ESRCH;
	}
	scx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_PREEMPT);
	return 0;
}

SEC("syscall")
int ghost_task_attach_prog(struct ghost_task_attach *ctx)
{
	struct ghost_domain *d = domain_of(ctx->domain);
	struct ghost_status_word *sw;
	struct slot_owner owner = {};
	struct ghost_thread *th;
	struct task_struct *p;

	ctx->result = -EINVAL;
	if (!d || !d->in_use || ctx->domain < GHOST_DOMAIN_FIRST)
		return 0;
	ctx->result = -ESRCH;
	p = bpf_task_from_pid(ctx->tid);
	if (!p)
		return 0;
	if (p->flags & PF_EXITING)
		goto out;
	ctx->result = -EKEYREJECTED;
	if (has_cookie(p))
		goto out;
	ctx->result = -ENOMEM;
	th = bpf_task_storage_get(&threads, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!th)
		goto out;
	if (th->slot) {
		sw = status_word_of(th->slot - 1);
		ctx->result = -EBUSY;
		if (sw && sw->domain == ctx->domain) {
			ctx->gtid = sw->gtid;
			ctx->result = -EEXIST;
			/* Born in the class, of a thread in the class. */
			if (sw->vcpu == GHOST_NO_VCPU)
				WRITE_ONCE(sw->vcpu, ctx->vcpu);
		}
		goto out;
	}
	owner.domain = ctx->domain;
	owner.enclave = d->enclave;
	owner.tid = ctx->tid;
	owner.tgid = p->tgid;
	owner.vcpu = ctx->vcpu;
	owner.weight = ctx->weight;
	owner.policy = p->policy;
	if (is_gated(p) && READ_ONCE(th->next_slot)) {
		/* Said before, and it has slept since. */
		sw = status_word_of(READ_ONCE(th->next_slot) - 1);
		ctx->result = -EBUSY;
		if (sw && sw->domain == ctx->domain) {
			ctx->gtid = sw->gtid;
			ctx->result = -EEXIST;
		}
		goto out;
	}
	if (is_gated(p)) {
		/* In the class already, of its own accord or with the whole host: it changes over as one that changes its domain. */
		if (p->policy == SCHED_EXT)
			owner.policy = SCHED_NORMAL;
		ctx->result = slot_offer(ctx, p, th, &owner);
		goto out;
	}
	ctx->result = slot_attach(p, &owner);
	/* It began to die meanwhile, and may have looked for its slot before it had one. */
	if (!ctx->result && (READ_ONCE(p->flags) & PF_EXITING)) {
		slot_leave(th);
		ctx->result = -ESRCH;
		goto out;
	}
	sw = th->slot ? status_word_of(th->slot - 1) : NULL;
	if (sw)
		ctx->gtid = sw->gtid;
out:
	bpf_task_release(p);
	return 0;
}

SEC("syscall")
int ghost_task_update_prog(struct ghost_task_update *ctx)
{
	u32 slot = GHOST_GTID_SLOT(ctx->gtid);
	struct ghost_status_word *sw = status_word_of(slot);
	struct ghost_task *t = task_of(slot);
	u64 barrier;

	ctx->result = -EINVAL;
	if (!ctx->weight || ctx->budget_ns > ctx->period_ns || (ctx->cap_ns && !ctx->cap_period_ns))
		return 0;
	ctx->result = -ENOENT;
	if (!sw || !t || !ctx->gtid || sw->gtid != ctx->gtid)
		return 0;
	if (ctx->budget_ns != sw->budget_ns || ctx->period_ns != sw->period_ns) {
		WRITE_ONCE(sw->granted_ns, 0);
		WRITE_ONCE(sw->free_ns, 0);
		WRITE_ONCE(sw->place, GHOST_NO_CORE);
	}
	WRITE_ONCE(sw->weight, ctx->weight);
	WRITE_ONCE(sw->budget_ns, ctx->budget_ns);
	WRITE_ONCE(sw->period_ns, ctx->period_ns);
	WRITE_ONCE(sw->cap_ns, ctx->cap_ns);
	WRITE_ONCE(sw->cap_period_ns, ctx->cap_period_ns);
	WRITE_ONCE(sw->node, ctx->node);
	barrier = task_bump(slot);
	if (t->announced)
		task_post(slot, GHOST_MSG_TASK_ATTRIBUTES_CHANGED, 0, barrier, sw->cpu);
	ctx->result = 0;
	return 0;
}

static __noinline int relabel(struct ghost_task_relabel *ctx, struct task_struct *p, struct ghost_thread *th)
{
	struct ghost_status_word *sw = status_word_of(GHOST_GTID_SLOT(ctx->gtid)), *next;
	struct ghost_task *t = task_of(GHOST_GTID_SLOT(ctx->gtid));
	struct slot_owner owner = {};
	s32 slot1;

	if (!p || !th || !sw || !t)
		return -ENOENT;
	owner.domain = ctx->domain;
	owner.enclave = sw->enclave;
	owner.tid = sw->tid;
	owner.tgid = sw->tgid;
	owner.vcpu = sw->vcpu;
	owner.weight = sw->weight;
	owner.policy = sw->former_policy;
	/* The last word counts: one that sleeps may not have come to what was said before. */
	slot_leave_next(th);
	slot1 = slot_prepare(p, th, &owner, GHOST_GTID_SLOT(ctx->gtid) + 1);
	if (slot1 < 0)
		return slot1;
	next = status_word_of(slot1 - 1);
	if (next)
		ctx->gtid = next->gtid;
	/* It left meanwhile, and may not have seen what it was to change to. */
	if (!READ_ONCE(th->slot)) {
		slot_leave_next(th);
		return -ENOENT;
	}
	t->leaving = LEAVE_CHANGED;
	if (READ_ONCE(t->on_cpu_since))
		scx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_PREEMPT);
	return 0;
}

/* It has that domain: what it was to change to, if anything, is given back, unless it takes it at this moment. */
static __always_inline int stay(struct ghost_task_relabel *ctx, struct ghost_thread *th)
{
	slot_leave_next(th);
	return READ_ONCE(th->slot) == GHOST_GTID_SLOT(ctx->gtid) + 1 ? 0 : -EBUSY;
}

SEC("syscall")
int ghost_task_relabel_prog(struct ghost_task_relabel *ctx)
{
	struct ghost_status_word *sw = status_word_of(GHOST_GTID_SLOT(ctx->gtid));
	struct ghost_domain *d = domain_of(ctx->domain);
	struct ghost_thread *th;
	struct task_struct *p;

	ctx->result = -ENOENT;
	if (!sw || !ctx->gtid || sw->gtid != ctx->gtid)
		return 0;
	ctx->result = -EINVAL;
	if (!d || !d->in_use || ctx->domain < GHOST_DOMAIN_FIRST || d->enclave != sw->enclave)
		return 0;
	ctx->result = -ENOENT;
	p = bpf_task_from_pid(sw->tid);
	if (!p)
		return 0;
	th = bpf_task_storage_get(&threads, p, 0, 0);
	if (th && th->slot == GHOST_GTID_SLOT(ctx->gtid) + 1)
		ctx->result = sw->domain == ctx->domain ? stay(ctx, th) : relabel(ctx, p, th);
	bpf_task_release(p);
	return 0;
}

/* Takes back an attachment whose thread could not be moved into the class. */
SEC("syscall")
int ghost_task_detach_prog(struct ghost_task_detach *ctx)
{
	struct ghost_status_word *sw = status_word_of(GHOST_GTID_SLOT(ctx->gtid));
	struct ghost_thread *th;
	struct task_struct *p;

	ctx->result = -ENOENT;
	if (!sw || !ctx->gtid || sw->gtid != ctx->gtid)
		return 0;
	p = bpf_task_from_pid(sw->tid);
	if (!p)
		return 0;
	th = bpf_task_storage_get(&threads, p, 0, 0);
	ctx->result = -EBUSY;
	if (p->policy != SCHED_EXT && th && th->slot) {
		slot_leave(th);
		ctx->result = 0;
	}
	bpf_task_release(p);
	return 0;
}
