/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Applying core_word.h's transitions to a core: claims, releases, switches, and the kicks that follow. */
#pragma once

/* A swap fails only when a sibling changed the word meanwhile, so this many failures in a row do not happen. */
#define CAS_TRIES 4096

static __always_inline void kick_siblings(struct ghost_core_state *core, u32 mask, u64 flags)
{
	u32 i;

	if (!mask)
		return;
	bpf_for(i, 0, GHOST_MAX_SIBLINGS) {
		if (i >= core->nr_cpus)
			break;
		if (mask & (1u << i))
			scx_bpf_kick_cpu(core->cpus[i & (GHOST_MAX_SIBLINGS - 1)], flags);
	}
}

static __always_inline bool cpu_is_busy(u32 cpu)
{
	struct ghost_cpu_state *cs = cpu_state_of(cpu);

	return cs && READ_ONCE(cs->busy);
}

static __always_inline bool is_strict(struct ghost_core_state *core)
{
	struct ghost_enclave *e = enclave_of(core->enclave);

	return e && (READ_ONCE(e->flags) & GHOST_ENCLAVE_STRICT);
}

/* A user task of the host runs on one of these siblings, and that matters (GHOST_ENCLAVE_STRICT). */
static __always_inline bool host_on(struct ghost_core_state *core, u32 siblings)
{
	return (READ_ONCE(core->host) & siblings) && is_strict(core);
}

static __always_inline bool host_beside(struct ghost_core_state *core, u32 sibling)
{
	return host_on(core, ~(1u << (sibling & 7)));
}

static __always_inline bool core_swap(struct ghost_core_state *core, core_word_t old, core_word_t next)
{
	return old == next || __sync_val_compare_and_swap(&core->word, old, next) == old;
}

/* The core that a CPU belongs to; none for a CPU that was not there when the class was loaded. */
static __always_inline struct ghost_core_state *core_of_cpu(struct ghost_cpu_config *cfg)
{
	return cfg && cfg->present ? core_of(cfg->core) : NULL;
}

/* Who asked for the core: for the statistics, and for who is told. */
enum core_cause {
	CAUSE_CLASS,
	CAUSE_AGENT,
	/* Turned away, these do not wait: the core is others'. */
	CAUSE_OFFER,
	CAUSE_ELSEWHERE, /* what waits for another core */
};

static __always_inline void note_owner(struct ghost_core_state *core, u32 former, enum core_cause cause, u64 now)
{
	WRITE_ONCE(core->owned_since_ns, now);
	/* The host had its turn until now, however long it took to leave. */
	if (former == GHOST_DOMAIN_WHOLE_HOST)
		WRITE_ONCE(core->unattached_until_ns, now);
	if (cause == CAUSE_AGENT)
		__sync_fetch_and_add(&core->switches_agent, 1);
	else if (cause == CAUSE_OFFER)
		__sync_fetch_and_add(&core->switches_offered, 1);
	else
		__sync_fetch_and_add(&core->switches_class, 1);
}

__noinline bool core_acquire(struct ghost_core_state *core, u32 sibling, u32 domain, enum core_cause cause)
{
	u32 i;

	if (!core)
		return false;
	bpf_for(i, 0, CAS_TRIES) {
		core_word_t w = READ_ONCE(core->word);
		struct core_step s = core_word_acquire(w, sibling & 7, domain);

		if (FAULT(GATE_OFF) && !s.granted) {
			s.next = w | 1ULL << (CORE_WORD_CLAIMS_SHIFT + (sibling & 7));
			s.granted = 1;
		}
		if (!s.granted && cause >= CAUSE_OFFER)
			return false;
		if (!core_swap(core, w, s.next))
			continue;
		if (!s.granted)
			__sync_fetch_and_add(&core->denied, 1);
		else if (s.owner_changed)
			note_owner(core, core_word_owner(w), cause, bpf_ktime_get_ns());
		return s.granted;
	}
	return false;
}

__noinline bool core_adopt(struct ghost_core_state *core, u32 sibling, u32 domain)
{
	u32 i;

	if (!core)
		return false;
	bpf_for(i, 0, CAS_TRIES) {
		core_word_t w = READ_ONCE(core->word);
		struct core_step s = core_word_adopt(w, sibling & 7, domain);

		if (!core_swap(core, w, s.next))
			continue;
		if (s.granted && s.owner_changed)
			note_owner(core, core_word_owner(w), CAUSE_CLASS, bpf_ktime_get_ns());
		return s.granted;
	}
	return false;
}

__noinline int core_release(struct ghost_core_state *core, u32 sibling)
{
	u32 i;

	if (!core)
		return 0;
	bpf_for(i, 0, CAS_TRIES) {
		core_word_t w = READ_ONCE(core->word);
		struct core_step s = core_word_release(w, sibling & 7);

		if (!core_swap(core, w, s.next))
			continue;
		kick_siblings(core, s.kick, 0);
		return 0;
	}
	return 0;
}

__noinline int core_switch(struct ghost_core_state *core, u32 sibling, u32 domain)
{
	u32 i;

	if (!core)
		return 0;
	bpf_for(i, 0, CAS_TRIES) {
		core_word_t w = READ_ONCE(core->word);
		struct core_step s = domain ? core_word_switch_in(w, sibling & 7, domain) : core_word_switch_out(w, sibling & 7);

		if (!core_swap(core, w, s.next))
			continue;
		if (s.breach)
			__sync_fetch_and_add(&core->breaches, 1);
		kick_siblings(core, s.kick, 0);
		return 0;
	}
	return 0;
}
