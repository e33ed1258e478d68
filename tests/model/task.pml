/* SPDX-License-Identifier: Apache-2.0 */
/* A task's way: its word, its claim, its places (custody, local queue), and the callbacks that move it. */

/* The barrier rises: every copy of it is stale from here on. */
inline raise_barrier(t)
{
	bar_k = 0;
	do
	:: bar_k < SIBLINGS ->
		if :: latch[bar_k] == t + 1 -> latch_fresh[bar_k] = 0 :: else fi;
		if :: got[bar_k] == t + 1 -> got_fresh[bar_k] = 0 :: else fi;
		if :: target[bar_k] == t + 1 -> target_fresh[bar_k] = 0 :: else fi;
		bar_k++
	:: else -> break
	od;
	if :: old_latch == t + 1 -> old_fresh = 0 :: else fi
}
HIDDEN byte bar_k;

inline local_push(k, t)
{
	assert(local1[k] == 0);
	if
	:: local0[k] == 0 -> local0[k] = t + 1
	:: else -> local1[k] = t + 1
	fi
}

inline local_push_head(k, t)
{
	assert(local1[k] == 0);
	local1[k] = local0[k];
	local0[k] = t + 1
}

inline local_remove(k, t)
{
	if
	:: local0[k] == t + 1 -> local0[k] = local1[k]; local1[k] = 0
	:: local1[k] == t + 1 -> local1[k] = 0
	:: else
	fi
}

/* claim_release(): under that CPU's run-queue lock, so the claim and the word change in one step. */
inline claim_release(k, t)
{
	if
	:: k < SIBLINGS && claim[k] == t + 1 -> claim[k] = 0; core_release(k)
	:: else
	fi
}

/* task_advance(): the swap of the word, then the claim; two steps, since others see what is between. */
inline task_advance(t, to, was)
{
	d_step { was = state[t]; state[t] = to; raise_barrier(t) };
	if
	:: was == RUNQ && to != RUNQ -> d_step { was = 0; claim_release(claim_cpu[t], t); claim_cpu[t] = NOBODY }
	:: else -> was = 0
	fi
}

/* wake_cpu_for(), on a core that no agent serves. One that is on CPU without a claim is on its way out, and has made its pick already. */
#ifdef BUG_WAKE_RACE
#define WAKE_TAKEN BUSY
#else
#define WAKE_TAKEN CLAIMS
#endif
inline wake_cpu_for(t)
{
	d_step {
		if
		:: agent && !stalled
		:: !(agent && !stalled) && WAKE_TAKEN && (OWNER != DOMAIN_OF(t) || HANDOVER)
		:: else ->
			wake_k = 0;
			do
			:: wake_k < SIBLINGS && ((WAKE_TAKEN & (1 << wake_k)) || !MAY_USE(t, wake_k)) -> wake_k++
			:: else -> break
			od;
			if
			:: wake_k < SIBLINGS -> kick_cpu(wake_k, KICK)
			:: else
			fi
		fi;
		wake_k = 0
	}
}
HIDDEN byte wake_k;

/*
 * ghost_enqueue(), under the lock of run queue k. The kick goes out before the kernel has put the task into its custody queue. On a CPU
 * that is going offline the kernel does not ask: the task goes to the local queue, ungated.
 */
inline enqueue(t, k, was)
{
#ifdef HOTPLUG
	if
	:: k < SIBLINGS && inactive[k] -> d_step { slice[t] = SLICE_ENDS; local_push(k, t) }
	:: else ->
#endif
	task_advance(t, HELD, was);
	wake_cpu_for(t);
	custody[t] = 1
#ifdef HOTPLUG
	fi
#endif
}

/* ghost_quiescent() */
inline quiescent(t, was)
{
	task_advance(t, BLOCKED, was)
}

/* The end of ghost_running(): the slice that was decided, and a look at a decision that came after the pick. Inside a step. */
inline running_end(k, t)
{
	if
	:: slice_inf[t] -> slice[t] = SLICE_INF
	:: else -> slice[t] = SLICE_ENDS
	fi;
#ifndef BUG_NO_KICK_IN_RUNNING
	if
	:: latch[k] -> kick_cpu(k, KICK_PREEMPT)
	:: else
	fi
#endif
}

/* ghost_running(), under the lock of k. The claim is this CPU's own, so looking at it is no step of its own. */
inline running(k, t, was)
{
	d_step {
		if
		:: claim[k] == t + 1 -> running_end(k, t); was = 0
#ifndef BUG_ADOPT_IN_PICK
		:: claim[k] != t + 1 && dropped[k] -> slice[t] = SLICE_OVER; was = 0 /* its CPU is taking another task: it may not claim again */
		:: claim[k] != t + 1 && !dropped[k] ->
#else
		:: else ->
#endif
			core_adopt(k, DOMAIN_OF(t));
			if
			:: res_granted -> claim[k] = t + 1; claim_cpu[t] = k; slice_inf[t] = 0; was = 1
			:: else -> slice[t] = SLICE_OVER; kick_cpu(k, KICK_PREEMPT); was = 0
			fi
		fi
	};
	if
	:: was -> task_advance(t, RUNQ, was); d_step { running_end(k, t) }
	:: else
	fi
}

/* ghost_stopping(): nothing, unless the prototype's bug is put back. */
inline stopping(k, t)
{
#ifdef BUG_RELEASE_IN_STOPPING
	d_step {
		if
		:: claim[k] == t + 1 -> claim[k] = 0; core_release(k); core_switch_out(k)
		:: else
		fi
	}
#else
	skip
#endif
}
