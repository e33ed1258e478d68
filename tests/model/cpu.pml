/* SPDX-License-Identifier: Apache-2.0 */
/* A CPU: the kernel's __schedule() with sched_ext's pick, and the callbacks where it makes them. */

/* What the pick comes to; also the outcome of a step inside it. */
#define GO_ON 10	/* the previous task goes on, without a switch */
#define TAKE_NEXT 11
#define ASK_AGENT 12	/* ghost_dispatch() with an agent */
#define ASK_CLASS 13	/* ghost_dispatch() without one */

/* pick_task() and balance_one(), inside a step; `asked` is whether dispatch was called already. */
inline pick_task(me, asked)
{
	if
	:: higher[me] -> next = HIGHER; res = (prev == HIGHER -> GO_ON : TAKE_NEXT)
	:: !higher[me] && queued && slice[prev - 1] != SLICE_OVER -> res = GO_ON
	:: else ->
		next = local0[me];
		res = TAKE_NEXT;
		if
		:: !asked && !next && !inactive[me] ->
			res = (CLOSED -> TAKE_NEXT : (agent && !stalled -> ASK_AGENT : ASK_CLASS)); /* closed: ghost_dispatch() takes nothing */
			prev_ok = !CLOSED && queued && claim[me] == prev
		:: else
		fi
	fi
}

proctype Cpu(byte me)
{
	byte prev, next, t, res, was, others;
#ifdef PINNED
	byte left;
#endif
	bit queued, prev_ok;

end_rest:
	/* What brings a CPU to __schedule(). From here on it holds its lock. */
	if
	:: d_step { !lock[me] && kick[me] && curr[me] != HIGHER && !offline[me] -> /* kick_one_cpu() */
		lock[me] = 1;
		prev = curr[me];
		queued = IS_TASK(prev);
		if
		:: queued && kick[me] == KICK_PREEMPT -> slice[prev - 1] = SLICE_OVER
		:: else
		fi;
		kick[me] = 0 }
	:: d_step { kick[me] && (curr[me] == HIGHER || offline[me]) -> kick[me] = 0 }; goto end_rest /* the kernel skips such a kick */
	:: d_step { !lock[me] && IS_TASK(curr[me]) && slice[curr[me] - 1] == SLICE_ENDS -> /* the tick ends the slice */
		lock[me] = 1; prev = curr[me]; queued = 1; slice[prev - 1] = SLICE_OVER }
	:: d_step { !lock[me] && IS_TASK(curr[me]) && SLEEP_LEFT -> lock[me] = 1; prev = curr[me]; SPEND_SLEEP }; /* the task sleeps or exits */
		stopping(me, (prev - 1));
		quiescent((prev - 1), was)
#ifndef NO_HIGHER
	:: d_step { !lock[me] && !higher[me] && !offline[me] && CHAOS_LEFT -> /* a task of a higher class wakes */
		SPEND_CHAOS; lock[me] = 1; higher[me] = 1; prev = curr[me]; queued = IS_TASK(prev) }
	:: d_step { !lock[me] && curr[me] == HIGHER -> lock[me] = 1; higher[me] = 0; prev = HIGHER } /* and sleeps */
#endif
	fi;

	d_step {
		pick_task(me, false);
		if
		/* claim_drop_stale() has nothing to do: only a thread of no enclave leaves a claim behind. */
		:: (res == ASK_AGENT || res == ASK_CLASS) && claim[me] && claim[me] != prev * queued -> assert(no_stale_claim)
		:: else
		fi;
#ifdef PINNED
		if
		:: res == ASK_CLASS -> take_left(me, left)
		:: else
		fi
#endif
	};
	if
	:: res == ASK_AGENT ->
		pick_latched(me, t, res);
		d_step {
			if
			:: res == PICK_NONE && prev_ok && claim[me] == prev && slice_inf[prev - 1] -> slice[prev - 1] = SLICE_INF /* keep_prev() */
			:: else
			fi;
			t = 0; prev_ok = 0;
			pick_task(me, true)
		}
	:: res == ASK_CLASS ->
#ifndef BUG_LATCH_WITHOUT_AGENT
		give_up_latch(me);
#endif
		pick_alone(me, prev_ok, t, res);
		d_step {
			if
			:: res != RUN_OK && prev_ok && claim[me] == prev -> slice[prev - 1] = SLICE_ENDS; slice_inf[prev - 1] = 0 /* keep_prev() */
			:: else
			fi;
#ifdef PINNED
			end_left(me, res == RUN_OK || (prev_ok && claim[me] == prev), prev_ok, left, res);
			left = 0;
#endif
			t = 0; prev_ok = 0;
			pick_task(me, true)
		}
	:: else
	fi;

	if
	:: res == GO_ON -> d_step { prev = 0; next = 0; queued = 0; res = 0; lock[me] = 0 }; goto end_rest
	:: else -> res = 0
	fi;

	/* put_prev_task() */
	if
	:: queued ->
		stopping(me, (prev - 1));
		if
		:: d_step { slice[prev - 1] != SLICE_OVER -> local_push_head(me, (prev - 1)) } /* waits there, unasked */
		:: slice[prev - 1] == SLICE_OVER -> enqueue((prev - 1), me, was)
		fi
	:: else
	fi;

	/* set_next_task() */
	if
	:: IS_TASK(next) ->
		d_step {
			local_remove(me, (next - 1));
			if
			:: slice[next - 1] == SLICE_OVER -> slice[next - 1] = SLICE_ENDS
			:: else
			fi
		};
		running(me, (next - 1), was)
	:: else
	fi;

	/* ghost_sched_switch(), and the end of __schedule() */
	d_step {
		if
		:: next == prev /* idle again: no switch */
		:: else ->
			curr[me] = next;
#ifdef PINNED
			if
			:: next == HIGHER && (left_to & (1 << me)) -> /* switch_availability(): it cannot come */
				left_to = left_to & ~(1 << me);
				kick_siblings(255 & ~(1 << me), KICK)
			:: else
			fi;
#endif
			if
			:: IS_TASK(next) -> core_switch_in(me, DOMAIN_OF(next - 1))
			:: else -> core_switch_out(me)
			fi;
			check_isolation()
		fi;
		if
		:: local0[me] && next == IDLE_TASK -> kick_cpu(me, KICK)
		:: else
		fi;
		prev = 0; next = 0; queued = 0; lock[me] = 0
	};
	goto end_rest
}
