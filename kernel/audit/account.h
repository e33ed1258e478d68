/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The auditor's arithmetic: pure functions over one core and one thread, without a clock, a lock or a helper call.
 *
 * One text serves three readers. The BPF program runs it under the core's spin lock at every switch; user space runs it on a copy
 * to close what is still open when it reads; the unit tests run it against a brute-force timeline. So a reading cannot disagree
 * with what the kernel would have counted. Not thread safe: callers hold the lock or own the copy.
 *
 * Epochs. A reset only publishes a time, a little in the future. Each core and thread starts afresh by itself when it first
 * accounts for something at or after that time; what was open then is open since exactly then. Nobody has to stop the world.
 */
#ifndef CORRAL_KERNEL_AUDIT_ACCOUNT_H_
#define CORRAL_KERNEL_AUDIT_ACCOUNT_H_

#include "kernel/audit/audit.h"

#define AUDIT_BIT(state) (1u << (state))

#ifdef __bpf__
#define AUDIT_INLINE static __always_inline
/* Keeps clang from making a call to memset, which does not exist in BPF, out of a loop of stores. */
#define audit_barrier() asm volatile("" ::: "memory")
#else
#define AUDIT_INLINE static inline
#define audit_barrier() ((void)0)
#endif

/* The conditions that two siblings fulfil between them. */
AUDIT_INLINE __u32 audit_pair_mask(const struct audit_slot *a, const struct audit_slot *b)
{
	const __u32 vcpus = (a->kind == AUDIT_VCPU) + (b->kind == AUDIT_VCPU);
	__u8 other;

	if (a->vm && b->vm) {
		if (a->vm == b->vm)
			return AUDIT_BIT(AUDIT_SAME_VM);
		if (vcpus == 0)
			return AUDIT_BIT(AUDIT_CROSS_VM) | AUDIT_BIT(AUDIT_HELPER_HELPER);
		if (vcpus == 1)
			return AUDIT_BIT(AUDIT_CROSS_VM) | AUDIT_BIT(AUDIT_VCPU_HELPER);
		return AUDIT_BIT(AUDIT_CROSS_VM) | AUDIT_BIT(AUDIT_VCPU_VCPU) |
		       (a->enrolled && b->enrolled ? AUDIT_BIT(AUDIT_VCPU_ENFORCED) : AUDIT_BIT(AUDIT_VCPU_EXPOSED));
	}
	if (vcpus == 0)
		return 0;
	other = a->kind == AUDIT_VCPU ? b->kind : a->kind;
	if (other == AUDIT_IDLE)
		return AUDIT_BIT(AUDIT_FORCED_IDLE);
	return other == AUDIT_HOST ? AUDIT_BIT(AUDIT_BESIDE_HOST) : 0;
}

/* Four bits in place of each bit of a mask of conditions. Without branches, which would be the verifier's to follow. */
AUDIT_INLINE __u64 audit_spread(__u32 mask)
{
	__u64 spread = 0;

	for (__u32 state = 0; state < AUDIT_STATES; state++)
		spread |= (__u64)(mask >> state & 1) << 4 * state;
	return spread;
}

/* Brings core->between and core->peers up to date with a change of `sibling`, and returns the conditions that hold then. */
AUDIT_INLINE __u32 audit_core_compare(struct audit_core *core, __u32 sibling)
{
	const struct audit_slot *slot = &core->slot[sibling];
	__u32 mask = 0;

	core->peers = 0;
	for (__u32 i = 0; i < AUDIT_MAX_SIBLINGS && i < core->siblings; i++) {
		__u32 between = audit_pair_mask(slot, &core->slot[i]);
		__u64 spread;

		if (i == sibling)
			between = slot->vm ? AUDIT_BIT(AUDIT_BUSY) : 0;
		core->between[sibling][i] = between;
		core->between[i][sibling] = between;
		audit_barrier(); /* what is read back is any number to the verifier, not a path of its own for each value */
		spread = audit_spread(core->between[sibling][i]);
		core->peers = (core->peers & ~(spread * 0xf)) | spread * i;
	}
	for (__u32 i = 0; i < AUDIT_MAX_SIBLINGS && i < core->siblings; i++) {
		for (__u32 j = 0; j <= i; j++)
			mask |= core->between[i][j];
	}
	return mask;
}

AUDIT_INLINE struct audit_party audit_party_of(const struct audit_core *core, __u32 sibling)
{
	const struct audit_slot *slot = &core->slot[sibling];
	const struct audit_party party = { .vm = slot->vm, .tid = slot->tid, .cpu = core->cpu[sibling], .kind = slot->kind };

	return party;
}

/* `sibling` has just changed and thereby begun `state`. */
AUDIT_INLINE void audit_span_open(struct audit_core *core, __u32 state, __u32 sibling, __u64 now)
{
	struct audit_span *span = &core->span[state];

	span->count++;
	span->open.time = now;
	span->open.newcomer = audit_party_of(core, sibling);
	span->open.incumbent = audit_party_of(core, core->peers >> 4 * state & (AUDIT_MAX_SIBLINGS - 1));
}

/* The number of the highest bit that is set; of 0, 0. Without branches, as above. */
AUDIT_INLINE __u32 audit_highest_bit(__u64 ns)
{
	for (__u32 step = 1; step < 64; step *= 2)
		ns |= ns >> step;
	ns >>= 1;
	ns -= ns >> 1 & 0x5555555555555555ULL;
	ns = (ns & 0x3333333333333333ULL) + (ns >> 2 & 0x3333333333333333ULL);
	ns = (ns + (ns >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (__u32)(ns * 0x0101010101010101ULL >> 56);
}

/*
 * Which of the counts of a core's `beside_host` a stretch belongs to. By its first three bits, of which the first one is
 * known: four buckets to an octave.
 */
AUDIT_INLINE __u32 audit_length_bucket(__u64 ns)
{
	const __u32 octave = audit_highest_bit(ns | 4);

	return (octave - 2) * 4 + (__u32)(ns >> (octave - 2));
}

/* The longest that the bucket counts, in ns. */
AUDIT_INLINE __u64 audit_length_bound(__u32 bucket)
{
	if (bucket < 4)
		return bucket;
	return ((5ULL + bucket % 4) << (bucket / 4 - 1)) - 1;
}

/*
 * The conditions change to `mask`: if AUDIT_BESIDE_HOST ends, how long was it? Without branches, and from what the core has:
 * what a variable holds across the conditions, the verifier follows. So what was no stretch, or one of no length, has a count as well, which says
 * nothing. What may be taken back later of a longer one is little, and stays.
 */
AUDIT_INLINE void audit_length_note(struct audit_core *core, __u32 mask)
{
	const __u64 over = (core->mask & ~mask) >> AUDIT_BESIDE_HOST & 1;
	const __u64 ns = core->span[AUDIT_BESIDE_HOST].last_ns * over;
	struct audit_length *length = &core->beside_host[audit_length_bucket(ns) & (AUDIT_LENGTHS - 1)];
	const __u64 old = (length->epoch - core->epoch) >> 63;

	audit_barrier();
	length->count = length->count * (1 - old) + 1;
	length->epoch = core->epoch;
}

/* How often, in the epoch of the core's figures. */
AUDIT_INLINE __u64 audit_length_count(const struct audit_core *core, __u32 bucket)
{
	return core->beside_host[bucket].epoch == core->epoch ? core->beside_host[bucket].count : 0;
}

/* It has been counted up to `now`, and was over at `end`; or it never was. */
AUDIT_INLINE void audit_span_close(struct audit_span *span, __u64 end, __u64 now)
{
	if (end < span->open.time)
		end = span->open.time;
	if (end > now)
		end = now;
	span->ns -= now - end;
	if (end == span->open.time && end != now)
		span->count--;
	span->last_ns = end - span->open.time;
	if (end - span->open.time > span->longest_ns) {
		span->longest_ns = end - span->open.time;
		span->longest = span->open;
	}
}

/* `state` ends at `end` by a switch of the one sibling: how much of it lies after the kernel last looked for another task for `other`? */
AUDIT_INLINE void audit_doubt_note(struct audit_core *core, __u32 other, __u32 state, __u64 end)
{
	struct audit_doubt *doubt = &core->doubt[other & 1];
	const __u64 look = core->look[other & 1], open = core->span[state].open.time, from = look > open ? look : open;

	if (!look || from >= end)
		return;
	if (doubt->at != look) {
		doubt->at = look;
		for (__u32 i = 0; i < AUDIT_STATES; i++) {
			doubt->ns[i] = 0;
			doubt->count[i] = 0;
			audit_barrier();
		}
		doubt->longest_ns = core->span[AUDIT_VCPU_ENFORCED].longest_ns;
		doubt->longest = core->span[AUDIT_VCPU_ENFORCED].longest;
	}
	doubt->ns[state] += end - from;
	doubt->count[state] += from == open;
	if (state == AUDIT_VCPU_ENFORCED && from - open > doubt->longest_ns) {
		doubt->longest_ns = from - open;
		doubt->longest = core->span[state].open;
	}
}

/* The sibling switches, and the kernel had looked for that since `left_at`. */
AUDIT_INLINE void audit_doubt_settle(struct audit_core *core, __u32 sibling, __u64 left_at)
{
	struct audit_doubt *doubt = &core->doubt[sibling & 1];

	if (doubt->at && doubt->at == left_at) {
		for (__u32 state = 0; state < AUDIT_STATES; state++) {
			core->span[state].ns -= doubt->ns[state];
			core->span[state].count -= doubt->count[state];
		}
		core->span[AUDIT_VCPU_ENFORCED].longest_ns = doubt->longest_ns;
		core->span[AUDIT_VCPU_ENFORCED].longest = doubt->longest;
	}
	doubt->at = 0;
}

/* Starts the epoch afresh in which `now` lies, if the core is not in it yet. */
AUDIT_INLINE void audit_core_roll(struct audit_core *core, __u64 epoch, __u64 now)
{
	if (core->epoch == epoch || now < epoch)
		return;
	core->epoch = epoch;
	core->switches = 0;
	core->negative = 0;
	core->negative_ns = 0;
	core->missed = 0;
	core->doubt[0].at = 0;
	core->doubt[1].at = 0;
	for (__u32 state = 0; state < AUDIT_STATES; state++) {
		struct audit_span *span = &core->span[state];
		const __u32 open = core->mask >> state & 1;

		span->ns = 0;
		span->longest_ns = 0;
		span->longest.time = 0;
		span->count = open;
		if (open)
			span->open.time = epoch;
		audit_barrier();
	}
	if (core->last < epoch)
		core->last = epoch;
}

/* Makes the figures complete up to `now`, and says what `now` is for this core: never earlier than what it has counted. */
AUDIT_INLINE __u64 audit_core_advance(struct audit_core *core, __u64 epoch, __u64 now)
{
	audit_core_roll(core, epoch, now);
	if (now < core->last) {
		core->negative++;
		core->negative_ns += core->last - now;
		return core->last;
	}
	for (__u32 state = 0; state < AUDIT_STATES; state++) {
		if (core->mask >> state & 1)
			core->span[state].ns += now - core->last;
	}
	core->last = now;
	return now;
}

/*
 * From `now` on, `sibling` runs what `slot` says. `left` is the task that ran until then: it should be the one we know of. `left_at`, not
 * later, is when the kernel began to look for another one. That look stands until here, under the lock: a sibling that switches
 * just before us still has to note its doubt.
 */
AUDIT_INLINE void audit_core_switch(struct audit_core *core, __u32 sibling, __u64 left, const struct audit_slot *slot, __u64 epoch,
				    __u64 left_at, __u64 now)
{
	const int two = core->siblings == 2;
	__u32 mask;

	now = audit_core_advance(core, epoch, now);
	if (two)
		audit_doubt_settle(core, sibling, left_at);
	core->look[sibling] = 0;
	if (core->slot[sibling].task && core->slot[sibling].task != left)
		core->missed++;
	core->slot[sibling] = *slot;
	if (slot->kind == AUDIT_VCPU) {
		if (core->last_vm && core->last_vm != slot->vm)
			core->switches++;
		core->last_vm = slot->vm;
	}
	mask = audit_core_compare(core, sibling);
	for (__u32 state = 0; state < AUDIT_STATES; state++) {
		const __u32 was = core->mask >> state & 1, is = mask >> state & 1;

		if (is && !was)
			audit_span_open(core, state, sibling, now);
		if (is || !was)
			continue;
		if (two)
			audit_doubt_note(core, !sibling, state, left_at);
		audit_span_close(&core->span[state], left_at, now);
	}
	audit_length_note(core, mask);
	core->mask = mask;
}

/*
 * For a reader's copy: has one of two siblings begun to look for another task, and not switched, while `state` held or was counted? Then
 * the next switch may take some of it back, and a later copy will tell.
 */
AUDIT_INLINE int audit_core_unsettled(const struct audit_core *core, __u32 state)
{
	if (core->siblings != 2)
		return 0;
	for (__u32 sibling = 0; sibling < 2; sibling++) {
		const __u64 look = core->look[sibling];
		const struct audit_doubt *doubt = &core->doubt[sibling];

		if (look && ((core->mask >> state & 1) || (doubt->at == look && doubt->ns[state])))
			return 1;
	}
	return 0;
}

/* For a reader's copy: counts what is still open as if it ended now. A reader's clock is never evidence of a negative interval. */
AUDIT_INLINE void audit_core_read(struct audit_core *core, __u64 epoch, __u64 now)
{
	if (now < core->last)
		now = core->last;
	now = audit_core_advance(core, epoch, now);
	for (__u32 state = 0; state < AUDIT_STATES; state++) {
		if (core->mask >> state & 1)
			audit_span_close(&core->span[state], now, now);
	}
	audit_length_note(core, 0);
}

AUDIT_INLINE void audit_thread_roll(struct audit_thread *thread, __u64 epoch, __u64 now)
{
	if (thread->epoch == epoch || now < epoch)
		return;
	thread->epoch = epoch;
	thread->run_ns = 0;
	thread->exposure_ns = 0;
	thread->early_ns = 0;
	thread->stints = thread->running;
	if (thread->running && thread->since < epoch)
		thread->since = epoch;
}

/* The thread's stint as described by `slot` begins. */
AUDIT_INLINE void audit_thread_enter(struct audit_thread *thread, const struct audit_slot *slot, __u32 cpu, __u64 epoch, __u64 now)
{
	audit_thread_roll(thread, epoch, now);
	thread->tgid = slot->tgid;
	thread->vm = slot->vm;
	thread->kind = slot->kind;
	thread->enrolled = slot->enrolled;
	thread->cpu = cpu;
	thread->since = now;
	thread->running = 1;
	thread->stints++;
	if (slot->enrolled && !thread->first_enrolled)
		thread->first_enrolled = now;
}

/* Counts the current stint up to `now`; it goes on. */
AUDIT_INLINE void audit_thread_read(struct audit_thread *thread, __u64 epoch, __u64 now)
{
	__u64 ns;

	audit_thread_roll(thread, epoch, now);
	if (!thread->running || now < thread->since)
		return;
	ns = now - thread->since;
	thread->since = now;
	thread->run_ns += ns;
	if (thread->kind == AUDIT_VCPU && !thread->enrolled) {
		thread->exposure_ns += ns;
		if (!thread->first_enrolled)
			thread->early_ns += ns;
	}
}

AUDIT_INLINE void audit_thread_leave(struct audit_thread *thread, __u64 epoch, __u64 now)
{
	audit_thread_read(thread, epoch, now);
	thread->running = 0;
}

#endif /* CORRAL_KERNEL_AUDIT_ACCOUNT_H_ */
