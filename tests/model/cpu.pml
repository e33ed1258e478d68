/* SPDX-License-Identifier: Apache-2.0 */
/* A CPU: the kernel's __schedule() with sched_ext's pick, and the callbacks where it makes them. */

/* ghost_dispatch() without threads of no enclave. */
inline dispatch(me)
{
	if
	:: agent && !stalled ->
		prev_ok = prev_ok && claim[me] == prev;
		pick_latched(me, t, res);
		if
		:: d_step { res == PICK_NONE && prev_ok && slice_inf[prev - 1] && claim[me] == prev -> slice[prev - 1] = SLICE_INF } /* keep_prev() */
		:: else
		fi
	:: else ->
		prev_ok = prev_ok && claim[me] == prev;
		pick_alone(me, prev_ok, t, res);
		if
		:: d_step { res != RUN_OK && prev_ok && claim[me] == prev -> slice[prev - 1] = SLICE_ENDS; slice_inf[prev - 1] = 0 } /* keep_prev() */
		:: else
		fi
	fi;
	d_step { res = 0; t = 0; others = 0 }
}

proctype Cpu(byte me)
{
	byte prev, next, t, res, was, others;
	bit queued, prev_ok, ready;

rest:
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
	:: d_step { kick[me] && (curr[me] == HIGHER || offline[me]) -> kick[me] = 0 }; goto rest /* the kernel skips such a kick */
	:: d_step { !lock[me] && IS_TASK(curr[me]) && slice[curr[me] - 1] == SLICE_ENDS -> /* the tick ends the slice */
		lock[me] = 1; prev = curr[me]; queued = 1; slice[prev - 1] = SLICE_OVER }
	:: d_step { !lock[me] && IS_TASK(curr[me]) -> lock[me] = 1; prev = curr[me] }; /* the task sleeps or exits */
		stopping(me, (prev - 1));
		quiescent((prev - 1), was)
#ifndef NO_HIGHER
	:: d_step { !lock[me] && !higher[me] && !offline[me] && CHAOS_LEFT -> /* a task of a higher class wakes */
		SPEND_CHAOS; lock[me] = 1; higher[me] = 1; prev = curr[me]; queued = IS_TASK(prev) }
	:: d_step { !lock[me] && curr[me] == HIGHER -> lock[me] = 1; higher[me] = 0; prev = HIGHER } /* and sleeps */
#endif
	fi;

pick:
	/* pick_task(), balance_one() */
	if
	:: higher[me] -> next = HIGHER
	:: else ->
		if
		:: queued && slice[prev - 1] != SLICE_OVER -> goto keep
		:: else
		fi;
		if
		:: !local0[me] && !inactive[me] ->
			prev_ok = queued;
			dispatch(me);
			prev_ok = 0;
			if
			:: higher[me] -> goto pick /* it woke while the lock was dropped */
			:: else
			fi;
			if
			:: queued && slice[prev - 1] != SLICE_OVER -> goto keep
			:: else
			fi
		:: else
		fi;
		next = local0[me]
	fi;

	/* put_prev_task() */
	if
	:: next == HIGHER && prev == HIGHER -> goto keep
	:: queued ->
		stopping(me, (prev - 1));
		if
		:: d_step { slice[prev - 1] != SLICE_OVER -> local_push_head(me, (prev - 1)) } /* waits there, unasked */
		:: else -> enqueue((prev - 1), me, was)
		fi;
		if
		:: inactive[me] && next == IDLE_TASK -> next = local0[me]
		:: else
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

	/* ghost_sched_switch() */
	d_step {
		if
		:: next == prev /* the same task again: no switch */
		:: else ->
			curr[me] = next;
			if
			:: IS_TASK(next) -> core_switch_in(me, DOMAIN_OF(next - 1))
			:: else -> core_switch_out(me)
			fi;
			check_isolation();
			assert(!res_breach || 1)
		fi
	};
keep:
	atomic { prev = 0; next = 0; queued = 0; prev_ok = 0; lock[me] = 0 };
	goto rest
}
