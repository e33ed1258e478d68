/* SPDX-License-Identifier: Apache-2.0 */
/* ghost_pick.bpf.h: what a CPU runs next. Under its run-queue lock, which the move out of custody may drop. */

/* The outcome of run_task() and of pick_latched(). */
#define RUN_OK 1
#define RUN_DENIED 2
#define RUN_ABSENT 3
#define PICK_RAN 4
#define PICK_STAY_IDLE 5
#define PICK_NONE 6

/*
 * scx_bpf_dsq_move_to_local(): from a queue of this CPU's run queue at once; otherwise the kernel takes the task out of its queue, drops
 * this CPU's lock for the other run queue's, and finds there whether a dequeue was faster.
 */
inline move_to_local(me, t, res)
{
	if
	:: d_step { !custody[t] -> res = RUN_ABSENT }
	:: d_step { custody[t] && task_cpu[t] == me -> custody[t] = 0; local_push(me, t); res = RUN_OK }
	:: d_step { custody[t] && task_cpu[t] != me -> custody[t] = 0; moving[t] = me + 1; dropped[me] = 1; lock[me] = 0 };
		d_step {
			!lock[me] && !lock[task_cpu[t]] ->
			lock[me] = 1;
			dropped[me] = 0;
			if
			:: moving[t] == me + 1 -> moving[t] = 0; task_cpu[t] = me; local_push(me, t); res = RUN_OK
			:: else -> res = RUN_ABSENT
			fi
		}
	fi
}

/* run_task() */
inline run_task(me, t, by_agent, res)
{
	d_step {
		core_acquire(me, DOMAIN_OF(t));
		if
		:: res_granted -> assert(!offline[me]); claim[me] = t + 1; res = RUN_OK
		:: else -> res = RUN_DENIED
		fi
	};
	if
	:: res == RUN_DENIED
	:: else ->
		move_to_local(me, t, res);
		if
		:: res == RUN_ABSENT ->
			d_step { claim[me] = 0; core_release(me) }
		:: else ->
			d_step {
				claim_cpu[t] = me;
				if
				:: state[t] == LATCHED && by_agent
				:: else -> raise_barrier(t)
				fi;
				state[t] = RUNQ
			}
		fi
	fi
}

/* latch_take() and, if the latch still was the one that was read, latch_fail(); two steps. */
inline latch_take_and_fail(me)
{
	if
	:: d_step { got_same[me] -> latch[me] = 0; latch_fresh[me] = 0 };
		d_step {
			if
			:: state[got[me] - 1] == LATCHED && got_fresh[me] -> state[got[me] - 1] = HELD; raise_barrier(got[me] - 1)
			:: else
			fi
		}
	:: d_step { !got_same[me] -> skip }
	fi
}

/* Before the class decides by itself: a decision that is still there has nobody behind it, and its task is held again. */
inline give_up_latch(me)
{
	d_step {
		if
		:: latch[me] && latch[me] != LATCH_IDLE && state[latch[me] - 1] == LATCHED && latch_fresh[me] ->
			arg_cpu = latch[me] - 1;
			state[arg_cpu] = HELD;
			raise_barrier(arg_cpu)
		:: else
		fi;
		latch[me] = 0;
		latch_fresh[me] = 0
	}
}

#ifdef BUG_LOCAL_ON
/* fault_insert_for_siblings(): this CPU's dispatch also puts the sibling's task into the sibling's local queue. */
inline insert_for_siblings(me)
{
	d_step {
		chk_i = 0;
		do
		:: chk_i < SIBLINGS ->
			if
			:: chk_i != me && latch[chk_i] && latch[chk_i] != LATCH_IDLE && !lock[chk_i] && latch_fresh[chk_i] &&
			   state[latch[chk_i] - 1] == LATCHED && custody[latch[chk_i] - 1] && !local0[chk_i] ->
				chk_j = latch[chk_i] - 1;
				latch[chk_i] = 0;
				latch_fresh[chk_i] = 0;
				got_same[chk_i] = 0;
				state[chk_j] = RUNQ;
				claim_cpu[chk_j] = chk_i;
				claim[chk_i] = chk_j + 1;
				arg_cpu = chk_i;
				c_code { now.word |= 1ULL << (CORE_WORD_CLAIMS_SHIFT + OF(arg_cpu)); now.busy_bits |= 1 << OF(arg_cpu); now.claim_bits |= 1 << OF(arg_cpu); };
				custody[chk_j] = 0;
				task_cpu[chk_j] = chk_i;
				local_push(chk_i, chk_j);
				kick_cpu(chk_i, KICK)
			:: else
			fi;
			chk_i++
		:: else -> break
		od
	}
}
#endif

/* pick_latched() */
inline pick_latched(me, t, res)
{
	t = PICK_NONE; /* what a decision that came to nothing leaves behind */
	do
	:: d_step { !latch[me] -> res = t }; break
	:: d_step { latch[me] == LATCH_IDLE -> latch[me] = 0; res = PICK_STAY_IDLE }; break
	:: d_step { latch[me] && latch[me] != LATCH_IDLE -> got[me] = latch[me]; got_fresh[me] = latch_fresh[me]; got_same[me] = 1 };
		if
		:: !(state[got[me] - 1] == LATCHED && got_fresh[me]) -> latch_take_and_fail(me); t = PICK_STAY_IDLE
		:: else ->
			run_task(me, (got[me] - 1), 1, res);
			if
			:: res == RUN_OK ->
#ifdef BUG_LOCAL_ON
				insert_for_siblings(me);
#endif
				d_step {
					if
					:: got_same[me] -> latch[me] = 0; latch_fresh[me] = 0
					:: else
					fi;
					res = PICK_RAN
				};
				break
			:: res == RUN_DENIED -> res = PICK_STAY_IDLE; break
			:: res == RUN_ABSENT ->
				if
				:: d_step { kick_cpu(me, KICK); res = PICK_STAY_IDLE }; break
				:: latch_take_and_fail(me); t = PICK_STAY_IDLE /* CUSTODY_RETRIES used up */
				fi
			fi
		fi;
		d_step { got[me] = 0; got_fresh[me] = 0; got_same[me] = 0 }
	od;
	skip;
	d_step { got[me] = 0; got_fresh[me] = 0; got_same[me] = 0; t = 0 }
}

/* find_held() or find_other_domain(): the first held task of the owner, or of the next other domain after the cursor, for sibling k. */
inline find_held(domain, k, t)
{
	find_t = 0;
	do
	:: find_t < TASKS && !(state[find_t] == HELD && DOMAIN_OF(find_t) == (domain) && MAY_USE(find_t, k)) -> find_t++
	:: else -> break
	od;
	if
	:: find_t < TASKS -> t = find_t + 1
	:: else -> t = 0
	fi;
	find_t = 0
}

inline find_other_domain(except, k, t)
{
	find_d = 0;
	t = 0;
	do
	:: find_d < DOMAINS && !t ->
		if
		:: (cursor + find_d) % DOMAINS + 1 != (except) -> find_held((cursor + find_d) % DOMAINS + 1, k, t)
		:: else
		fi;
		find_d++
	:: else -> break
	od;
	find_d = 0
}
HIDDEN byte find_t, find_d;

/* run_alone(): res is RUN_OK, RUN_DENIED or RUN_ABSENT. An absent task is asked for again. */
inline run_alone(me, t, res)
{
	run_task(me, (t - 1), 0, res);
	d_step {
		if
		:: res == RUN_OK -> slice_inf[t - 1] = 0; cursor = DOMAIN_OF(t - 1)
		:: res == RUN_ABSENT -> kick_cpu(me, KICK)
		:: else
		fi
	}
}

#ifdef PINNED
/* able_waiters(): siblings that wait for the core, and can come; into `able`. */
inline able_waiters(me)
{
	able_k = 0;
	able = 0;
	do
	:: able_k < SIBLINGS ->
		if
		:: able_k != me && (WAITERS & (1 << able_k)) && curr[able_k] != HIGHER && !inactive[able_k] -> able = able | (1 << able_k)
		:: else
		fi;
		able_k++
	:: else -> break
	od;
	able_k = 0
}
HIDDEN byte able_k, able;

/* Beside busy siblings: the core is to become empty, for a sibling that waits. Then res is PICK_STAY_IDLE. */
inline empty_for_waiters(me, prev_ok, res)
{
#ifndef BUG_TURNS_WITH_ITSELF
	able_waiters(me);
	if
	:: able -> prev_ok = 0; res = PICK_STAY_IDLE
	:: else
	fi;
	able = 0
#else
	skip
#endif
}

/* leave_core() */
inline leave_core(me, prev_ok, res)
{
#ifndef BUG_TURNS_WITH_ITSELF
	able_waiters(me);
	if
	:: able && !(BUSY & ~(1 << me)) -> left_to = able; prev_ok = 0; res = PICK_STAY_IDLE
	:: else
	fi;
	able = 0
#else
	skip
#endif
}

/* ghost_dispatch() as it begins: left is 1 if the core was left to others, 2 if to this CPU. */
inline take_left(me, left)
{
	left = (left_to -> (left_to & (1 << me) -> 2 : 1) : 0);
#ifdef BUG_LEFT_AND_FORGOTTEN
	left_to = left_to & ~(1 << me)
#endif
}

/*
 * And as it ends; taken is whether a task was taken or the previous one goes on. Who found the core left to this CPU took nothing, and does
 * not wait for it either, so it has to look again. Denied, this CPU is a waiter, and its turn is still to come.
 */
inline end_left(me, taken, prev_ok, left, res)
{
	denied = (res == RUN_DENIED);
	if
	:: !(taken) && left != 1 -> leave_core(me, prev_ok, res)
	:: else
	fi;
	if
#ifdef BUG_LEFT_AND_FORGOTTEN
	:: left == 2 && !(taken) -> kick_siblings(255 & ~(1 << me), KICK)
#else
	:: left == 2 && !denied -> left_to = left_to & ~(1 << me); kick_siblings(255 & ~(1 << me), KICK)
#endif
	:: else
	fi;
	denied = 0
}
HIDDEN byte denied;
#define LEFT_TO_OTHERS (left == 1)
#else
#define empty_for_waiters(me, prev_ok, res) skip
#define leave_core(me, prev_ok, res) skip
#define LEFT_TO_OTHERS false
#endif

/*
 * pick_alone(). One step decides what to try, from one look at the word and the tasks; prev_ok says whether the previous task may go on if
 * that comes to nothing.
 */
inline pick_alone(me, prev_ok, t, res)
{
	d_step {
		res = PICK_NONE;
		t = 0;
		if
		:: LEFT_TO_OTHERS -> prev_ok = 0
		:: !LEFT_TO_OTHERS && (BUSY & ~(1 << me)) ->
			if
			:: over -> find_other_domain(OWNER, me, t)
			:: else
			fi;
			if
			:: t -> others = BUSY & ~(1 << me) & 255
			:: !t && over -> empty_for_waiters(me, prev_ok, res)
			:: else
			fi;
			if
			:: !t && res == PICK_NONE -> find_held(OWNER, me, t)
			:: else
			fi;
#ifndef BUG_PICK_WITHOUT_WAITING
			if
			:: !t && !prev_ok && res == PICK_NONE ->
				find_other_domain(OWNER, me, t) /* denied, this CPU is a waiter: its siblings may be leaving */
			:: else
			fi
#endif
		:: else ->
			if
			:: !over ->
				find_held(OWNER, me, t);
				if
				:: !t && prev_ok -> res = PICK_STAY_IDLE /* the owner's only task goes on */
				:: else
				fi
			:: else
			fi;
			if
			:: !t && res == PICK_NONE -> find_other_domain(OWNER * (over && prev_ok), me, t)
			:: else
			fi;
			if
			:: !t && res == PICK_NONE && over -> leave_core(me, prev_ok, res)
			:: else
			fi;
			if
			:: !t && res == PICK_NONE -> find_held(OWNER, me, t)
			:: else
			fi
		fi
	};
	if
	:: t ->
		run_alone(me, t, res);
		if
		:: res != RUN_OK && others -> d_step { prev_ok = 0; kick_siblings(others, KICK_PREEMPT); others = 0 }
		:: else -> others = 0
		fi
	:: else
	fi
}
