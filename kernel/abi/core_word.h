/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The hand-over of a physical core between trust domains, as pure transitions of one 64-bit word per core.
 *
 * This one file is compiled into the BPF class, the simulated class and the exhaustive test. A caller applies a transition by
 * compare-and-swap: read the word, compute the next one, swap, try again if the word had changed.
 *
 * The word:
 *   owner     the domain index that the core belongs to; meaningful while a claim or on_cpu bit is set
 *   claims    a bit per sibling: a task of the owner is in that CPU's local queue or running there
 *   on_cpu    a bit per sibling: a task is on that CPU, as seen by the scheduler's switch tracepoint
 *   waiters   a bit per sibling: it idles because the core belonged to another domain when it asked
 *   handover  one sibling, the only one left, has claimed the core for a new owner while it still is in the switch away from
 *             the old one. Its on_cpu bit belongs to the old owner, so nobody else may claim until the switch is done.
 *   gen       counts changes of owner
 *
 * The rule (I1): siblings have their claim or on_cpu bits set at the same time only for one and the same domain. A CPU acquires
 * for itself, in its own dispatch, before it takes a task; so what runs is never foreign to what runs beside it, however late an
 * interrupt arrives. on_cpu is cleared at the context switch and nowhere earlier: between `stopping` and the switch the old task's
 * address space is still there.
 */
#ifndef CORRAL_KERNEL_ABI_CORE_WORD_H_
#define CORRAL_KERNEL_ABI_CORE_WORD_H_

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

typedef __u64 core_word_t;

#define CORE_WORD_OWNER_BITS 16
#define CORE_WORD_MAX_DOMAIN 0xffffu
/* The domain of tasks that trust nobody, each other included (GHOST_DOMAIN_UNATTACHED): one of them has the core for itself. */
#define CORE_WORD_LONER 1
#define CORE_WORD_CLAIMS_SHIFT 16
#define CORE_WORD_ON_CPU_SHIFT 24
#define CORE_WORD_WAITERS_SHIFT 32
#define CORE_WORD_HANDOVER (1ULL << 40)
#define CORE_WORD_GEN_SHIFT 41

static inline __u32 core_word_owner(core_word_t w) { return (__u32)(w & CORE_WORD_MAX_DOMAIN); }
static inline __u32 core_word_claims(core_word_t w) { return (__u32)(w >> CORE_WORD_CLAIMS_SHIFT) & 0xff; }
static inline __u32 core_word_on_cpu(core_word_t w) { return (__u32)(w >> CORE_WORD_ON_CPU_SHIFT) & 0xff; }
static inline __u32 core_word_waiters(core_word_t w) { return (__u32)(w >> CORE_WORD_WAITERS_SHIFT) & 0xff; }
static inline __u32 core_word_handover(core_word_t w) { return (w & CORE_WORD_HANDOVER) != 0; }
static inline __u32 core_word_gen(core_word_t w) { return (__u32)(w >> CORE_WORD_GEN_SHIFT); }
/* Siblings that the owner holds in any way. */
static inline __u32 core_word_busy(core_word_t w) { return core_word_claims(w) | core_word_on_cpu(w); }

static inline core_word_t core_word_make(__u32 owner, __u32 claims, __u32 on_cpu, __u32 waiters, __u32 handover, __u32 gen)
{
	return (__u64)(owner & CORE_WORD_MAX_DOMAIN) | (__u64)(claims & 0xff) << CORE_WORD_CLAIMS_SHIFT |
	       (__u64)(on_cpu & 0xff) << CORE_WORD_ON_CPU_SHIFT | (__u64)(waiters & 0xff) << CORE_WORD_WAITERS_SHIFT |
	       (handover ? CORE_WORD_HANDOVER : 0) | (__u64)gen << CORE_WORD_GEN_SHIFT;
}

/* What a transition came to, besides the next word. */
struct core_step {
	core_word_t next;
	__u32 granted;	     /* acquire, adopt: the claim is held; without it the sibling must not run the task */
	__u32 owner_changed; /* acquire, adopt: the core changed hands */
	__u32 kick;	     /* siblings that waited for this and must look again */
	__u32 breach;	     /* switch_in: a foreign task is on the CPU */
};

/* Ends a transition that may have let waiters in: when the core emptied, or a hand-over was completed. */
static inline struct core_step core_word_finish(__u32 owner, __u32 claims, __u32 on_cpu, __u32 waiters, __u32 handover, __u32 gen,
						__u32 handover_done)
{
	struct core_step s = {};

	if (!(claims | on_cpu) || handover_done) {
		s.kick = waiters;
		waiters = 0;
	}
	s.next = core_word_make(owner, claims, on_cpu, waiters, handover, gen);
	return s;
}

/*
 * `sibling` asks for the core on behalf of `domain`. Denied, it becomes a waiter in the same atomic, so the release that lets it in
 * cannot miss it.
 */
static inline struct core_step core_word_acquire(core_word_t w, __u32 sibling, __u32 domain)
{
	__u32 bit = 1u << sibling, owner = core_word_owner(w), on_cpu = core_word_on_cpu(w), waiters = core_word_waiters(w);
	__u32 gen = core_word_gen(w), handover = core_word_handover(w);
	struct core_step s = {};

	if (core_word_busy(w) & ~bit) {
		if (owner != domain || handover || domain == CORE_WORD_LONER) {
			s.next = w | (__u64)bit << CORE_WORD_WAITERS_SHIFT;
			return s;
		}
		s.next = core_word_make(owner, core_word_claims(w) | bit, on_cpu, waiters & ~bit, 0, gen);
		s.granted = 1;
		return s;
	}
	/* Alone: a task of another owner that is still on this CPU makes it a hand-over. */
	s.owner_changed = owner != domain;
	if (s.owner_changed && (on_cpu & bit))
		handover = 1;
	s.next = core_word_make(domain, bit, on_cpu, waiters & ~bit, handover, gen + s.owner_changed);
	s.granted = 1;
	return s;
}

/* The claim of `sibling` ends: its task left the CPU's local queue, or was not to be had. Cannot fail. */
static inline struct core_step core_word_release(core_word_t w, __u32 sibling)
{
	return core_word_finish(core_word_owner(w), core_word_claims(w) & ~(1u << sibling), core_word_on_cpu(w), core_word_waiters(w),
				core_word_handover(w), core_word_gen(w), 0);
}

/* Context switch on `sibling` to a task of `domain` (not GHOST_DOMAIN_HOST). */
static inline struct core_step core_word_switch_in(core_word_t w, __u32 sibling, __u32 domain)
{
	__u32 bit = 1u << sibling, owner = core_word_owner(w), handover = core_word_handover(w);
	__u32 others = core_word_busy(w) & ~bit, handover_done = handover && !others;
	struct core_step s;

	if (owner != domain || domain == CORE_WORD_LONER) {
		if (others) { /* nothing can name two owners: keep the core closed until this task has left */
			s = core_word_finish(owner, core_word_claims(w), core_word_on_cpu(w) | bit, core_word_waiters(w), handover,
					     core_word_gen(w), 0);
			s.breach = 1;
			return s;
		}
		owner = domain;
	}
	return core_word_finish(owner, core_word_claims(w), core_word_on_cpu(w) | bit, core_word_waiters(w),
				handover && !handover_done, core_word_gen(w), handover_done);
}

/* Context switch on `sibling` to anything that is no task of a domain. The only place where on_cpu is cleared. */
static inline struct core_step core_word_switch_out(core_word_t w, __u32 sibling)
{
	__u32 bit = 1u << sibling, handover = core_word_handover(w);
	__u32 handover_done = handover && (core_word_on_cpu(w) & bit);

	return core_word_finish(core_word_owner(w), core_word_claims(w), core_word_on_cpu(w) & ~bit, core_word_waiters(w),
				handover && !handover_done, core_word_gen(w), handover_done);
}

/*
 * A task of `domain` is about to run on `sibling`, or runs there, without a claim: its class, affinity or priority changed while it
 * ran. Granted, it may stay; otherwise the caller sends it away.
 */
static inline struct core_step core_word_adopt(core_word_t w, __u32 sibling, __u32 domain)
{
	__u32 bit = 1u << sibling;
	struct core_step s = core_word_acquire(w, sibling, domain);

	if (!s.granted)
		s.next = w; /* it does not wait: its task goes back into custody */
	else if (!core_word_handover(s.next))
		s.next |= (__u64)bit << CORE_WORD_ON_CPU_SHIFT;
	return s;
}

#endif /* CORRAL_KERNEL_ABI_CORE_WORD_H_ */
