/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The class without its callbacks, so that a kernel without sched_ext loads it: its memory, its messages and what agents and the control
 * plane may call, from the class's own headers. Its callbacks are played by the programs below, which change tasks' words as they would.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel/abi/core_word.h"
#include "kernel/abi/ghost.h"
#include "kernel/abi/tally.h"
#include "kernel/abi/trace.h"
#include "kernel/bpf/seeded_fault.h"
#include "tests/bench/overheads.h"

/*
 * Commits note what waits on the agent's CPU, and the trace is by CPU. Of the made-up machine's CPUs none of the enclave's shall seem to be
 * wanted by this machine's threads.
 */
#define bpf_get_smp_processor_id() ((u32)OVERHEADS_AGENT_CPU)

/* What only the callbacks use. */
#pragma clang diagnostic ignored "-Wunused-function"
#include "kernel/bpf/ghost_macros.bpf.h"
#include "tests/bench/kfunc_stand_ins.bpf.h"
#include "kernel/bpf/ghost_maps.bpf.h"
#include "kernel/bpf/ghost_host.bpf.h"
#include "kernel/bpf/ghost_trace.bpf.h"
#include "kernel/bpf/ghost_core.bpf.h"
#include "kernel/bpf/ghost_task.bpf.h"
#include "kernel/bpf/ghost_slot.bpf.h"
#include "kernel/bpf/ghost_pick.bpf.h"
#include "kernel/bpf/ghost_txn.bpf.h"
#include "kernel/bpf/ghost_agent.bpf.h"
#include "kernel/bpf/ghost_control.bpf.h"

char _license[] SEC("license") = "GPL";

/* The slot of each CPU's task. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, OVERHEADS_CPUS);
	__type(key, u32);
	__type(value, u32);
} slots SEC(".maps");

static __always_inline u32 slot_of_cpu(u32 cpu)
{
	u32 *slot = bpf_map_lookup_elem(&slots, &cpu);

	return slot ? *slot : 0;
}

static __always_inline void may_use_all(u32 slot)
{
	struct ghost_affinity *a = affinity_of(slot);
	u32 cpu;

	if (!a)
		return;
	bpf_for(cpu, 0, OVERHEADS_CPUS)
		a->cpus[cpu / 64 & (GHOST_AFFINITY_WORDS - 1)] |= 1ULL << cpu % 64;
}

SEC("syscall")
int overheads_task_prog(struct overheads_task *ctx)
{
	u32 cpu = ctx->cpu, slot1, slot, old = 0;
	struct ghost_domain *d = domain_of(ctx->domain);
	struct ghost_status_word *sw;
	struct slot_owner owner = {};
	struct ghost_task *t;

	ctx->result = -EINVAL;
	if (!d || cpu >= OVERHEADS_CPUS)
		return 0;
	ctx->result = -ENOSPC;
	slot1 = slot_alloc(ctx->domain);
	if (!slot1)
		return 0;
	owner.domain = ctx->domain;
	owner.enclave = d->enclave;
	owner.tid = owner.tgid = cpu + 1;
	owner.vcpu = cpu % OVERHEADS_SIBLINGS;
	owner.weight = 100;
	slot = slot1 - 1;
	slot_fill(slot, &owner);
	may_use_all(slot);
	/* Its TASK_NEW has been read long ago. */
	t = task_of(slot);
	if (t)
		t->announced = 1;
	bpf_map_update_elem(&slots, &cpu, &slot, BPF_ANY);
	task_advance(slot, TASK_HELD, &old);
	sw = status_word_of(slot);
	if (sw)
		ctx->gtid = sw->gtid;
	ctx->result = 0;
	return 0;
}

/* As `enqueue` does it for a task that lost its CPU. If its agent had given it another one, the message names the wrong one. */
static __noinline int event(u32 cpu, u32 depth, u32 type, u32 flags)
{
	u32 slot = slot_of_cpu(cpu), old = 0;
	struct ghost_cpu_state *cs = cpu_state_of(cpu);
	struct ghost_task *t = task_of(slot);
	u64 barrier;

	if (!t || !cs)
		return 0;
	barrier = TASK_BARRIER(READ_ONCE(t->word));
	if (depth >= OVERHEADS_EVENT) {
		/* Its CPU has carried out the decision. */
		WRITE_ONCE(cs->latch, 0);
		barrier = task_advance(slot, TASK_HELD, &old);
	}
	if (depth >= OVERHEADS_MESSAGE)
		task_post(slot, type, flags, barrier, cpu);
	return 0;
}

SEC("syscall")
int overheads_events_prog(struct overheads_events *ctx)
{
	u32 i, count = ctx->count, depth = ctx->depth, type = ctx->type, flags = ctx->loud ? 0 : POST_QUIETLY;

	bpf_for(i, 0, count)
		event(i % OVERHEADS_CPUS, depth, type, flags);
	ctx->result = 0;
	return 0;
}

static __noinline int take_back(void)
{
	u32 cpu;

	bpf_for(cpu, 0, OVERHEADS_CPUS) {
		struct ghost_task *t = task_of(slot_of_cpu(cpu));
		struct ghost_cpu_state *cs = cpu_state_of(cpu);

		if (!t || !cs)
			continue;
		WRITE_ONCE(cs->latch, 0);
		WRITE_ONCE(t->word, TASK_WORD(TASK_BARRIER(READ_ONCE(t->word)), TASK_HELD));
	}
	return 0;
}

SEC("syscall")
int overheads_take_back_prog(struct overheads_take_back *ctx)
{
	take_back();
	ctx->result = 0;
	return 0;
}

SEC("syscall")
int overheads_txns_prog(struct overheads_txns *ctx)
{
	u32 r, i, rounds = ctx->rounds, nr = ctx->nr, enclave = ctx->enclave, commit = ctx->commit, completed = 0;
	u64 base = (u64)bpf_rdonly_cast(ctx, 0);

	ctx->result = -EINVAL;
	if (nr > OVERHEADS_CORES)
		return 0;
	bpf_for(r, 0, rounds) {
		bpf_for(i, 0, nr) {
			u64 from = base + __builtin_offsetof(struct overheads_txns, txn) + i * sizeof(struct ghost_core_txn);

			if (commit && commit_one(from, enclave) == GHOST_TXN_COMPLETE)
				completed++;
		}
		take_back();
	}
	ctx->completed = completed;
	ctx->result = 0;
	return 0;
}
