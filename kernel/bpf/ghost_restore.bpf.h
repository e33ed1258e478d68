/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the control plane tells a class that takes another one's place: what its tasks and cores had done by then. */
#pragma once

SEC("syscall")
int ghost_task_restore_prog(struct ghost_task_restore *ctx)
{
	u32 slot = GHOST_GTID_SLOT(ctx->gtid);
	struct ghost_status_word *sw = status_word_of(slot);
	struct ghost_waits *waits = waits_of(slot);
	struct ghost_tally *tally = tally_of(slot);

	ctx->result = -ENOENT;
	if (!sw || !waits || !tally || !ctx->gtid || sw->gtid != ctx->gtid)
		return 0;
	WRITE_ONCE(sw->runtime_ns, ctx->runtime_ns);
	sw->former_policy = ctx->former_policy;
	copy_bytes(waits, &ctx->waits, sizeof(*waits));
	copy_bytes(tally, &ctx->tally, sizeof(*tally));
	ctx->result = 0;
	return 0;
}

static __noinline int cpu_restore(struct ghost_core_restore *ctx, u32 sibling, u32 cpu)
{
	struct ghost_cpu_state *cs = cpu_state_of(cpu);

	if (!ctx || !cs || sibling >= GHOST_MAX_SIBLINGS)
		return 0;
	cs->host_ns = ctx->cpus[sibling].host_ns;
	cs->agent_ns = ctx->cpus[sibling].agent_ns;
	cs->ticks = ctx->cpus[sibling].ticks;
	return 0;
}

SEC("syscall")
int ghost_core_restore_prog(struct ghost_core_restore *ctx)
{
	struct ghost_core_state *core = core_of(ctx->core);
	struct ghost_queue_state *queue = queue_state_of(ctx->core);
	u32 i;

	ctx->result = -EINVAL;
	if (!core || !queue)
		return 0;
	core->commits = ctx->counted.commits;
	core->switches_agent = ctx->counted.switches_agent;
	core->switches_class = ctx->counted.switches_class;
	core->switches_offered = ctx->counted.switches_offered;
	core->denied = ctx->counted.denied;
	core->latch_failures = ctx->counted.latch_failures;
	core->evictions = ctx->counted.evictions;
	core->adoptions = ctx->counted.adoptions;
	core->breaches = ctx->counted.breaches;
	core->rescues = ctx->counted.rescues;
	core->taken = ctx->counted.taken;
	copy_bytes(queue, &ctx->queue, sizeof(*queue));
	bpf_for(i, 0, GHOST_MAX_SIBLINGS) {
		if (i < core->nr_cpus)
			cpu_restore(ctx, i, core->cpus[i]);
	}
	ctx->result = 0;
	return 0;
}
