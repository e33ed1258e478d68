/* SPDX-License-Identifier: GPL-2.0-only */
/* Macros and errno values that BTF does not carry. */
#pragma once

#define SCHED_EXT 7
#define SCHED_NORMAL 0
#define SCHED_BATCH 3
#define SCHED_IDLE 5
#define PF_EXITING 0x00000004
#define PF_KTHREAD 0x00200000
#define EPERM 1
#define ENOENT 2
#define ESRCH 3
#define ENOMEM 12
#define EBUSY 16
#define EEXIST 17
#define EINVAL 22
#define ENOSPC 28
#define EPROTO 71
#define ESTALE 116
#define EKEYREJECTED 129

/* In ghost_cpu_state.claim: the claim belongs to a thread of no enclave, this one, or the one that is about to run. */
#define UNATTACHED_CLAIM(pid) (0x80000000u | (u32)(pid))
#define UNATTACHED_CLAIM_ANY 0xffffffffu
