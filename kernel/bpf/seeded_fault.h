/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Known bugs that can be put back into the class, one at a time, in builds for tests only (CORRAL_SEEDED_FAULTS; tests/faults): each opens
 * a way past the gate, and proves that the test of that way, and the auditor behind it, would see it. In any other build FAULT() is 0.
 */
#ifndef CORRAL_KERNEL_BPF_SEEDED_FAULT_H_
#define CORRAL_KERNEL_BPF_SEEDED_FAULT_H_

enum corral_seeded_fault {
	CORRAL_FAULT_NONE = 0,
	CORRAL_FAULT_GATE_OFF,		  /* every CPU is granted its core */
	CORRAL_FAULT_RELEASE_IN_STOPPING, /* the core is free before the switch, not after it */
	CORRAL_FAULT_LOCAL_ON_INSERT,	  /* a CPU puts tasks into its sibling's local queue */
	CORRAL_FAULT_RUNNING_UNGATED,	  /* who runs without a claim, after a change in place, is not looked at */
	CORRAL_FAULT_STRANGERS_UNGATED,	  /* threads of no enclave do not ask */
	/* These are the loader's: the class is registered otherwise. */
	CORRAL_FAULT_DEFAULT_SELECT_CPU, /* the kernel puts who wakes into an idle CPU's local queue */
	CORRAL_FAULT_NO_ENQ_EXITING,	 /* and who is about to die into his own CPU's */
	CORRAL_FAULT_NO_ENQ_LAST,	 /* and who is alone keeps his CPU without being asked */
	CORRAL_FAULT_NO_ENQ_MIGRATION_DISABLED, /* and who may not migrate gets into his own CPU's */
};

#if defined(__bpf__) && defined(CORRAL_SEEDED_FAULTS)
const volatile __u32 seeded_fault;
#define FAULT(name) (seeded_fault == CORRAL_FAULT_##name)
#elif defined(__bpf__)
#define FAULT(name) 0
#elif defined(CORRAL_NATIVE_CLASS)
#define FAULT(name) (sim_current->fault == CORRAL_FAULT_##name)
#endif

#endif /* CORRAL_KERNEL_BPF_SEEDED_FAULT_H_ */
