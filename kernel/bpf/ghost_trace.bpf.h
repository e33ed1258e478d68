/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The ring of events of each CPU (kernel/abi/trace.h). An event costs an atomic addition and one cache line, both this CPU's own. */
#pragma once

__noinline int trace(u32 type, u32 what, u32 tid, u32 domain, u32 arg)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct ghost_cpu_state *cs = cpu_state_of(cpu);
	struct ghost_trace_event *e;
	u64 before;

	if (!cs)
		return 0;
	/* Agents' calls can be interrupted by a callback on the same CPU, which then has the next entry. */
	before = __sync_fetch_and_add(&cs->traced, 1);
	e = trace_event_of(cpu * GHOST_TRACE_EVENTS + (before & (GHOST_TRACE_EVENTS - 1)));
	if (!e)
		return 0;
	WRITE_ONCE(e->number, 0);
	WRITE_ONCE(e->time_ns, bpf_ktime_get_ns());
	WRITE_ONCE(e->tid, tid);
	WRITE_ONCE(e->domain, domain);
	WRITE_ONCE(e->type, type);
	WRITE_ONCE(e->what, what);
	WRITE_ONCE(e->arg, arg);
	WRITE_ONCE(e->number, before + 1);
	return 0;
}
