/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reports each thread that enters a cgroup called vcpuN.
 *
 * libvirt moves a vCPU thread there after QEMU made it and before the guest may run, so whoever reacts to this comes before the first guest
 * instruction; the events of libvirt itself come after it. A full ring loses a report and counts it: the reader then scans the cgroups.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "vmm-integration/cgroup_watch.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} entries SEC(".maps");

__u64 lost;

SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(vcpu_cgroup_entered, struct cgroup *group, const char *path, struct task_struct *task, bool threadgroup)
{
	struct vcpu_cgroup_entry *entry;
	char leaf[16] = {};

	bpf_probe_read_kernel_str(leaf, sizeof(leaf), BPF_CORE_READ(group, kn, name));
	/*
	 * libvirt makes the groups as root. Other users may be given a subtree to make their own in;
	 * they could fill the ring.
	 */
	if (group->kn->iattr && group->kn->iattr->ia_uid.val != 0)
		return 0;
	if (leaf[0] != 'v' || leaf[1] != 'c' || leaf[2] != 'p' || leaf[3] != 'u' || leaf[4] < '0' || leaf[4] > '9')
		return 0;
	entry = bpf_ringbuf_reserve(&entries, sizeof(*entry), 0);
	if (!entry) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	entry->tid = task->pid;
	entry->tgid = task->tgid;
	entry->time_ns = bpf_ktime_get_ns();
	__builtin_memcpy(entry->leaf, leaf, sizeof(leaf));
	bpf_ringbuf_submit(entry, 0);
	return 0;
}

char _license[] SEC("license") = "GPL";
