/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reports each thread that takes a name as QEMU gives its vCPUs: "CPU 3/KVM", "CPU 3/TCG", or "ALL CPUs/TCG" of an emulator that runs all in
 * one thread.
 *
 * QEMU's threads name themselves before they do anything else, so whoever reacts to this comes before the first guest instruction, unless the
 * VM is started or a vCPU plugged without a pause and the host is slow. A full ring loses a report and counts it: the reader then scans /proc.
 */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "vmm-integration/name_watch.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} entries SEC(".maps");

/*
 * Threads that were reported. Any user may rename his threads as often as he likes; so each counts once, and he would have to make new ones
 * to fill the ring.
 */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u8);
} reported SEC(".maps");

__u64 lost;

/* The reader looks closer. */
static bool like_a_vcpu(const char *name)
{
	if (name[0] == 'C' && name[1] == 'P' && name[2] == 'U' && name[3] == ' ')
		return name[4] >= '0' && name[4] <= '9';
	return name[0] == 'A' && name[1] == 'L' && name[2] == 'L' && name[3] == ' ' && name[4] == 'C';
}

SEC("tp_btf/task_rename")
int BPF_PROG(vcpu_named, struct task_struct *task, const char *comm)
{
	struct vcpu_name_entry *entry;
	char name[16] = {};
	u8 *told;

	/* A process's first thread is never a vCPU. */
	if (task->pid == task->tgid)
		return 0;
	bpf_probe_read_kernel_str(name, sizeof(name), comm);
	if (!like_a_vcpu(name))
		return 0;
	told = bpf_task_storage_get(&reported, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (told) {
		if (*told)
			return 0;
		*told = 1;
	}
	entry = bpf_ringbuf_reserve(&entries, sizeof(*entry), 0);
	if (!entry) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	entry->tid = task->pid;
	entry->tgid = task->tgid;
	entry->time_ns = bpf_ktime_get_ns();
	__builtin_memcpy(entry->name, name, sizeof(name));
	bpf_ringbuf_submit(entry, 0);
	return 0;
}

char _license[] SEC("license") = "GPL";
