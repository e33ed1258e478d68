/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The contract between the scheduling class and its agents: messages, status words, transactions, enclaves.
 *
 * Plain C, included by the BPF class, by the simulated class and by C++. Semantics follow ghOSt (SOSP'21, section 3); kernel/README.md
 * lists each rule and the places where Corral differs. Units: times are ns of CLOCK_MONOTONIC, CPUs are Linux CPU ids, memory is bytes.
 *
 * Directions: everything in here that agents can map is read-only for them. An agent speaks only through the arguments of the SYSCALL
 * programs (struct ghost_commit, struct ghost_associate, ...), which the kernel copies once before the class validates them.
 */
#ifndef CORRAL_KERNEL_ABI_GHOST_H_
#define CORRAL_KERNEL_ABI_GHOST_H_

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Both sides refuse to talk to another version; the error names both. (Tests make other releases: tests/switch/other_release.) */
#ifndef GHOST_ABI_VERSION
#define GHOST_ABI_VERSION 12
#endif

#define GHOST_MAX_SIBLINGS 8
#define GHOST_MAX_ENCLAVES 16
#define GHOST_NAME_LEN 16
#ifndef GHOST_DOMAIN_NAME_LEN
#define GHOST_DOMAIN_NAME_LEN 64
#endif
#define GHOST_DOMAIN_KEY_LEN 16

/* Domain indices that are not allocated. */
#define GHOST_DOMAIN_HOST 0	  /* threads outside the class */
#define GHOST_DOMAIN_UNATTACHED 1 /* threads that put themselves into SCHED_EXT and belong to no enclave */
#define GHOST_DOMAIN_FIRST 2
#define GHOST_DOMAIN_WHOLE_HOST 0xffff /* in a core's word: the host's own threads, where all of them are in the class */

#define GHOST_NO_ENCLAVE 0 /* enclave ids start at 1 */

/* A task's identity: slot in the low half, incarnation in the high half. A slot is an index into the status words. */
#define GHOST_GTID(slot, incarnation) (((__u64)(incarnation) << 32) | (__u32)(slot))
#define GHOST_GTID_SLOT(gtid) ((__u32)(gtid))

/* ---- messages ---- */

enum ghost_msg_type {
	GHOST_MSG_NONE = 0,
	GHOST_MSG_TASK_NEW,	   /* always a task's first message; sent when the task is off CPU */
	GHOST_MSG_TASK_BLOCKED,
	GHOST_MSG_TASK_WAKEUP,
	GHOST_MSG_TASK_PREEMPT,	   /* lost its CPU, or its latch (GHOST_MSG_F_WAS_LATCHED), and is runnable */
	GHOST_MSG_TASK_YIELD,
	GHOST_MSG_TASK_DEPARTED,   /* left the class alive */
	GHOST_MSG_TASK_DEAD,
	GHOST_MSG_TASK_AFFINITY_CHANGED,
	GHOST_MSG_TASK_PRIORITY_CHANGED,
	GHOST_MSG_TASK_ATTRIBUTES_CHANGED,
	GHOST_MSG_TASK_LATCH_FAILURE, /* a latched decision could not be carried out; the task is held again */
	GHOST_MSG_CPU_TIMER_EXPIRED,
	GHOST_MSG_CORE_RESCUED, /* the class scheduled this core itself because a task had waited too long */
	GHOST_MSG_TASK_ON_CPU,	/* a committed task got its CPU; once per commit, with GHOST_RUN_F_SEND_ON_CPU. Or: an offered one was taken */
	GHOST_MSG_CPU_TICK,	/* with GHOST_ENCLAVE_DELIVER_TICKS, while a task of the class runs there */
	GHOST_MSG_CPU_NOT_IDLE, /* once, after GHOST_RUN_F_NEED_NOT_IDLE */
	GHOST_MSG_CPU_AVAILABLE, /* with GHOST_ENCLAVE_DELIVER_AVAILABILITY: no other scheduling class needs the CPU any more */
	GHOST_MSG_CPU_BUSY,	/* likewise: one does */
	GHOST_MSG_CORE_YIELDED_TO, /* of a task of its queue, which waits: another of its domain spins, and would yield to it */
};

/* ghost_msg.flags */
#define GHOST_MSG_F_RUNNABLE (1u << 0)	  /* TASK_NEW: the task waits for a decision */
#define GHOST_MSG_F_WAS_LATCHED (1u << 1) /* TASK_PREEMPT: it had not reached the CPU yet */
#define GHOST_MSG_F_RESCUED (1u << 2)	  /* TASK_PREEMPT: the class had run it because it waited too long */
/* TASK_ON_CPU: the class took it, because it was offered. TASK_YIELD: the one in whose favour took its place, for the same reason. */
#define GHOST_MSG_F_OFFERED (1u << 3)

/* One cache line. A task message carries the task's barrier after the event; only "strictly increasing" may be relied on. */
struct ghost_msg {
	__u32 type;
	__u32 flags;
	__u64 gtid; /* 0 in CPU messages */
	__u64 barrier;
	__u64 time_ns;
	__u64 runtime_ns; /* of the task, up to the event */
	__s32 cpu;	  /* where the event happened */
	__u32 domain;
	__u32 tid;
	__u32 core;	  /* of CPU messages: the core's id */
	/* CPU_TIMER_EXPIRED: the cookie. TASK_WAKEUP: the waker's CPU. TASK_YIELD: in whose favour, a gtid or 0. CORE_YIELDED_TO: the task's gtid */
	__u64 arg;
};

/* ---- status words ---- */

/* ghost_status_word.flags */
#define GHOST_SW_INUSE (1u << 0)
#define GHOST_SW_RUNNABLE (1u << 1)
#define GHOST_SW_ONCPU (1u << 2)   /* cleared after the message that says why, so "message seen" is not "off CPU" */
#define GHOST_SW_LATCHED (1u << 3) /* a transaction holds it for a CPU */
#define GHOST_SW_ANNOUNCED (1u << 4) /* TASK_NEW was sent */

struct ghost_status_word {
	__u64 gtid;
	__u64 barrier;
	__u64 runtime_ns;
	__u64 switch_time_ns; /* the last time it got on or off a CPU */
	__u32 flags;
	__s32 cpu; /* where it runs or ran last */
	__u32 tid;
	__u32 tgid;
	__u32 domain;
	__u32 enclave;
	__u32 queue;  /* GHOST_QUEUE_DEFAULT until it is associated */
	__u32 weight; /* share of the time that nobody was promised; 100 is the default */
	__u64 budget_ns; /* guaranteed per period; 0 is best effort */
	__u64 period_ns;
	__u64 cap_ns; /* most per cap_period_ns; 0 is no cap */
	__u64 cap_period_ns;
	__u32 vcpu;   /* index in its VM, or GHOST_NO_VCPU */
	__u32 former_policy; /* what it goes back to when it is detached */
	__u32 stops;	     /* how often its process was stopped while the class stayed: the kernel was in bypass for a while */
	__u32 node;	     /* the NUMA node that its memory is on, or GHOST_NO_NODE */
	__u32 offer;	     /* enum ghost_offer: which cores may take it, by its agent's word */
	__u32 priority;	     /* its nice value, as the weight that sched_ext gives it: 100 is nice 0; 0: not known yet */
	__u32 reserved;
	/* Its agent's verdict on the budget; void once the control plane asks for another one. */
	__u32 place;	  /* the core that keeps the promise, or that has most room; GHOST_NO_CORE: no verdict */
	__u64 granted_ns; /* promised per period: the budget, or 0 */
	__u64 free_ns;	  /* where nothing was promised: what `place` could still promise in such a period */
	__u64 on_since_ns; /* when it got on its CPU, 0 while it is on none: not in runtime_ns yet. To be read after that */
};

/* The CPUs that a task may use, by slot, a bit per CPU. Changes are announced by TASK_AFFINITY_CHANGED. */
#ifndef GHOST_AFFINITY_WORDS
#define GHOST_AFFINITY_WORDS 16
#endif
struct ghost_affinity {
	__u64 cpus[GHOST_AFFINITY_WORDS];
};

/* A thread that is not in the class but was bound to other CPUs because of it, by thread id. Written by the control plane. */
struct ghost_confined {
	__u32 tgid;
	__u32 reserved;
	struct ghost_affinity now;
	struct ghost_affinity former;
};

/* What a runnable task can wait for. */
enum ghost_wait {
	GHOST_WAIT_TURN = 0,	/* another domain has its core, all of it */
	GHOST_WAIT_FORCED_IDLE, /* another domain has its core, and leaves a sibling idle */
	GHOST_WAIT_OWN,		/* tasks of its own domain have the siblings that it may use */
	GHOST_WAIT_CAP,		/* it had what its cap allows */
	GHOST_WAIT_PLACE,	/* no CPU that it may use takes it */
	GHOST_WAIT_HOST,	/* its CPU is used by a thread of another scheduling class */
	GHOST_WAIT_HAND_OVER,	/* it was given a CPU, and is not there yet */
	GHOST_WAIT_AGENT,	/* its agent has not decided yet, or uses its CPU */
	GHOST_NR_WAITS
};

/* How long each task waited for what, by slot: as its agents said. The time up to now is missing until they say more, about every second. */
struct ghost_waits {
	__u64 ns[GHOST_NR_WAITS];
	__u64 missed_ns; /* of the time that it was promised, though it wanted it throughout the period */
	__u64 missed;	 /* in so many periods */
};

/* Which cores may take a runnable task without being told, when they have nothing else to do. Each includes those before it. */
enum ghost_offer {
	GHOST_OFFER_NONE = 0,
	GHOST_OFFER_CORE,    /* the one that its messages go to */
	GHOST_OFFER_NODE,    /* those of that core's NUMA node */
	GHOST_OFFER_MACHINE, /* all of its enclave; one of another node only while no CPU of its own idles */
	GHOST_NR_OFFERS
};

#define GHOST_QUEUE_DEFAULT 0xffffffffu
#define GHOST_NO_VCPU 0xffffffffu
#define GHOST_NO_CORE 0xffffffffu
#define GHOST_NO_NODE 0xffffffffu

/* ---- cores, CPUs, domains, enclaves: what status displays and agents may read ---- */

struct ghost_cpu_config {
	__u32 core;	/* index of its core */
	__u32 sibling;	/* its bit in the core's word */
	__u32 present;	/* 1 if the CPU exists */
	__u32 node;
};

struct ghost_cpu_state {
	__u64 latch;		/* decision that waits to be carried out (see ghost_latch_*), 0 = none */
	__u64 slice_ns;		/* of the latched task */
	__u32 claim;		/* slot + 1 of the task that holds this CPU's claim */
	__u32 latch_retries;	/* bounds the wait for a task that is on its way into custody */
	__u32 rescue;		/* slot + 1 of a task that the class will run here next, because it waited too long */
	__u32 running_domain;	/* as of the last switch */
	__u32 offline;		/* 1: from the moment that the kernel begins to take the CPU down until it is up again */
	__u32 need_not_idle;	/* 1: the agent wants to know when this CPU stops idling */
	__u32 busy;		/* 1: another scheduling class uses the CPU */
	__u32 picking;		/* 1: it is taking a task, and may have dropped its run-queue lock for a moment */
	__u64 busy_since_ns;
	__u64 host_ns;		/* how long threads of other scheduling classes had the CPU, agents apart */
	__u64 agent_ns;		/* how long agents had it */
	__u64 taken_since_ns;	/* since when one of them has it, which is not in there yet */
	__u32 taken;		/* GHOST_CPU_*: by whom */
	__u32 offered;		/* slot + 1 of an offered task that this CPU was woken for */
	__u32 looking;		/* 1: it idles, or is about to, and was counted for that in its node's board */
	__u32 lent;		/* 1: a task of another core took the place of one that yielded to it; the agent was told quietly */
	__u64 traced;		/* events in its ring, those that were overwritten included (trace.h) */
	__u64 ticks;		/* that the kernel's timer took from tasks of the class; none while the CPU is tickless */
	__u32 kept_waiting;	/* threads of other classes, or of no enclave, that the agent which is there keeps waiting, as of its last commit */
	__u32 reserved;
};

#define GHOST_CPU_NOT_TAKEN 0
#define GHOST_CPU_BY_HOST 1
#define GHOST_CPU_BY_AGENT 2

struct ghost_core_state {
	__u64 word;		/* core_word.h */
	__u64 owned_since_ns;	/* when the present owner took the core */
	__u64 commits;		/* transactions that latched */
	__u64 switches_agent;	/* changes of owner that an agent's commit caused */
	__u64 switches_class;	/* changes of owner that the class decided alone */
	__u64 switches_offered;	/* changes of owner because a CPU took what was offered */
	__u64 denied;		/* acquisitions refused because a sibling held another domain */
	__u64 latch_failures;
	__u64 evictions;	/* tasks found on CPU without a claim and sent away */
	__u64 adoptions;	/* tasks found on CPU without a claim, of the right domain */
	__u64 breaches;		/* switch-ins that I1 forbids: must stay 0 */
	__u64 rescues;
	__u64 taken;		/* offered tasks that its CPUs took, those that live on other cores included */
	__u64 last_commit_ns;
	__u64 agent_barrier;	/* rises with each message about the core or its CPUs, each wake-up and each successful commit */
	__u64 unattached_until_ns; /* threads of no enclave may use the core until then */
	__u64 unattached_time_ns;  /* when that time began */
	__u32 enclave;
	__u32 agent_tid;	/* 0: no agent, the class schedules this core */
	__u32 queue;		/* of its agent */
	__u32 agent_stalled;	/* 1: it has an agent that let a task wait too long; the class schedules until it commits again */
	__u32 cursor;		/* round robin over domains when there is no agent */
	__u32 commit_lock;
	__u32 rescue;		/* 1: a sibling has a task to rescue, the others make room */
	__u32 closed;		/* a bit per sibling that is going down or coming up: nothing may start on the core */
	__u32 host;		/* a bit per sibling that a user task of the host runs on */
	__u32 unattached_turn;	/* the sibling that they may use then */
	__u32 left_to;		/* a bit per sibling that the core was left to, until it has had its pick */
	__u32 nr_cpus;
	__s32 cpus[GHOST_MAX_SIBLINGS];
};

#define GHOST_ENCLAVE_DELIVER_TICKS (1u << 0)
#define GHOST_ENCLAVE_DELIVER_AVAILABILITY (1u << 1)
#define GHOST_ENCLAVE_STOP_ON_LOSS (1u << 2) /* where the kernel runs its threads past the class, their processes are stopped (SIGSTOP) */
#define GHOST_ENCLAVE_STRICT (1u << 3)	     /* while a user task of the host runs on a sibling, the class's tasks leave the core */
/* Those that the control plane may change at any time. */
#define GHOST_ENCLAVE_PROTECTION (GHOST_ENCLAVE_STOP_ON_LOSS | GHOST_ENCLAVE_STRICT)
#define GHOST_ENCLAVE_FLAGS (GHOST_ENCLAVE_DELIVER_TICKS | GHOST_ENCLAVE_DELIVER_AVAILABILITY | GHOST_ENCLAVE_PROTECTION)

struct ghost_enclave {
	__u32 in_use;
	__u32 flags;
	__u64 tenure_ns;	/* without an agent: how long a domain keeps a core that others wait for */
	__u64 runnable_timeout_ns; /* a task held longer is run by the class itself */
	__u32 default_queue;
	__u32 nr_cores;
	char name[GHOST_NAME_LEN];
};

struct ghost_domain {
	__u32 in_use;
	__u32 enclave;
	__u32 nr_tasks;
	__u32 first_block; /* + 1; blocks of 64 slots that belong to this domain */
	__u32 cursor;	   /* round robin inside the domain when there is no agent */
	__u32 reserved;
	__u8 key[GHOST_DOMAIN_KEY_LEN]; /* a VM's UUID, or zero-padded bytes chosen by the daemon */
	char name[GHOST_DOMAIN_NAME_LEN];
};

#define GHOST_BLOCK_SLOTS 64
struct ghost_block {
	__u64 used;   /* a bit per slot */
	__u32 domain; /* 0: free */
	__u32 next;   /* + 1 */
};

/* Written by the class, once per load; the first thing that anybody reads. */
struct ghost_class_info {
	__u32 abi_version;
	__u32 nr_cpus;
	__u32 nr_cores;
	__u32 nr_slots;
	__u32 nr_domains;
	__u32 nr_queues;
	__u32 enabled;	  /* the class is in charge */
	__u32 exit_kind;  /* as in scx_exit_info, once it was ejected or unloaded */
	__u32 nr_nodes;
	__u32 whole_host; /* 1: all of the host's threads are in the class, not only those that were put there */
	__u64 guard_runs;	  /* of the class's own timer */
	__u64 trips;	  /* threads of an enclave with GHOST_ENCLAVE_STOP_ON_LOSS that the kernel ran past the class */
	__u64 stops;	  /* signals sent because of that; fewer, for threads of one process, or more */
	__u64 object;	  /* which build of the class it is: a checksum of its program */
	char exit_reason[64];
	char exit_message[128];
};

/* ghost_class_info.exit_kind when user space took the class out, in order: SCX_EXIT_UNREG. */
#define GHOST_EXIT_UNREGISTERED 64

/* ---- calls: arguments of the SYSCALL programs ---- */

/* Results of calls: 0 or a negative errno, in `result`. */

/* Targets of a transaction besides a gtid. */
#define GHOST_TARGET_KEEP ((__u64)-1) /* leave this sibling as it is */
#define GHOST_TARGET_IDLE ((__u64)-2) /* hold this sibling idle */

enum ghost_txn_state {
	GHOST_TXN_READY = 0,
	GHOST_TXN_COMPLETE,	       /* latched; the class carries it out */
	GHOST_TXN_ABORTED,
	GHOST_TXN_TARGET_ONCPU,
	GHOST_TXN_TARGET_STALE,	       /* the task's barrier moved on */
	GHOST_TXN_TARGET_NOT_FOUND,
	GHOST_TXN_TARGET_NOT_RUNNABLE,
	GHOST_TXN_AGENT_STALE,
	GHOST_TXN_CPU_OFFLINE,
	GHOST_TXN_CPU_UNAVAIL,	       /* another commit on this core is under way */
	GHOST_TXN_INVALID_FLAGS,
	GHOST_TXN_INVALID_CPU,
	GHOST_TXN_INVALID_TARGET,      /* siblings of two domains, or a task twice */
	GHOST_TXN_NOT_PERMITTED,
	GHOST_TXN_NO_AGENT,
	GHOST_TXN_UNSUPPORTED_VERSION,
	GHOST_TXN_POISONED,	       /* another sibling of the group failed */
	GHOST_NR_TXN_STATES
};

/* One per message queue: what passed between the class and its agent. */
struct ghost_queue_state {
	__u64 messages;	 /* that were posted, wake-ups without a message included */
	__u64 overflows; /* messages that found no room; the agent then rescans the status words */
	__u64 txns[GHOST_NR_TXN_STATES]; /* transactions, by what became of them */
};

struct ghost_txn_sibling {
	__u64 target;  /* gtid, KEEP or IDLE */
	__u64 barrier; /* of the task, as the agent knows it */
	__u64 slice_ns; /* 0: until the agent decides otherwise */
	__u32 state;   /* out: ghost_txn_state */
	__u32 run_flags;
};

/* ghost_txn_sibling.run_flags */
#define GHOST_RUN_F_SEND_ON_CPU (1u << 0)   /* of a task: TASK_ON_CPU when it gets there */
#define GHOST_RUN_F_ELIDE_PREEMPT (1u << 1) /* of a task or IDLE: no TASK_PREEMPT for the task that loses the CPU by it */
#define GHOST_RUN_F_NEED_NOT_IDLE (1u << 2) /* of IDLE: CPU_NOT_IDLE when the CPU stops idling */
#define GHOST_RUN_FLAGS (GHOST_RUN_F_SEND_ON_CPU | GHOST_RUN_F_ELIDE_PREEMPT | GHOST_RUN_F_NEED_NOT_IDLE)

/* ghost_core_txn.flags */
#define GHOST_TXN_F_AGENT_BARRIER (1u << 0) /* AGENT_STALE unless agent_barrier is the core's: nothing happened since it was read */
#define GHOST_TXN_F_NO_KICK (1u << 1)	    /* carried out at each sibling's next pick, which the commit does not bring about */
#define GHOST_TXN_F_ALLOW_ONCPU (1u << 2)   /* a target that runs on that very sibling goes on, with the new slice */
#define GHOST_TXN_F_ELIDE_BARRIER_INC (1u << 3)	     /* success does not raise the agent barrier */
#define GHOST_TXN_F_BARRIER_INC_ON_FAILURE (1u << 4) /* failure does; not together with the former */
#define GHOST_TXN_FLAGS 0x1fu

/* A transaction names a whole core: all of its siblings are latched, or none. */
struct ghost_core_txn {
	__u32 core;
	__u32 state;  /* out: COMPLETE, or what the first sibling that failed says */
	__u64 cookie; /* the caller's, so that it knows its own outcome in the mapped array */
	__u64 agent_barrier;
	__u32 flags;
	__u32 stay; /* the class's own note: a bit per sibling whose target runs there already */
	struct ghost_txn_sibling sibling[GHOST_MAX_SIBLINGS];
};

#define GHOST_COMMIT_FEW_CORES 8 /* a program takes one transaction, another a few, a third many; a group goes to the least that takes it */
#define GHOST_COMMIT_MAX_CORES 64
struct ghost_commit {
	__u32 abi_version;
	__u32 nr; /* transactions in use */
	__s32 result;	 /* -EPROTO: another ABI version; -EPERM: the caller is no agent */
	__u32 completed; /* out: how many are COMPLETE */
	/* out: a ghost_txn_state per transaction. What its siblings came to stands in the mapped array, if its cookie is there. */
	__u8 states[GHOST_COMMIT_MAX_CORES];
	struct ghost_core_txn txn[GHOST_COMMIT_MAX_CORES];
};

/* By the agent thread of a core, for itself. */
struct ghost_agent_enter {
	__u32 abi_version;
	__u32 core;
	__s32 result;
	__u32 leave; /* 1: the thread stops being the core's agent */
};

struct ghost_associate {
	__u64 gtid;
	__u64 barrier;
	__u32 queue;
	__s32 result; /* -ENOENT, -ESTALE, -EINVAL, -EPERM */
	__u32 status; /* out: GHOST_ASSOC_* */
	__u32 reserved;
};
#define GHOST_ASSOC_ALREADY (1u << 0)	/* it had that queue */
#define GHOST_ASSOC_BRAND_NEW (1u << 1) /* it had the default queue */

/* By an agent, for a CPU of its enclave: CPU_TIMER_EXPIRED at `when_ns`; 0 disarms. One timer per CPU, the last call counts. */
struct ghost_timer_arm {
	__u32 cpu;
	__s32 result; /* -EPERM, -EINVAL */
	__u64 when_ns;
	__u64 cookie;
};

/* By an agent, about a task of its enclave: the verdict in its status word. Nobody is told. */
struct ghost_task_grant {
	__u64 gtid;
	__u64 granted_ns; /* at most the budget */
	__u64 free_ns;
	__u32 place; /* a core of the enclave */
	__s32 result; /* -EPERM, -ENOENT, -EINVAL */
};

/* By an agent, about a task of its enclave: what it waited for since it last said so. */
struct ghost_task_account {
	__u64 gtid;
	__s32 result; /* -EPERM, -ENOENT */
	__u32 reserved;
	struct ghost_waits waits; /* to be added */
};

/*
 * By an agent, about a task of its enclave: which cores may take it whenever it is runnable. Stays until it is said anew; TASK_ON_CPU tells
 * when it was taken, which changes nothing else. After an answer of 0 to a lesser offer no core takes it that is not offered any more.
 */
struct ghost_task_offer {
	__u64 gtid;
	__u32 offer; /* enum ghost_offer */
	__s32 result; /* -EPERM, -ENOENT, -EINVAL; -EBUSY: done, but it is given to a CPU at this moment, by whomever */
};

/* By the daemon. */
struct ghost_enclave_create {
	__u32 abi_version;
	__u32 enclave; /* out */
	__u32 flags;
	__s32 result;
	__u64 tenure_ns;
	__u64 runnable_timeout_ns;
	__u32 first_queue;
	__u32 reserved;
	char name[GHOST_NAME_LEN];
};

/* Gives a core to an enclave, with the queue of its agent; enclave 0 takes it away. */
struct ghost_core_assign {
	__u32 core;
	__u32 enclave;
	__u32 queue;
	__s32 result; /* -EBUSY: another enclave has it, or an agent serves it */
};

struct ghost_enclave_update {
	__u32 enclave;
	__u32 flags; /* of GHOST_ENCLAVE_PROTECTION */
	__s32 result;
	__u32 reserved;
};

struct ghost_enclave_destroy {
	__u32 enclave;
	__s32 result;
};

/* Lets the process `tgid` be an agent of `enclave`. */
struct ghost_agent_bless {
	__u32 tgid;
	__u32 enclave;
	__s32 result;
	__u32 reserved;
};

struct ghost_domain_create {
	__u32 enclave;
	__u32 domain; /* out; an existing one if the key is known */
	__s32 result;
	__u32 reserved;
	__u8 key[GHOST_DOMAIN_KEY_LEN];
	char name[GHOST_DOMAIN_NAME_LEN];
};

struct ghost_domain_destroy {
	__u32 domain;
	__s32 result; /* -EBUSY while it has tasks */
};

/* Binds a thread to an enclave and a domain. It enters when its policy becomes SCHED_EXT. */
struct ghost_task_attach {
	__u32 tid;
	__u32 domain;
	__u32 vcpu;
	__u32 weight;
	__u64 gtid; /* out */
	__s32 result;
	__u32 former_policy; /* out: the policy that the thread had */
};

struct ghost_task_detach {
	__u64 gtid;
	__s32 result;
	__u32 reserved;
};

/* What a task was promised; TASK_ATTRIBUTES_CHANGED tells its agent. */
struct ghost_task_update {
	__u64 gtid;
	__u64 budget_ns;
	__u64 period_ns;
	__u64 cap_ns;
	__u64 cap_period_ns;
	__u32 weight;
	__u32 node;
	__s32 result; /* -ENOENT; -EINVAL: a budget above its period, a cap without one, or no weight */
	__u32 reserved;
};

/*
 * Another domain of the same enclave for a task that is in the class. It changes over once it is off CPU: TASK_DEPARTED under its old gtid,
 * TASK_NEW under another, with the same attributes. One that sleeps does when it wakes up, or not at all if it is given its present domain before.
 */
struct ghost_task_relabel {
	__u64 gtid; /* in: of the task. out: what it will be */
	__u32 domain;
	__s32 result; /* -ENOENT; -EINVAL: no such domain in its enclave; -EBUSY: it changes at this moment; -ENOSPC */
};

#ifdef __cplusplus
}
#endif

#endif /* CORRAL_KERNEL_ABI_GHOST_H_ */
