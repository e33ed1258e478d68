/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The class's memory. Sizes marked 1 are set from the machine before the load (kernel/bpf/class_loader.cc). Mapped arrays are for
 * agents and displays to read; nobody but the class writes them.
 */
#pragma once

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ghost_class_info);
} class_info SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, GHOST_MAX_ENCLAVES + 1);
	__type(key, u32);
	__type(value, struct ghost_enclave);
} enclaves SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ghost_domain);
} domains SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ghost_block);
} blocks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ghost_core_state);
} cores SEC(".maps");

/* The last transaction of each core, as validated, with its outcome. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ghost_core_txn);
} txns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ghost_cpu_config);
} cpu_configs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ghost_cpu_state);
} cpu_states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ghost_status_word);
} status_words SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ghost_queue_state);
} queue_states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ghost_affinity);
} affinities SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ghost_waits);
} waits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ghost_tally);
} tallies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ghost_trace_event);
} traces SEC(".maps");

/*
 * A NUMA node's ring of offered tasks: the idle-pick ring. An entry names a task and the barrier at which it was put up, so one that is
 * out of date takes nobody anywhere. A full ring loses the oldest; its task waits for its agent, as if it had not been offered.
 */
#ifndef BOARD_ENTRIES
#define BOARD_ENTRIES 64
#endif
#define MAX_NODES 64
struct ghost_board {
	u32 next;    /* where the next entry goes, modulo BOARD_ENTRIES; the oldest is there */
	u32 looking; /* how many CPUs of the node idle: nobody else is worth looking for */
	u64 entry[BOARD_ENTRIES]; /* as LATCH(); 0: none */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_NODES);
	__type(key, u32);
	__type(value, struct ghost_board);
} boards SEC(".maps");

/* For the control plane alone: it lives as long as the class. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, struct ghost_confined);
} confined SEC(".maps");

struct queue_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__array(values, struct queue_ring);
} queues SEC(".maps");

/*
 * What only the class knows about a task. `word` is the one place where its state changes, by compare-and-swap:
 * barrier << 8 | state. The status word is a copy for others to read.
 */
struct ghost_task {
	u64 word;
	u64 slice_ns;	  /* of the present or next stint; 0: no end */
	u64 held_since;	  /* when it last became runnable without a CPU; a decision that came to nothing does not begin it anew */
	u64 on_cpu_since; /* 0: not on a CPU */
	u64 slice_since;  /* when the present slice began */
	u64 waits_since;  /* since when it wants a CPU and has none, for its tally; 0: it does not */
	u32 ran_on;	  /* + 1: the CPU that it ran on last, for its tally */
	u32 claim_cpu;	  /* while TASK_RUNQ: the CPU whose claim it holds */
	u32 domain;
	u32 enclave;
	u32 queue;
	u32 incarnation;
	u32 announced;	  /* TASK_NEW was sent */
	u32 asleep;	  /* its agent was told that it is not runnable */
	u32 run_flags;	  /* of the commit that it runs by */
	u64 rescued_until; /* the class runs it until then, whatever its agent wants */
	u32 leaving;	  /* enum leave_cause: why it gives up the CPU next */
	u32 elide_preempt; /* its agent does not want to hear of that */
	u32 offer;	  /* enum ghost_offer */
	u32 yields_to;	  /* slot + 1: with LEAVE_YIELD and LEAVE_REPLACED, in whose favour; 0: nobody's */
	u32 yielded_to;	  /* 1: its agent was told that a task yields in its favour, since it waits */
};

enum leave_cause {
	LEAVE_NOT,
	LEAVE_YIELD,   /* it yielded */
	LEAVE_REPLACED, /* it yielded, and its CPU took the one in whose favour */
	LEAVE_CHANGED, /* its affinity changed under it, or its domain is to change */
};

enum ghost_task_state {
	TASK_NONE = 0,
	TASK_BLOCKED,
	TASK_HELD,	/* runnable, in custody, waits for a decision */
	TASK_LATCHED,	/* in custody, a decision is on its way */
	TASK_RUNQ,	/* in a CPU's local queue or on the CPU, with that CPU's claim */
};

#define TASK_WORD(barrier, state) ((u64)(barrier) << 8 | (state))
#define TASK_BARRIER(word) ((word) >> 8)
#define TASK_STATE(word) ((u32)((word) & 0xff))

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ghost_task);
} tasks SEC(".maps");

/* What a thread is to the class. Rights live here and not in anybody's arguments. */
struct ghost_thread {
	u32 slot;	     /* + 1, of an attached thread */
	u32 next_slot;	     /* + 1, in the domain that it changes to once it is off CPU */
	u32 agent_core;	     /* + 1, of the agent of a core */
	u32 agent_enclave;   /* of an agent */
	u32 blessed_enclave; /* in the leader of a process that may become agents */
	u32 stop;	     /* 1: to be stopped, as soon as the kernel sends the signal */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ghost_thread);
} threads SEC(".maps");

/* An agent's timer for a CPU. */
struct ghost_cpu_timer {
	struct bpf_timer timer;
	u64 cookie;
	u32 cpu;
	u32 ready; /* 1: initialised */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ghost_cpu_timer);
} cpu_timers SEC(".maps");

struct guard_timer {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct guard_timer);
} guard SEC(".maps");

/* Looking up an array element fails only beyond its end. */
#define LOOKUP(name, map, type)                                              \
	static __always_inline struct type *name(u32 index)                  \
	{                                                                    \
		return (struct type *)bpf_map_lookup_elem(&map, &index);     \
	}
LOOKUP(enclave_of, enclaves, ghost_enclave)
LOOKUP(domain_of, domains, ghost_domain)
LOOKUP(block_of, blocks, ghost_block)
LOOKUP(core_of, cores, ghost_core_state)
LOOKUP(txn_of, txns, ghost_core_txn)
LOOKUP(cpu_config_of, cpu_configs, ghost_cpu_config)
LOOKUP(cpu_state_of, cpu_states, ghost_cpu_state)
LOOKUP(status_word_of, status_words, ghost_status_word)
LOOKUP(queue_state_of, queue_states, ghost_queue_state)
LOOKUP(task_of, tasks, ghost_task)
LOOKUP(affinity_of, affinities, ghost_affinity)
LOOKUP(waits_of, waits, ghost_waits)
LOOKUP(tally_of, tallies, ghost_tally)
LOOKUP(trace_event_of, traces, ghost_trace_event)
LOOKUP(cpu_timer_of, cpu_timers, ghost_cpu_timer)
LOOKUP(board_of, boards, ghost_board)
#undef LOOKUP

static __always_inline struct ghost_class_info *info_of(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&class_info, &zero);
}

/*
 * Whether the class is in charge, or was until the kernel put it out. Before, and once another one is to take its place, what it has attached to
 * tracepoints does nothing.
 */
static __always_inline bool at_work(struct ghost_class_info *info)
{
	u32 kind = *(volatile u32 *)&info->exit_kind;

	return *(volatile u32 *)&info->enabled || (kind && kind != GHOST_EXIT_UNREGISTERED);
}

static __always_inline struct ghost_thread *thread_of(struct task_struct *p)
{
	return bpf_task_storage_get(&threads, p, 0, 0);
}

#define READ_ONCE(x) (*(volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))
