/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The trip wire (I4): threads that the kernel runs past the class are stopped, with their process, before they can share a core for long.
 *
 * Twice that happens. In bypass (the kernel's state while it loads, ejects or suspends a class) it runs the class's threads without asking,
 * but still tells who runs: one that does not fit beside its sibling is stopped. Then the ejection: each thread is taken out of the class
 * while it stays in SCHED_EXT, and is stopped on the way. These programs and their memory are pinned, so they outlive the class; what
 * happens next is the control plane's (agent/daemon/class_recovery.h). Only for enclaves that ask for it (GHOST_ENCLAVE_STOP_ON_LOSS).
 *
 * The kernel sends a signal on our behalf only where a user thread is current, with its own memory in place (bpf_send_signal_task() in
 * kernel/trace/bpf_trace.c). So one that could not be sent is kept with the thread, and tried again at each of its switches and ticks.
 */
#pragma once

#define SIGSTOP 19

/* To the whole process: its emulator must not go on either. */
static __always_inline void trip_try(struct task_struct *p, struct ghost_thread *th)
{
	struct ghost_class_info *info = info_of();
	struct ghost_status_word *sw;

	if (!th || !READ_ONCE(th->stop))
		return;
	if (!bpf_ksym_exists(bpf_send_signal_task) || bpf_send_signal_task(p, SIGSTOP, PIDTYPE_TGID, 0))
		return;
	WRITE_ONCE(th->stop, 0);
	if (info)
		__sync_fetch_and_add(&info->stops, 1);
	/* While it has a slot, the class is still there, and somebody has to let it go on. */
	sw = th->slot ? status_word_of(th->slot - 1) : NULL;
	if (sw)
		__sync_fetch_and_add(&sw->stops, 1);
}

static __always_inline void trip(struct task_struct *p, struct ghost_thread *th, u32 enclave)
{
	struct ghost_class_info *info = info_of();
	struct ghost_enclave *e = enclave_of(enclave);

	if (!th || !info || !e || READ_ONCE(th->stop) || !(READ_ONCE(e->flags) & GHOST_ENCLAVE_STOP_ON_LOSS))
		return;
	__sync_fetch_and_add(&info->trips, 1);
	WRITE_ONCE(th->stop, 1);
	trip_try(p, th);
}

/*
 * A thread that `running` would turn away, and that nobody put on the CPU: it was off it, and off its queue, and `enqueue` was not called.
 * On a CPU that goes down the kernel does that as well, for a moment; the core is closed then.
 */
static __always_inline void trip_in_bypass(struct task_struct *p, struct ghost_thread *th, struct ghost_task *t, struct ghost_cpu_state *cs)
{
	if (!t->on_cpu_since && !READ_ONCE(cs->offline) && TASK_STATE(READ_ONCE(t->word)) == TASK_BLOCKED)
		trip(p, th, t->enclave);
}

/*
 * Taken out of the class, but neither dead nor by anybody's wish: that is a system call of some user's, an ejection is the work of a kernel
 * thread. (Whether the policy is the old or the new one at that moment differs between kernels.)
 */
static __always_inline void trip_at_ejection(struct task_struct *p, struct ghost_thread *th, struct ghost_task *t)
{
	if (p->policy == SCHED_EXT && !(p->flags & PF_EXITING) && (bpf_get_current_task_btf()->flags & PF_KTHREAD))
		trip(p, th, t->enclave);
}

static __always_inline void trip_at_switch(struct task_struct *prev, struct task_struct *next)
{
	struct ghost_class_info *info = info_of();

	if (!info || !READ_ONCE(info->trips))
		return;
	if (prev->policy == SCHED_EXT)
		trip_try(prev, thread_of(prev));
	if (next->policy == SCHED_EXT)
		trip_try(next, thread_of(next));
}

/* Who has a CPU for himself is not switched. */
SEC("tp_btf/local_timer_entry")
int BPF_PROG(ghost_timer_entry, int vector)
{
	struct ghost_class_info *info = info_of();
	struct task_struct *p;

	if (!info || !READ_ONCE(info->trips) || !at_work(info))
		return 0;
	p = bpf_get_current_task_btf();
	if (p->policy == SCHED_EXT)
		trip_try(p, thread_of(p));
	return 0;
}
