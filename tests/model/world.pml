/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a core from outside: tasks wake, change, leave and come; time passes; a sibling goes offline. */

#define ON_CPU(t) (task_cpu[t] < SIBLINGS && curr[task_cpu[t]] == (t) + 1)
#define IN_LOCAL(t) (task_cpu[t] < SIBLINGS && (local0[task_cpu[t]] == (t) + 1 || local1[task_cpu[t]] == (t) + 1))
#define RQ_FREE(t) (!lock[task_cpu[t]])

/* The scheduler sends a wakened or moved task to another CPU when its own is on the way down. */
inline choose_cpu(t)
{
	if
	:: task_cpu[t] < SIBLINGS && (inactive[task_cpu[t]] || offline[task_cpu[t]]) -> task_cpu[t] = OUTSIDE
	:: else
	fi
}

/* Two ways of taking one lock, since a task that is moved changes its run queue. */
inline lock_of(t)
{
	rq = task_cpu[t];
	lock[rq] = 1
}

inline unlock()
{
	d_step { lock[rq] = 0; rq = 0; t = 0; was = 0 }
}

#define WAKE(n) \
	:: d_step { (n) < TASKS && state[n] == BLOCKED && !ON_CPU(n) && !IN_LOCAL(n) && (RQ_FREE(n) || inactive[task_cpu[n]]) && !lock[OUTSIDE] -> \
		t = n; choose_cpu(t); lock_of(t) }; \
		goto wake

#define CHANGE(n) \
	:: d_step { (n) < TASKS && CHAOS_LEFT && (ON_CPU(n) || IN_LOCAL(n) || custody[n] || moving[n]) && state[n] != BLOCKED && RQ_FREE(n) -> \
		SPEND_CHAOS; t = n; lock_of(t) }; \
		goto change

#define LEAVE(n) \
	:: d_step { (n) < TASKS && CHAOS_LEFT && state[n] == BLOCKED && !ON_CPU(n) && RQ_FREE(n) -> \
		SPEND_CHAOS; state[n] = NONE; raise_barrier(n) } /* ghost_disable() */ \
	:: d_step { (n) < TASKS && state[n] == NONE -> state[n] = BLOCKED; raise_barrier(n); task_cpu[n] = HOME(n) } /* slot_fill() */

#ifdef MIGRATE
/*
 * The stopper moves a task that it has preempted, whose affinity was changed while it ran: it stays on that CPU, here by holding its lock, and
 * the claim is given up by the enqueue elsewhere, under that other lock.
 */
#define MOVE(n) \
	:: d_step { (n) < TASKS && IN_LOCAL(n) && curr[task_cpu[n]] == HIGHER && RQ_FREE(n) && !lock[OUTSIDE] -> \
		t = n; lock_of(t); lock[OUTSIDE] = 1; local_remove(rq, t); task_cpu[t] = OUTSIDE }; \
		goto move
#endif

#if TASKS == 2
#define EACH(what) what(0) what(1)
#elif TASKS == 3
#define EACH(what) what(0) what(1) what(2)
#else
#define EACH(what) what(0) what(1) what(2) what(3)
#endif

proctype World()
{
	byte t, rq, was;

end_next:
	if
	EACH(WAKE)
#ifndef NO_CHANGE
	EACH(CHANGE)
#endif
#ifndef NO_LEAVE
	EACH(LEAVE)
#endif
#ifdef MIGRATE
	EACH(MOVE)
#endif
	fi;
	goto end_next;

wake:
	enqueue(t, rq, was);
	d_step { /* wakeup_preempt() */
		if
		:: rq < SIBLINGS && curr[rq] == IDLE_TASK -> kick_cpu(rq, KICK)
		:: else
		fi
	};
	unlock();
	goto end_next;

#ifndef NO_CHANGE
change: /* nice or affinity: the kernel takes the task off its run queue and puts it back */
	if
	:: rq < SIBLINGS && curr[rq] == t + 1 ->
		stopping(rq, t);
		quiescent(t, was);
		running(rq, t, was) /* put back in place: no enqueue */
	:: else ->
		d_step {
			if
			:: rq < SIBLINGS -> local_remove(rq, t)
			:: else
			fi;
			custody[t] = 0;
			moving[t] = 0
		};
		quiescent(t, was);
		enqueue(t, rq, was)
	fi;
	unlock();
	goto end_next;
#endif

#ifdef MIGRATE
move:
	enqueue(t, OUTSIDE, was);
	d_step { lock[OUTSIDE] = 0; lock[rq] = 0; rq = 0; t = 0; was = 0 };
	goto end_next
#endif
}

proctype Time()
{
end_time:
	do
	:: d_step { !over && (!agent || stalled) -> over = 1 }
	od
}

#ifdef HOTPLUG
/*
 * The last sibling goes away and comes back. The class closes the core when the kernel begins (ghost_cpuhp_enter), because on a CPU on its way
 * down the kernel asks nobody, and opens it when the sibling is gone.
 */
#define GOES (SIBLINGS - 1)
#define STAY (255 & ~(1 << GOES))
#if SIBLINGS == 2
#define CLOSED_TO_ALL (!lock[0] && !lock[1] && !dropped[0] && !dropped[1] && kick[0] != KICK_PREEMPT)
#else
#define CLOSED_TO_ALL \
	(!lock[0] && !lock[1] && !lock[2] && !dropped[0] && !dropped[1] && !dropped[2] && kick[0] != KICK_PREEMPT && kick[1] != KICK_PREEMPT)
#endif
#ifdef PINNED
#define FORGET_LEFT left_to = 0;
#else
#define FORGET_LEFT
#endif
#define HELD_ON_GOES(n) (task_cpu[n] == GOES && custody[n])
#define IN_ITS_QUEUE(n) (task_cpu[n] == GOES && (custody[n] || moving[n]))

/* The kernel tells of a migration only at its end. */
inline push_away(t, was)
{
	task_cpu[t] = OUTSIDE;
	enqueue(t, OUTSIDE, was);
	d_step { lock[GOES] = 0; lock[OUTSIDE] = 0; t = 0 }
}

proctype Hotplug()
{
	byte t, was;

down:
	skip;
	d_step {
		closed = 1;
		FORGET_LEFT
		kick_siblings(255, KICK_PREEMPT) /* what runs on the one that goes is preempted by the thread that takes it down */
	};
	/* The CPU waits for its siblings (core_await_siblings()), though not for a pick that found the core open: that is over by now. */
	d_step { CLOSED_TO_ALL -> inactive[GOES] = 1 };
	/* balance_push() takes one task after the other away; what is held in that run queue leaves it to another core, or by the guard. */
	do
	:: d_step { !lock[GOES] && local0[GOES] && local0[GOES] != curr[GOES] && !lock[OUTSIDE] ->
		lock[GOES] = 1; lock[OUTSIDE] = 1; t = local0[GOES] - 1; local_remove(GOES, t) };
		push_away(t, was)
	:: d_step { !lock[GOES] && (HELD_ON_GOES(0) || HELD_ON_GOES(1)) && !lock[OUTSIDE] ->
		lock[GOES] = 1; lock[OUTSIDE] = 1; t = (HELD_ON_GOES(0) -> 0 : 1); custody[t] = 0 };
		push_away(t, was)
	:: d_step { !lock[GOES] && curr[GOES] == IDLE_TASK && !local0[GOES] && !IN_ITS_QUEUE(0) && !IN_ITS_QUEUE(1) ->
		offline[GOES] = 1;
		if
		:: claim[GOES] -> claim_release(GOES, (claim[GOES] - 1))
		:: else
		fi;
		assert(!(BUSY & (1 << GOES))) };
		break
	od;
	skip;
	d_step { closed = 0; FORGET_LEFT kick_siblings(STAY, KICK_PREEMPT) };

	offline[GOES] = 0;
	d_step { inactive[GOES] = 0; FORGET_LEFT kick_siblings(STAY, KICK_PREEMPT) };
	goto down
}
#endif
