/* SPDX-License-Identifier: Apache-2.0 */
/* ghost_txn.bpf.h: an agent that proposes anything, comes and goes; and the class's guard. */

/* latch_replace(): the swap, then the old task's word; two steps. */
inline latch_replace(k, value, fresh)
{
	d_step {
		if
		:: latch[k] && latch[k] != LATCH_IDLE -> old_latch = latch[k]; old_fresh = latch_fresh[k]; replaced = 1
		:: else
		fi;
		if
		:: value == LATCH_IDLE && latch[k] == LATCH_IDLE
		:: else -> got_same[k] = 0
		fi;
		latch[k] = value;
		latch_fresh[k] = fresh
	};
	if
	:: replaced ->
		d_step {
			if
			:: state[old_latch - 1] == LATCHED && old_fresh -> state[old_latch - 1] = HELD; raise_barrier(old_latch - 1)
			:: else
			fi;
			old_latch = 0;
			old_fresh = 0;
			replaced = 0
		}
	:: else
	fi
}

/* kept_domain() */
#define KEPT_DOMAIN(k) (latch[k] -> (latch[k] == LATCH_IDLE -> 0 : DOMAIN_OF(latch[k] - 1)) : (CLAIMS & (1 << (k)) -> OWNER : 0))

/* txn_validate(), in the step of the choice: what changes later is found by txn_latch(). One domain for the whole core, every target held and its barrier the present one. */
inline txn_validate(bad)
{
	val_k = 0;
	val_domain = 0;
	do
	:: val_k < SIBLINGS ->
		if
		:: target[val_k] == LATCH_IDLE -> val_d = 0
		:: target[val_k] == TARGET_KEEP -> val_d = KEPT_DOMAIN(val_k)
		:: else ->
			val_d = DOMAIN_OF(target[val_k] - 1);
			if
			:: !target_fresh[val_k] || state[target[val_k] - 1] != HELD -> bad = 1
			:: else
			fi
		fi;
		if
		:: val_d && val_domain && val_d != val_domain -> bad = 1
		:: else
		fi;
		if
		:: !val_domain -> val_domain = val_d
		:: else
		fi;
		val_k++
	:: else -> break
	od;
	val_k = 0; val_domain = 0; val_d = 0
}
HIDDEN byte val_k, val_domain, val_d;

#define IS_TARGET(k) (target[k] != LATCH_IDLE && target[k] != TARGET_KEEP)

/* txn_latch(): each swap is a step; all, or none. */
inline txn_latch(bad, k)
{
	k = 0;
	do
	:: k < SIBLINGS && !bad ->
		d_step {
			if
			:: !IS_TARGET(k) -> k++
			:: IS_TARGET(k) && state[target[k] - 1] == HELD && target_fresh[k] ->
				state[target[k] - 1] = LATCHED;
				slice_inf[target[k] - 1] = 1; /* its agent sets no end */
				k++
			:: else -> bad = 1
			fi
		}
	:: else -> break
	od;
	do
	:: bad && k > 0 ->
		d_step {
			k--;
			if
			:: IS_TARGET(k) && state[target[k] - 1] == LATCHED && target_fresh[k] -> state[target[k] - 1] = HELD
			:: else
			fi
		}
	:: else -> break
	od;
	k = 0
}

/* txn_deliver() */
inline txn_deliver(k, mask)
{
	do
	:: k < SIBLINGS ->
		if
		:: target[k] == TARGET_KEEP
		:: target[k] == LATCH_IDLE && (BUSY & (1 << k)) -> latch_replace(k, LATCH_IDLE, 0); mask = mask | (1 << k)
		:: target[k] == LATCH_IDLE && !(BUSY & (1 << k)) ->
			latch_replace(k, 0, 0)
		:: else -> latch_replace(k, target[k], target_fresh[k]); mask = mask | (1 << k)
		fi;
		k++
	:: else -> break
	od;
	skip;
	d_step { kick_siblings(mask, KICK_PREEMPT); mask = 0; k = 0; stalled = 0 }
}

#define HELD_TARGET(t) :: (t) < TASKS && state[t] == HELD -> target[k] = (t) + 1; target_fresh[k] = 1
#if TASKS == 2
#define HELD_TARGETS HELD_TARGET(0) HELD_TARGET(1)
#elif TASKS == 3
#define HELD_TARGETS HELD_TARGET(0) HELD_TARGET(1) HELD_TARGET(2)
#else
#define HELD_TARGETS HELD_TARGET(0) HELD_TARGET(1) HELD_TARGET(2) HELD_TARGET(3)
#endif

/* ghost_commit_prog() for one core */
inline commit(bad, k, mask)
{
	if
	:: !bad -> txn_latch(bad, k)
	:: else
	fi;
	if
	:: !bad -> txn_deliver(k, mask)
	:: else
	fi;
	d_step {
		bad = 0;
		do
		:: k < SIBLINGS -> target[k] = 0; target_fresh[k] = 0; k++
		:: else -> break
		od;
		k = 0;
		agent_busy = 0
	}
}

/* agent_leave(): what nobody answers for any more is taken back. */
inline agent_leave(k)
{
	k = 0;
	do
	:: k < SIBLINGS -> latch_replace(k, 0, 0); k++
	:: else -> break
	od;
	skip;
	d_step { kick_siblings(255, KICK_PREEMPT); k = 0; agent_busy = 0 }
}

/* Whoever may commit to this core: its agent, or another agent of the same enclave while this core has none. */
proctype Agent()
{
	byte k, mask;
	bit bad, replaced;

end_agent:
	do
	:: atomic {
#ifdef OTHER_AGENTS
		COMMIT_LEFT ->
#else
		agent && COMMIT_LEFT ->
#endif
		SPEND_COMMIT;
		agent_busy = 1;
		k = 0;
		do
		:: k < SIBLINGS ->
			if
			:: target[k] = LATCH_IDLE
			:: target[k] = TARGET_KEEP
			HELD_TARGETS
			fi;
			k++
		:: else -> break
		od;
		k = 0;
		d_step { txn_validate(bad) }
	   };
	   commit(bad, k, mask)
#ifndef NO_CRASH
	:: d_step { agent && CHAOS_LEFT -> SPEND_CHAOS; agent = 0; agent_busy = 1 };
		agent_leave(k)
#ifndef NO_RETURN
	:: d_step { !agent -> agent = 1; stalled = 0 } /* ghost_agent_enter_prog() */
#endif
#endif
	od
}

#ifdef GUARD
/* guard_task(): a task waits too long, so the class decides for this core until its agent commits again. */
proctype Guard()
{
end_guard:
	do
	:: d_step {
		agent && !stalled && (state[0] == HELD || state[0] == LATCHED || state[1] == HELD || state[1] == LATCHED) ->
		stalled = 1;
		kick_siblings(255, KICK_PREEMPT)
	   }
	od
}
#endif
