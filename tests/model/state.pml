/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of one core, and the gate. The gate is the class's own: core_word.h is compiled into the checker, so the model cannot drift
 * from it.
 */
#ifndef SIBLINGS
#define SIBLINGS 2
#endif
#ifndef TASKS
#define TASKS 3
#endif
#ifndef DOMAINS
#define DOMAINS 2
#endif

#ifndef HIDDEN
#define HIDDEN hidden /* -DHIDDEN= for a breadth-first search, which gives the shortest trail */
#endif

#define DOMAIN_OF(t) ((t) % DOMAINS + 1)
#define NOBODY 255

/* What is on a CPU, from switch to switch: nothing, task t as t + 1, or a task of a higher class. */
#define IDLE_TASK 0
#define HIGHER 100
#define IS_TASK(x) ((x) != IDLE_TASK && (x) != HIGHER)

/* enum ghost_task_state */
#define NONE 0
#define BLOCKED 1
#define HELD 2
#define LATCHED 3
#define RUNQ 4

/* In place of a slot + 1 in a latch and in a transaction. */
#define LATCH_IDLE 100
#define TARGET_KEEP 101

/* The first PINNED tasks may use one sibling only: task t sibling t. Then the core is left to siblings that wait. */
#ifdef PINNED
#define MAY_USE(t, k) ((t) >= PINNED || (k) == (t))
#define HOME(t) ((t) < PINNED -> (t) : OUTSIDE)
#else
#define MAY_USE(t, k) true
#define HOME(t) OUTSIDE
#endif

#define OUTSIDE SIBLINGS /* run queues of CPUs that are not of this core, taken as one */

/* Slices: over, with an end, without one. */
#define SLICE_OVER 0
#define SLICE_ENDS 1
#define SLICE_INF 2

/* Kicks under way: they arrive whenever the CPU comes to them. */
#define KICK 1
#define KICK_PREEMPT 2

c_decl {
\#include "tests/model/gate.h"
}
c_state "core_word_t word" "Global" "0"

/* Arguments and results of a transition; they do not live beyond the step that uses them. */
HIDDEN byte arg_cpu, arg_domain, res_granted, res_changed, res_kick, res_breach;

/* ghost_cpu_state, and what the kernel knows about the CPU */
byte latch[SIBLINGS];
bit latch_fresh[SIBLINGS]; /* its barrier is the task's present one */
byte claim[SIBLINGS];	   /* slot + 1 */
byte curr[SIBLINGS];
byte local0[SIBLINGS], local1[SIBLINGS]; /* the local queue, head first; t + 1 */
byte kick[SIBLINGS];
bit lock[SIBLINGS + 1];	   /* run-queue locks */
bit dropped[SIBLINGS];	   /* the CPU is in dispatch, without its lock for a moment */
bit higher[SIBLINGS];	   /* a task of a higher class wants this CPU */
bit offline[SIBLINGS + 1], inactive[SIBLINGS + 1];
bit closed;		   /* hotplug: nobody takes a task on this core */
#ifdef BUG_OPEN_HOTPLUG
#define CLOSED false
#else
#define CLOSED closed
#endif

/*
 * ghost_task. Of the barrier only one thing matters, whether somebody's copy is still the present one; so every copy has a `fresh` bit,
 * and raising the barrier clears those.
 */
byte state[TASKS];
byte claim_cpu[TASKS];
byte task_cpu[TASKS];
byte slice[TASKS];    /* p->scx.slice */
bit slice_inf[TASKS]; /* slice_ns == 0: its agent set no end */
bit custody[TASKS];   /* in its custody queue */
byte moving[TASKS];   /* holding_cpu + 1: a CPU takes it out of custody */

/* A CPU's copy of its latch during pick_latched, and whether the latch was written since. */
byte got[SIBLINGS];
bit got_fresh[SIBLINGS], got_same[SIBLINGS];

/* The core's agent and its transaction. */
bit agent, stalled;
bit agent_busy; /* a control call is under way */
byte target[SIBLINGS];
bit target_fresh[SIBLINGS];
byte old_latch;
bit old_fresh;

#ifdef PINNED
byte left_to; /* siblings that the core was left to */
#endif
bit over;    /* the owner's tenure is over */
byte cursor; /* of the round robin over domains */

/* The word's fields, copied out at each transition for the model to read. */
byte busy_bits, claim_bits, waiter_bits, owner;
bit handover;
#define BUSY busy_bits
#define CLAIMS claim_bits
#define WAITERS waiter_bits
#define OWNER owner
#define HANDOVER handover

/* scx_bpf_kick_cpu(): only noted here. */
inline kick_cpu(k, how)
{
	if
	:: kick[k] < how -> kick[k] = how
	:: else
	fi
}

/* kick_siblings(); may be used on a step's own result. */
inline kick_siblings(mask, how)
{
	kick_i = 0;
	do
	:: kick_i < SIBLINGS ->
		if
		:: (mask & (1 << kick_i)) && kick[kick_i] < how -> kick[kick_i] = how
		:: else
		fi;
		kick_i++
	:: else -> break
	od;
	kick_i = 0
}
HIDDEN byte kick_i;

inline kick_waiters()
{
#ifdef BUG_NO_KICK_ON_RELEASE
	skip
#else
	kick_siblings(res_kick, KICK)
#endif
}

/* core_acquire() */
inline core_acquire(k, domain)
{
	arg_cpu = k;
	arg_domain = domain;
	c_code { struct core_step s = core_word_acquire(now.word, OF(arg_cpu), OF(arg_domain)); TAKE(s); };
	if
	:: res_granted && res_changed -> over = 0 /* note_owner() */
	:: else
	fi
}

/* core_adopt(). Not asked for a core that is being closed: what was there may stay until it is pushed away. */
inline core_adopt(k, domain)
{
	arg_cpu = k;
	arg_domain = domain;
	c_code { struct core_step s = core_word_adopt(now.word, OF(arg_cpu), OF(arg_domain)); TAKE(s); };
	if
	:: res_granted && res_changed -> over = 0
	:: else
	fi
}

inline core_release(k)
{
	arg_cpu = k;
	c_code { struct core_step s = core_word_release(now.word, OF(arg_cpu)); TAKE(s); };
	kick_waiters()
}

inline core_switch_out(k)
{
	arg_cpu = k;
	c_code { struct core_step s = core_word_switch_out(now.word, OF(arg_cpu)); TAKE(s); };
	kick_waiters()
}

inline core_switch_in(k, domain)
{
	arg_cpu = k;
	arg_domain = domain;
	c_code { struct core_step s = core_word_switch_in(now.word, OF(arg_cpu), OF(arg_domain)); TAKE(s); };
	kick_waiters()
}

/* Never set: names for what an assertion is about. */
HIDDEN byte one_domain_on_the_core, no_forgotten_decision, no_unseen_decision, no_forgotten_waiter, no_task_waits_for_an_idle_core, no_stale_claim;

/* I1, from switch to switch. */
inline check_isolation()
{
	chk_i = 0;
	do
	:: chk_i < SIBLINGS ->
		chk_j = 0;
		do
		:: chk_j < chk_i ->
			if
			:: IS_TASK(curr[chk_i]) && IS_TASK(curr[chk_j]) && DOMAIN_OF(curr[chk_i] - 1) != DOMAIN_OF(curr[chk_j] - 1) ->
				assert(one_domain_on_the_core)
			:: else
			fi;
			chk_j++
		:: else -> break
		od;
		chk_i++
	:: else -> break
	od
}
HIDDEN byte chk_i, chk_j;
