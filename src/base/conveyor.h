/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A thread that works through what another one hands to it, in order, with a bounded number of pieces between
 * them: the second shape of threads beside parallel.h, for stages of one stream.
 *
 *	conveyor_slot() → fill it → conveyor_send(), again
 *	conveyor_finish() waits for the last one
 *
 * One thread fills, one works. The slots' bytes are the only thing that they share.
 */
#ifndef BASE_CONVEYOR_H
#define BASE_CONVEYOR_H

#include "base/macro.h"

/* Works on a slot. Returns 0, or a negative errno: then no other is worked on. */
typedef int (*conveyor_fn)(void *arg, void *slot);

struct conveyor;

/* @nr_slots: that can wait, each of @slot_size bytes. 1, or no thread to be had: conveyor_send() does the work
 * itself. Returns 0 or -ENOMEM. */
int conveyor_new(unsigned int nr_slots, size_t slot_size, conveyor_fn fn, void *arg,
		 struct conveyor **ret);

/* Ends the thread; what it has not begun is dropped. NULL is fine. */
void conveyor_free(struct conveyor *c);

DEFINE_CLEANUP(struct conveyor *, conveyor, conveyor_free)

/* A slot to be filled, the same until it is sent; waits for one. NULL: the work has failed. */
void *conveyor_slot(struct conveyor *c);
void conveyor_send(struct conveyor *c);

/* Waits until all that was sent is done. Returns 0, or what the work returned when it failed. */
int conveyor_finish(struct conveyor *c);

#endif
