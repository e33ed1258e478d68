/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which CPUs are on their way down, and whether SCHED_EXT threads still come onto them. A CPU counts as given up from where
 * sched_cpu_deactivate() ends (from then on the kernel pushes every thread away right after its switch, balance_push() in
 * kernel/sched/core.c) to where sched_cpu_activate() begins.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "tests/class/dying_cpu.h"

char _license[] SEC("license") = "GPL";

#define DYING_SCHED_EXT 7

struct dying_cpu_state cpus[DYING_CPU_MAX];

SEC("tp_btf/cpuhp_exit")
int BPF_PROG(dying_cpuhp_exit, unsigned int cpu, int state, int idx, int ret)
{
	int active = bpf_core_enum_value(enum cpuhp_state, CPUHP_AP_ACTIVE);

	/* Going down, the state is already the one below. */
	if (cpu < DYING_CPU_MAX && idx == active && state < idx && !ret)
		cpus[cpu].turns |= 1;
	return 0;
}

SEC("tp_btf/cpuhp_enter")
int BPF_PROG(dying_cpuhp_enter, unsigned int cpu, int target, int idx, void *fun)
{
	int active = bpf_core_enum_value(enum cpuhp_state, CPUHP_AP_ACTIVE);

	if (cpu < DYING_CPU_MAX && idx == active && target >= idx)
		cpus[cpu].turns += cpus[cpu].turns & 1;
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(dying_sched_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	unsigned int cpu = bpf_get_smp_processor_id();

	if (cpu < DYING_CPU_MAX && (cpus[cpu].turns & 1) && next->policy == DYING_SCHED_EXT)
		__sync_fetch_and_add(&cpus[cpu].switch_ins, 1);
	return 0;
}
