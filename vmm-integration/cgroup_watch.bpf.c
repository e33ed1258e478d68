/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reports each thread that enters a cgroup called vcpuN, and holds its VM until whoever reads the report has dealt with it.
 *
 * libvirt moves a vCPU thread there after QEMU made it and before the guest may run; the events of libvirt itself come later. The reader could
 * still be late, so the process is stopped (SIGSTOP) before libvirt's write returns: QEMU cannot be told to continue before the reader lets it
 * go on. `held_vms`, which is pinned, says who was stopped, for a reader that dies meanwhile and its successor. A full ring loses a report,
 * stops nobody and counts it: the reader then scans the cgroups.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "vmm-integration/cgroup_watch.h"

#define SIGSTOP 19
#define SIGNAL_STOP_STOPPED 1

extern int bpf_send_signal_task(struct task_struct *task, int sig, enum pid_type type, u64 value) __ksym __weak;
extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *p) __ksym __weak;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} entries SEC(".maps");

/* By process id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct held_vm);
} held_vms SEC(".maps");

const volatile bool hold = false;
__u64 lost;
__u64 last_hold; /* the kernel moves one thread at a time */

/* libvirt makes the groups as root. Other users may be given a subtree to make their own in; they could fill the ring. */
static __always_inline bool is_vcpu_group(struct cgroup *group, char leaf[16])
{
	bpf_probe_read_kernel_str(leaf, 16, BPF_CORE_READ(group, kn, name));
	if (group->kn->iattr && group->kn->iattr->ia_uid.val != 0)
		return false;
	return leaf[0] == 'v' && leaf[1] == 'c' && leaf[2] == 'p' && leaf[3] == 'u' && leaf[4] >= '0' && leaf[4] <= '9';
}

/* Who is stopped already, and not by us, is somebody else's to let go on. Returns the number of this stop; 0: not stopped. */
static __always_inline __u64 hold_vm(struct task_struct *task, __u32 tgid)
{
	struct held_vm *before = bpf_map_lookup_elem(&held_vms, &tgid);
	struct held_vm held = { .start_ns = task->group_leader->start_boottime };
	struct task_struct *target;
	int error;

	if (before && before->start_ns != held.start_ns)
		before = NULL;
	if (!before && (task->signal->flags & SIGNAL_STOP_STOPPED))
		return 0;
	if (!bpf_ksym_exists(bpf_send_signal_task) || !bpf_ksym_exists(bpf_task_from_pid))
		return 0;
	target = bpf_task_from_pid(task->pid);
	if (!target)
		return 0;
	held.last = __sync_fetch_and_add(&last_hold, 1) + 1;
	error = bpf_map_update_elem(&held_vms, &tgid, &held, BPF_ANY);
	if (!error)
		error = bpf_send_signal_task(target, SIGSTOP, PIDTYPE_TGID, 0);
	bpf_task_release(target);
	return error ? 0 : held.last;
}

static __always_inline void on_entry(struct cgroup *group, struct task_struct *task, bool may_hold)
{
	struct vcpu_cgroup_entry *entry;
	char leaf[16] = {};

	if (!is_vcpu_group(group, leaf))
		return;
	entry = bpf_ringbuf_reserve(&entries, sizeof(*entry), 0);
	if (!entry) {
		__sync_fetch_and_add(&lost, 1);
		return;
	}
	entry->tid = task->pid;
	entry->tgid = task->tgid;
	entry->time_ns = bpf_ktime_get_ns();
	/* Before the reader can see the entry: what it sends afterwards must come second. */
	entry->hold = may_hold ? hold_vm(task, task->tgid) : 0;
	__builtin_memcpy(entry->leaf, leaf, sizeof(leaf));
	bpf_ringbuf_submit(entry, 0);
}

/* In the context of libvirt's write, with interrupts on, so that the signal is sent before this returns. */
SEC("fexit/cgroup_attach_task")
int BPF_PROG(vcpu_cgroup_attached, struct cgroup *group, struct task_struct *task, bool threadgroup, int ret)
{
	if (!ret)
		on_entry(group, task, hold);
	return 0;
}

/* For kernels in which that function cannot be traced. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(vcpu_cgroup_entered, struct cgroup *group, const char *path, struct task_struct *task, bool threadgroup)
{
	on_entry(group, task, false);
	return 0;
}

char _license[] SEC("license") = "GPL";
