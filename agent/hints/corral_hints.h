/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hints from an application to the agent that schedules it: what its threads are at, by shared
 * memory, so that a hint costs no more than a store.
 *
 * A hint can lower a thread beneath what its weight and nice value make of it, and never raise it.
 * Policies that do not ask for hints (all but shinjuku) take no notice. corral-hints(3) says more.
 *
 * Any thread may call anything here, but nothing while or after the same handle is closed. A child
 * process opens its own.
 */
#ifndef CORRAL_HINTS_H_
#define CORRAL_HINTS_H_

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum corral_hint {
	CORRAL_HINT_NONE = 0,
	CORRAL_HINT_BATCH = 1, /* nobody waits for what it does: it may have CPU time that is left over */
};

struct corral_hints;

/*
 * `enclave` is the name of the enclave that the process is in, or the path of its agent's socket.
 * A thread of the library connects, and does so again whenever there is a new agent; what was hinted
 * is told again then. NULL, with errno, if there is no memory or no thread for that.
 */
struct corral_hints *corral_hints_open(const char *enclave);

/* Whether an agent takes notice at the moment. If not, 0, and `why` has the reason, if it is not NULL; cut off
 * at `size` bytes. */
int corral_hints_connected(struct corral_hints *hints, char *why, size_t size);

/* What the calling thread is at from now on. Counts within a slice of the policy's. */
void corral_hints_set(struct corral_hints *hints, enum corral_hint hint);

/* The same for the thread `tid` of this process, as gettid(2) gives it: without a system call. Counts within a millisecond if that
 * thread waits for a CPU. */
void corral_hints_set_thread(struct corral_hints *hints, pid_t tid, enum corral_hint hint);

/* Nothing is hinted any more. NULL is no handle, and does no harm. */
void corral_hints_close(struct corral_hints *hints);

#ifdef __cplusplus
}
#endif

#endif /* CORRAL_HINTS_H_ */
