/* SPDX-License-Identifier: Apache-2.0 */
/* The class's own transitions for the checker that spin makes from the model; TAKE() puts one into effect. */
#ifndef CORRAL_TESTS_MODEL_GATE_H_
#define CORRAL_TESTS_MODEL_GATE_H_

#include "kernel/abi/core_word.h"

/* Arguments and results are hidden variables, except in a breadth-first search, which knows none. */
#ifdef BFS
#define OF(variable) now.variable
#else
#define OF(variable) variable
#endif

/* The generation counts for ever and nothing depends on it, so it is left out. The word's fields are copied out for the model to read. */
#define TAKE(step)                                                            \
	do {                                                                  \
		now.word = (step).next & ((1ULL << CORE_WORD_GEN_SHIFT) - 1); \
		OF(res_granted) = (step).granted;                             \
		OF(res_changed) = (step).owner_changed;                       \
		OF(res_kick) = (step).kick;                                   \
		OF(res_breach) = (step).breach;                               \
		now.busy_bits = core_word_busy(now.word);                     \
		now.claim_bits = core_word_claims(now.word);                  \
		now.waiter_bits = core_word_waiters(now.word);                \
		now.owner = core_word_owner(now.word);                        \
		now.handover = core_word_handover(now.word);                  \
	} while (0)

#endif /* CORRAL_TESTS_MODEL_GATE_H_ */
