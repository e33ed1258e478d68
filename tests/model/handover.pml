/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hand-over of one core between trust domains: what kernel/bpf does, step by step, with the kernel around it, an agent that proposes
 * anything, and a world that interferes at any time. Each compare-and-swap is one step; a run queue's lock is held where the kernel
 * holds it. kernel/README.md says which step stands for which function, and what is left out.
 *
 * BUG_* puts a known bug in, which the search must find.
 */
/* How often things happen; without a number, for ever. */
#ifdef CHAOS /* interference: higher classes, changes in place, exits, crashes of the agent */
byte chaos = CHAOS;
#define CHAOS_LEFT (chaos > 0)
#define SPEND_CHAOS chaos--
#else
#define CHAOS_LEFT true
#define SPEND_CHAOS skip
#endif
#ifdef COMMITS
byte commits = COMMITS;
#define COMMIT_LEFT (commits > 0)
#define SPEND_COMMIT commits--
#else
#define COMMIT_LEFT true
#define SPEND_COMMIT skip
#endif
#ifdef SLEEPS
byte sleeps = SLEEPS;
#define SLEEP_LEFT (sleeps > 0)
#define SPEND_SLEEP sleeps--
#else
#define SLEEP_LEFT true
#define SPEND_SLEEP skip
#endif

#include "state.pml"
#include "task.pml"
#include "pick.pml"
#include "cpu.pml"
#include "agent.pml"
#include "world.pml"

/* Nothing is under way that would still bring a CPU to look. */
#define HOTPLUG_AT_REST (!closed && inactive[SIBLINGS - 1] == offline[SIBLINGS - 1])
#if SIBLINGS == 2
#define AT_REST (HOTPLUG_AT_REST && !lock[0] && !lock[1] && !lock[OUTSIDE] && !dropped[0] && !dropped[1] && !agent_busy)
#define NO_KICKS (!kick[0] && !kick[1])
#define ALL_IDLE (curr[0] == IDLE_TASK && curr[1] == IDLE_TASK)
#define EACH_CPU(what) (what(0) || what(1))
#else
#define AT_REST (HOTPLUG_AT_REST && !lock[0] && !lock[1] && !lock[2] && !lock[OUTSIDE] && !dropped[0] && !dropped[1] && !dropped[2] && !agent_busy)
#define NO_KICKS (!kick[0] && !kick[1] && !kick[2])
#define ALL_IDLE (curr[0] == IDLE_TASK && curr[1] == IDLE_TASK && curr[2] == IDLE_TASK)
#define EACH_CPU(what) (what(0) || what(1) || what(2))
#endif
#if TASKS == 2
#define EACH_TASK(what) (what(0) || what(1))
#elif TASKS == 3
#define EACH_TASK(what) (what(0) || what(1) || what(2))
#else
#define EACH_TASK(what) (what(0) || what(1) || what(2) || what(3))
#endif

#define WAITS(t) (state[t] == HELD || state[t] == LATCHED)
/* A decision that its idle CPU could carry out, and nobody tells it. */
#define FORGOTTEN_LATCH(k) (curr[k] == IDLE_TASK && !kick[k] && latch[k] && !(BUSY & ~(1 << (k))))
/* A newer decision for a CPU that runs something else, and nobody tells it. */
#define UNSEEN_LATCH(k) (IS_TASK(curr[k]) && !kick[k] && latch[k])
/* A waiter of an empty core, and nobody tells it. */
#define FORGOTTEN_WAITER(k) (!BUSY && (WAITERS & (1 << (k))) && !kick[k] && curr[k] == IDLE_TASK)

/* Progress, as states that must not be: somebody waits, and nothing is under way that would change it. */
active proctype Watch()
{
	end: if
	:: d_step { AT_REST && EACH_CPU(FORGOTTEN_LATCH) -> assert(no_forgotten_decision) }
	:: d_step { AT_REST && EACH_CPU(UNSEEN_LATCH) -> assert(no_unseen_decision) }
	:: d_step { AT_REST && EACH_CPU(FORGOTTEN_WAITER) -> assert(no_forgotten_waiter) }
	:: d_step { AT_REST && NO_KICKS && ALL_IDLE && (!agent || stalled) && EACH_TASK(WAITS) -> assert(no_task_waits_for_an_idle_core) }
	fi
}

init {
	byte k;

	atomic {
		do
		:: k < TASKS -> state[k] = BLOCKED; claim_cpu[k] = NOBODY; task_cpu[k] = HOME(k); slice[k] = SLICE_ENDS; k++
		:: else -> break
		od;
		k = 0;
#ifndef NO_AGENT
		agent = 1;
		run Agent();
#endif
#ifdef GUARD
		run Guard();
#endif
		run World();
#ifndef BUG_NO_TENURE
		run Time();
#endif
#ifdef HOTPLUG
		run Hotplug();
#endif
		do
		:: k < SIBLINGS -> run Cpu(k); k++
		:: else -> break
		od;
		k = 0
	}
}

/*
 * Progress as liveness, under weak fairness: a task that waits is taken in the end. Where nobody sleeps: with wake-ups, a CPU that asks again
 * and again for a task that its sibling is taking keeps the lock that the sibling needs, which the kernel's fair locks exclude.
 */
#ifdef LIVENESS
ltl turns { ([]<> !WAITS(0)) && ([]<> !WAITS(1)) }
#endif
