// SPDX-License-Identifier: Apache-2.0
// The least sched_ext class that there can be. It shows that kernel, toolchain and test host fit together before Corral's own
// class is blamed. (License string: the kernel requires struct_ops programs of this kind to be GPL compatible.)
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

bool scx_bpf_dsq_insert___v2___compat(struct task_struct *p, u64 dsq, u64 slice, u64 flags) __ksym;

SEC("struct_ops/enqueue")
int enqueue(u64 *ctx)
{
    scx_bpf_dsq_insert___v2___compat((struct task_struct *)ctx[0], SCX_DSQ_GLOBAL, 20000000, ctx[1]);
    return 0;
}

SEC(".struct_ops.link")
struct sched_ext_ops smoke = {.enqueue = (void *)enqueue, .name = "corral_smoke"};
