// SPDX-License-Identifier: GPL-2.0-only
/*
 * The auditor: how long did siblings of a physical core run different virtual machines?
 *
 * Whoever promises isolation should not be the one who measures it. This program therefore shares no code, no map and no header
 * with Corral's scheduling class, runs under any scheduler and on kernels without sched_ext, and learns by itself which thread
 * belongs to which machine.
 *
 * Membership. A process belongs to a VM if its executable's file name begins with one of audit_names (qemu-system-, ...) or if
 * the operator declared it; all its threads do, whatever they are called. It is decided at exec, before the process runs its
 * first instruction of the new program; a forked child inherits it until it executes something else, because a machine may
 * daemonize and because a copy of a machine's memory is as secret as the original. Processes that ran before the auditor are
 * found by an iterator over all tasks, which user space runs after the probes are attached, so that nothing falls between the
 * two. A membership ends when the kernel frees the process. Process numbers are reused; the leader's start time tells.
 *
 * What a CPU runs is decided afresh at every switch: idle, kernel thread, host task, a VM's vCPU or a VM's helper. Nothing is
 * cached, so nothing goes stale: QEMU names a thread after starting it, and libvirt moves it into its cgroup later still.
 *
 * Accounting. Each core has its siblings' stints and the conditions that hold between them (account.h) under one spin lock. A
 * switch of any sibling closes the interval since the last one. The time is read before the lock is taken: waiting for a sibling
 * must not count as running. A sibling may then overtake us; such an event counts as having happened at the later time, and is
 * counted.
 *
 * A switch takes time, and others act on it meanwhile: whoever schedules may let a sibling go on as soon as its own probe of
 * sched_switch has run, which is before ours if it was attached earlier. So what a switch ends is over when the kernel began to
 * look for another task: no instruction of the former one's program or guest runs after that. What a switch begins, begins at
 * our probe, a little before the change of registers. A CPU may even stand still between two probes (where it is emulated, or taken
 * away by a hypervisor) while its sibling goes on and switches as well; then what was counted meanwhile is taken back at our probe.
 * Who reads the figures in between looks again a little later (reader.cc).
 *
 * Evidence. No event is lost in silence. Every switch names the task that it ends, which must be the one that the last switch on
 * that CPU began; a break of this chain is counted. (There are kernels that do not report all switches; on one, which served as
 * a development machine, ftrace misses the same ones.) The kernel counts runs of a program that it left out (recursion_misses);
 * full tables and unmapped CPUs are counted in audit_faults; user space reports them all. A full thread table loses details on
 * threads only; cores count without it.
 *
 * What it does not see: VM threads that run as kernel threads (vhost before Linux 6.4), and a task whose scheduling policy
 * changes during a stint, which counts as enrolled or not as it was when the stint began.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel/audit/account.h"
#include "kernel/audit/audit.h"

char _license[] SEC("license") = "GPL";

/* Preprocessor constants of the kernel, which BTF does not carry. All but PF_KTHREAD are user-space ABI. */
#define AUDIT_PF_KTHREAD 0x00200000
#define AUDIT_SCHED_EXT 7
#define AUDIT_EEXIST 17

/* User space sets max_entries of the tables to fit the machine before it loads them. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct audit_core);
} audit_cores SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct audit_cpu);
} audit_cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct audit_thread_key);
	__type(value, struct audit_thread);
} audit_threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct audit_process);
} audit_processes SEC(".maps");

/* Processes that the next scan shall find, whatever they execute: tgid to flags. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u32);
} audit_declared SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AUDIT_MAX_NAMES);
	__type(key, __u32);
	__type(value, struct audit_name);
} audit_names SEC(".maps");

/* The time at which the current measuring epoch begins. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} audit_epoch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct audit_faults);
} audit_faults SEC(".maps");

static __u32 audit_last_vm; /* VM ids are handed out in order, never again */
static const __u32 audit_zero;

#define audit_count_fault(field)                                                            \
	do {                                                                                \
		struct audit_faults *faults = bpf_map_lookup_elem(&audit_faults, &audit_zero); \
		if (faults)                                                                 \
			faults->field++;                                                    \
	} while (0)

/* ------------------------------------------------------------------------------------------------ membership */

static __always_inline struct audit_process *process_of(struct task_struct *task)
{
	__u32 tgid = task->tgid;
	struct audit_process *process = bpf_map_lookup_elem(&audit_processes, &tgid);

	return process && process->start == task->group_leader->start_boottime ? process : NULL;
}

static __always_inline void drop_process(struct task_struct *task)
{
	__u32 tgid = task->tgid;

	if (process_of(task))
		bpf_map_delete_elem(&audit_processes, &tgid);
}

/* Makes task's process a member of `vm`, or of a new VM if vm is 0. A process that is a member already stays as it is. */
static __always_inline void add_process(struct task_struct *task, __u32 vm, __u32 flags)
{
	struct audit_process fresh = { .start = task->group_leader->start_boottime, .vm = vm, .flags = flags };
	__u32 tgid = task->tgid;
	struct audit_process *process = bpf_map_lookup_elem(&audit_processes, &tgid);

	if (process && process->start == fresh.start) {
		process->flags = (process->flags & ~AUDIT_INHERITED) | flags;
		return;
	}
	if (process)
		bpf_map_delete_elem(&audit_processes, &tgid);
	if (!fresh.vm)
		fresh.vm = __sync_fetch_and_add(&audit_last_vm, 1) + 1;
	bpf_probe_read_kernel_str(fresh.name, sizeof(fresh.name), task->group_leader->comm);
	/* Two of us may find the same process at once, the scan and its exec. The first one names the VM. */
	if (bpf_map_update_elem(&audit_processes, &tgid, &fresh, BPF_NOEXIST) && !bpf_map_lookup_elem(&audit_processes, &tgid))
		audit_count_fault(lost_processes);
}

static __always_inline bool begins_with(const char *text, const struct audit_name *name)
{
	__u32 i;

	for (i = 0; i < AUDIT_NAME_LEN && i < name->length; i++) {
		if (text[i] != name->prefix[i])
			return false;
	}
	return i > 0;
}

/* By the resolved file, not by the path that was given to exec: a symbolic link must not hide a machine. */
static __always_inline bool executes_vmm(struct task_struct *task)
{
	char file[AUDIT_NAME_LEN] = {};

	if (bpf_probe_read_kernel_str(file, sizeof(file), BPF_CORE_READ(task, mm, exe_file, f_path.dentry, d_name.name)) <= 0)
		return false;
	for (__u32 i = 0; i < AUDIT_MAX_NAMES; i++) {
		__u32 key = i;
		struct audit_name *name = bpf_map_lookup_elem(&audit_names, &key);

		if (name && begins_with(file, name))
			return true;
	}
	return false;
}

/* ------------------------------------------------------------------------------------------------ what a task is */

/* QEMU's names for vCPU threads: "CPU 3/KVM", "CPU 3/TCG", and "ALL CPUs/TCG" where one thread runs all of them. */
static __always_inline bool named_vcpu(struct task_struct *task)
{
	char comm[AUDIT_COMM_LEN] = {};

	bpf_probe_read_kernel_str(comm, sizeof(comm), task->comm);
	if (__builtin_memcmp(comm, "ALL CPUs", 8) == 0)
		return true;
	if (__builtin_memcmp(comm, "CPU ", 4) != 0 || comm[4] < '0' || comm[4] > '9')
		return false;
	for (int i = 5; i < AUDIT_COMM_LEN; i++) {
		if (comm[i] == '/')
			return true;
		if (comm[i] < '0' || comm[i] > '9')
			return false;
	}
	return false;
}

/* libvirt's name for the cgroup of a vCPU thread: vcpu3. */
static __always_inline bool in_vcpu_cgroup(struct task_struct *task)
{
	char name[8] = {};

	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, name));
	return __builtin_memcmp(name, "vcpu", 4) == 0 && name[4] >= '0' && name[4] <= '9';
}

static __always_inline void describe(struct task_struct *task, struct audit_slot *slot)
{
	struct audit_process *process;

	slot->task = (__u64)task;
	slot->tid = task->pid;
	slot->tgid = task->tgid;
	slot->start = task->start_boottime;
	slot->enrolled = task->policy == AUDIT_SCHED_EXT;
	if (!slot->tid) {
		slot->kind = AUDIT_IDLE;
		return;
	}
	if (task->flags & AUDIT_PF_KTHREAD) {
		slot->kind = AUDIT_KTHREAD;
		return;
	}
	process = process_of(task);
	if (!process) {
		slot->kind = AUDIT_HOST;
		return;
	}
	slot->vm = process->vm;
	slot->kind = process->flags & AUDIT_DECLARED || named_vcpu(task) || in_vcpu_cgroup(task) ? AUDIT_VCPU : AUDIT_HELPER;
}

/* ------------------------------------------------------------------------------------------------ accounting */

static __always_inline struct audit_thread_key key_of(const struct audit_slot *slot)
{
	struct audit_thread_key key = { .start = slot->start, .tid = slot->tid };

	return key;
}

static __always_inline void end_stint(const struct audit_slot *slot, __u64 epoch, __u64 now, bool exited)
{
	struct audit_thread_key key = key_of(slot);
	struct audit_thread *thread = bpf_map_lookup_elem(&audit_threads, &key);

	if (!thread)
		return;
	bpf_spin_lock(&thread->lock);
	audit_thread_leave(thread, epoch, now);
	thread->exited = exited;
	bpf_spin_unlock(&thread->lock);
}

static __always_inline void begin_stint(struct task_struct *task, const struct audit_slot *slot, __u32 cpu, __u64 epoch, __u64 now)
{
	struct audit_thread_key key = key_of(slot);
	struct audit_thread *thread = bpf_map_lookup_elem(&audit_threads, &key);
	char comm[AUDIT_COMM_LEN] = {};

	if (!thread) {
		struct audit_thread fresh = { .first_seen = now };

		bpf_map_update_elem(&audit_threads, &key, &fresh, BPF_NOEXIST);
		thread = bpf_map_lookup_elem(&audit_threads, &key);
	}
	if (!thread) {
		audit_count_fault(lost_threads);
		return;
	}
	bpf_probe_read_kernel_str(comm, sizeof(comm), task->comm);
	bpf_spin_lock(&thread->lock);
	audit_thread_enter(thread, slot, cpu, epoch, now);
	__builtin_memcpy(thread->comm, comm, sizeof(comm));
	bpf_spin_unlock(&thread->lock);
}

/* `task` runs on this CPU from now on, after `left`, or has just become something else. */
static __always_inline void runs_here(struct task_struct *left, struct task_struct *task)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct audit_cpu *place = bpf_map_lookup_elem(&audit_cpus, &cpu);
	__u64 *epoch_cell = bpf_map_lookup_elem(&audit_epoch, &audit_zero);
	struct audit_slot slot = {}, previous;
	struct audit_core *core;
	__u64 epoch, now, left_at = 0;
	__u32 sibling;

	if (!place || !place->mapped || !epoch_cell) {
		audit_count_fault(unmapped_switches);
		return;
	}
	core = bpf_map_lookup_elem(&audit_cores, &place->core);
	sibling = place->sibling;
	if (!core || sibling >= AUDIT_MAX_SIBLINGS)
		return; /* user space never maps a CPU so */
	describe(task, &slot);
	epoch = *(volatile __u64 *)epoch_cell;
	now = bpf_ktime_get_ns();
	if (left != task)
		left_at = core->look[sibling];
	if (!left_at || left_at > now)
		left_at = now;
	bpf_spin_lock(&core->lock);
	previous = core->slot[sibling];
	audit_core_switch(core, sibling, (__u64)left, &slot, epoch, left_at, now);
	bpf_spin_unlock(&core->lock);

	if (previous.vm)
		end_stint(&previous, epoch, left_at, left->exit_state != 0);
	if (slot.vm)
		begin_stint(task, &slot, cpu, epoch, now);
}

/* ------------------------------------------------------------------------------------------------ probes */

/* The first thing in __schedule(), with interrupts off. Also on the way into a guest; whoever runs by then calls it again before it leaves. */
SEC("fentry/rcu_note_context_switch")
int BPF_PROG(audit_look)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct audit_cpu *place = bpf_map_lookup_elem(&audit_cpus, &cpu);
	struct audit_core *core = place && place->mapped ? bpf_map_lookup_elem(&audit_cores, &place->core) : NULL;
	__u32 sibling;

	if (!core)
		return 0;
	sibling = place->sibling; /* what is checked is what is used */
	if (sibling < AUDIT_MAX_SIBLINGS)
		core->look[sibling] = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(audit_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	runs_here(prev, next);
	return 0;
}

/* Still in the kernel, with the new program's memory set up: what runs here from now on may be a machine, or no longer one. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(audit_exec, struct task_struct *task)
{
	struct audit_process *process = process_of(task);

	if (executes_vmm(task))
		add_process(task, 0, 0);
	else if (process && !(process->flags & AUDIT_DECLARED && !(process->flags & AUDIT_INHERITED)))
		drop_process(task);
	else
		return 0;
	runs_here(task, task);
	return 0;
}

/*
 * By whoever forked it, before it runs. With interrupts off: at sched_process_fork another one may fork on this CPU while we are at it, for
 * which the kernel would leave us out (Linux 7.0 and later).
 */
SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(audit_fork, struct task_struct *child)
{
	struct task_struct *parent = bpf_get_current_task_btf();
	struct audit_process *process;

	if (parent->tgid == child->tgid)
		return 0;
	process = process_of(parent);
	if (process)
		add_process(child, process->vm, process->flags | AUDIT_INHERITED);
	return 0;
}

/* Not at exit: a dying machine still runs, and frees its memory. */
SEC("tp_btf/sched_process_free")
int BPF_PROG(audit_free, struct task_struct *task)
{
	if (task->pid == task->tgid)
		drop_process(task);
	return 0;
}

/*
 * Not attached: user space runs it to find the processes that were there before. Every thread is looked at, since the leader of
 * a process that runs on may be dead and have no memory to show.
 */
SEC("iter/task")
int audit_scan(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	__u32 tgid, *flags;

	if (!task || task->flags & AUDIT_PF_KTHREAD)
		return 0;
	tgid = task->tgid;
	flags = bpf_map_lookup_elem(&audit_declared, &tgid);
	if (flags)
		add_process(task, 0, *flags);
	else if (executes_vmm(task))
		add_process(task, 0, 0);
	return 0;
}
