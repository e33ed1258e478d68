/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * ghost.bpf.c: ghOSt's scheduling class on sched_ext, with a core as the unit of isolation.
 *
 * WHO DECIDES. User-space agents, one per physical core. The class tells them what happens to their tasks (messages in a ring buffer
 * per agent, status words in mapped memory), and carries out what they answer (transactions, SYSCALL programs). Where no agent is, or one
 * lets a task wait too long, the class itself goes round robin over the trust domains.
 *
 * WHAT HOLDS WHATEVER THEY DECIDE. A core never runs tasks of two domains at once. Each core has one word (core_word.h); a CPU must
 * acquire it for a task's domain in its own dispatch, before it takes the task, and is turned away while a sibling holds or still runs
 * another domain. So an agent's error, a lost race or a late interrupt costs time, never isolation.
 *
 * A TASK'S WAY. Attached by the control plane (bound to an enclave and a domain in its task storage), it enters with its policy set to
 * SCHED_EXT. Runnable, it waits in custody: a dispatch queue of its own, from which only run_task() takes it.
 *
 *   BLOCKED --wake--> HELD --commit--> LATCHED --dispatch--> RUNQ (local queue, then CPU) --preempt--> HELD
 *                                                             `--sleep--> BLOCKED
 *
 * Each step is a compare-and-swap of the task's word and raises its barrier, so a transaction made from older news is refused as stale.
 *
 * LOCKS. Callbacks run under the run-queue lock of the task's CPU. A CPU's claim (ghost_cpu_state.claim) changes under that CPU's lock only.
 * Everything shared beyond it is one word changed by compare-and-swap: core word, task word, latch.
 *
 * WHAT IS NOT STATIC. The kernel's verifier follows a static function again at each call, in every state of its caller; one with external
 * linkage it checks once, alone, whatever the arguments. So what is called from many places is not static, and takes numbers, or pointers to
 * plain memory that may be NULL: that made 244,000 instructions to verify 85,000, and loading three times as fast.
 *
 * READING ORDER: ghost_maps (memory), ghost_trace (what is kept of what happened), ghost_core (the gate), ghost_task (words and messages), ghost_slot (who has a place), ghost_trip (when the kernel goes past us), ghost_pick (what runs next), ghost_offer (whom an idle CPU may take), ghost_yield (who makes way for whom), ghost_unattached, ghost_host and ghost_place (whom nobody attached), ghost_ops
 * (callbacks), ghost_switch (what really runs), ghost_txn (agents' decisions), ghost_agent (agents' other calls), ghost_control (the control plane), ghost_guard (the class's own watch).
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel/abi/core_word.h"
#include "kernel/abi/ghost.h"
#include "kernel/abi/restore.h"
#include "kernel/abi/tally.h"
#include "kernel/abi/trace.h"
#include "kernel/bpf/seeded_fault.h"

#include "ghost_macros.bpf.h"
#include "ghost_kfuncs.bpf.h"
#include "ghost_maps.bpf.h"
#include "ghost_host.bpf.h"
#include "ghost_trace.bpf.h"
#include "ghost_core.bpf.h"
#include "ghost_task.bpf.h"
#include "ghost_slot.bpf.h"
#include "ghost_trip.bpf.h"
#include "ghost_pick.bpf.h"
#include "ghost_offer.bpf.h"
#include "ghost_yield.bpf.h"
#include "ghost_unattached.bpf.h"
#include "ghost_hotplug.bpf.h"
#include "ghost_place.bpf.h"
#include "ghost_ops.bpf.h"
#include "ghost_switch.bpf.h"
#include "ghost_txn.bpf.h"
#include "ghost_agent.bpf.h"
#include "ghost_guard.bpf.h"
#include "ghost_control.bpf.h"
#include "ghost_restore.bpf.h"

char _license[] SEC("license") = "GPL";

SEC("struct_ops.s/init")
s32 BPF_PROG(ghost_init)
{
	struct ghost_class_info *info = info_of();
	s32 err = scx_bpf_create_dsq(ORPHAN_DSQ, -1);
	u32 i, nr;

	if (err)
		return err;
	if (!info)
		return -ENOENT;
	nr = info->nr_cores;
	bpf_for(i, 0, nr) {
		err = scx_bpf_create_dsq(UNATTACHED_DSQ(i), -1);
		if (err)
			return err;
	}
	info->enabled = 1;
	return guard_start();
}

SEC("struct_ops/exit")
void BPF_PROG(ghost_exit, struct scx_exit_info *ei)
{
	struct ghost_class_info *info = info_of();

	if (!info)
		return;
	info->enabled = 0;
	info->exit_kind = BPF_CORE_READ(ei, kind);
	bpf_probe_read_kernel_str(info->exit_reason, sizeof(info->exit_reason), BPF_CORE_READ(ei, reason));
	bpf_probe_read_kernel_str(info->exit_message, sizeof(info->exit_message), BPF_CORE_READ(ei, msg));
}

/*
 * ENQ_LAST, ENQ_EXITING, ENQ_MIGRATION_DISABLED: without them the kernel keeps or inserts such tasks by itself, past the gate.
 */
SEC(".struct_ops.link")
struct sched_ext_ops corral_ops = {
	.select_cpu = (void *)ghost_select_cpu,
	.enqueue = (void *)ghost_enqueue,
	.dispatch = (void *)ghost_dispatch,
	.running = (void *)ghost_running,
	.stopping = (void *)ghost_stopping,
	.quiescent = (void *)ghost_quiescent,
	.yield = (void *)ghost_yield,
	.tick = (void *)ghost_tick,
	.set_cpumask = (void *)ghost_set_cpumask,
	.set_weight = (void *)ghost_set_weight,
	.cpu_online = (void *)ghost_cpu_online,
	.cpu_offline = (void *)ghost_cpu_offline,
	.init_task = (void *)ghost_init_task,
	.enable = (void *)ghost_enable,
	.disable = (void *)ghost_disable,
	.exit_task = (void *)ghost_exit_task,
	.init = (void *)ghost_init,
	.exit = (void *)ghost_exit,
	.flags = SCX_OPS_SWITCH_PARTIAL | SCX_OPS_ENQ_LAST | SCX_OPS_ENQ_EXITING | SCX_OPS_ENQ_MIGRATION_DISABLED,
	.timeout_ms = 20000,
	.name = "corral",
};
