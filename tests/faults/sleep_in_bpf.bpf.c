/* SPDX-License-Identifier: GPL-2.0-only */
/* A program that may sleep in its middle, where the kernel lets no task migrate: at a page that is not there yet. */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

struct missing_page {
	__u64 address;
};

SEC("syscall")
int read_missing_page(struct missing_page *page)
{
	__u64 word;

	return bpf_copy_from_user(&word, sizeof(word), (void *)page->address);
}
