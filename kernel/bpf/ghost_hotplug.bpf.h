/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * CPUs that go and come. Meanwhile the kernel queues tasks there past the gate, because it asks no scheduler on a run queue that is not
 * online: going down it still has some there, and coming up it already lets wake-ups go there. So the core is closed: the siblings stop
 * running tasks, and the CPU waits until they have. Where the class has the host's threads, those that wait there are sent elsewhere: the
 * kernel may wait for one of them before it gets on with the CPU, for its RCU thread for example. One that may use this core only still waits,
 * and the kernel with it, if it needs it.
 */
#pragma once

/* What other classes preempted waits in its CPU's local queue, where it would be taken without a question. */
static __always_inline void empty_siblings(struct ghost_core_state *core, u32 sibling)
{
	u32 k;

	bpf_for(k, 0, GHOST_MAX_SIBLINGS) {
		if (k < core->nr_cpus && k != sibling)
			kf_reenqueue_local_of(core->cpus[k & 7]);
	}
}

static __always_inline void core_close(u32 cpu, bool close)
{
	struct ghost_cpu_config *cfg = cpu_config_of(cpu);
	struct ghost_core_state *core = core_of_cpu(cfg);

	if (!cfg || !core)
		return;
	if (close)
		__sync_fetch_and_or(&core->closed, 1u << (cfg->sibling & 7));
	else
		__sync_fetch_and_and(&core->closed, ~(1u << (cfg->sibling & 7)));
	WRITE_ONCE(core->left_to, 0);
	if (close)
		empty_siblings(core, cfg->sibling);
	if (close && whole_host())
		kf_reenqueue(UNATTACHED_DSQ(cfg->core));
	kick_siblings(core, 0xff & ~(1u << cfg->sibling), SCX_KICK_PREEMPT);
}

/* A sibling leaves its task at an interrupt, within microseconds; one that does not take any for so long is not waited for. */
#define LEAVE_NS 10000000
/* The verifier wants a bound, and so does the simulated kernel, where no time passes meanwhile. */
#define LEAVE_LOOKS (1 << 16)

/* Whatever the kernel's next steps let onto this CPU past the gate finds no other sibling at work. */
static __noinline int core_await_siblings(u32 cpu)
{
	struct ghost_cpu_config *cfg = cpu_config_of(cpu);
	struct ghost_core_state *core = core_of_cpu(cfg);
	u64 begin = bpf_ktime_get_ns();
	u32 i, others;

	if (!cfg || !core)
		return 0;
	others = 0xff & ~(1u << (cfg->sibling & 7));
	bpf_for(i, 0, LEAVE_LOOKS) {
		if (!(core_word_on_cpu(READ_ONCE(core->word)) & others) || bpf_ktime_get_ns() - begin > LEAVE_NS)
			break;
	}
	return 0;
}

static __always_inline void cpu_set_offline(u32 cpu, u32 offline)
{
	struct ghost_cpu_state *cs = cpu_state_of(cpu);

	if (cs)
		WRITE_ONCE(cs->offline, offline);
}

static __always_inline bool cpu_is_offline(u32 cpu)
{
	struct ghost_cpu_state *cs = cpu_state_of(cpu);

	return cs && READ_ONCE(cs->offline);
}

/* Another CPU than one that is on its way up or down, if it may use one. */
static __noinline s32 settled_cpu(struct task_struct *p, s32 prev_cpu)
{
	struct ghost_class_info *info = info_of();
	u32 i, nr, cpu;

	if (!info || !p || !cpu_is_offline(prev_cpu))
		return prev_cpu;
	nr = info->nr_cpus;
	bpf_for(i, 1, nr) {
		cpu = prev_cpu + i < nr ? prev_cpu + i : prev_cpu + i - nr;
		if (bpf_cpumask_test_cpu(cpu, p->cpus_ptr) && !cpu_is_offline(cpu))
			return cpu;
	}
	return prev_cpu;
}

/*
 * A sibling goes or comes, where the kernel queues tasks past the gate: the others stay idle meanwhile. Being asked, the one that came knows
 * that none is left in its local queue.
 */
static __always_inline bool core_is_open(struct pick *pk)
{
	u32 closed = READ_ONCE(pk->core->closed), bit = 1u << (pk->sibling & 7);

	if ((closed & bit) && !READ_ONCE(pk->cs->offline)) {
		core_close(pk->cpu, false);
		closed &= ~bit;
	}
	return !closed;
}

static __always_inline int state_active(void)
{
	return bpf_core_enum_value(enum cpuhp_state, CPUHP_AP_ACTIVE);
}

/* Before sched_cpu_deactivate() and sched_cpu_activate(). */
SEC("tp_btf/cpuhp_enter")
int BPF_PROG(ghost_cpuhp_enter, unsigned int cpu, int target, int idx, void *fun)
{
	if (idx != state_active())
		return 0;
	cpu_set_offline(cpu, 1);
	core_close(cpu, true);
	core_await_siblings(cpu);
	return 0;
}

/* It came up, or could not go down. What was queued past the gate meanwhile runs first: then the CPU opens the core at its own pick. */
static __always_inline void cpu_is_back(u32 cpu)
{
	cpu_set_offline(cpu, 0);
	if (!scx_bpf_dsq_nr_queued(SCX_DSQ_LOCAL_ON | cpu))
		core_close(cpu, false);
}

SEC("tp_btf/cpuhp_exit")
int BPF_PROG(ghost_cpuhp_exit, unsigned int cpu, int state, int idx, int ret)
{
	struct ghost_cpu_state *cs = cpu_state_of(cpu);
	bool down = state < idx;

	if (idx == state_active() && down == !!ret)
		cpu_is_back(cpu);
	if (idx != bpf_core_enum_value(enum cpuhp_state, CPUHP_TEARDOWN_CPU) || state > idx || ret)
		return 0;
	/* It is dead, and its siblings do not concern it any more. Whom the kernel moved away from there went without a word. */
	if (cs && READ_ONCE(cs->claim))
		claim_release(cpu, READ_ONCE(cs->claim));
	core_close(cpu, false);
	return 0;
}

/* Without these two the kernel ejects the class at each hotplug. */
SEC("struct_ops/cpu_online")
void BPF_PROG(ghost_cpu_online, s32 cpu)
{
}

SEC("struct_ops/cpu_offline")
void BPF_PROG(ghost_cpu_offline, s32 cpu)
{
	cpu_set_offline(cpu, 1);
}
