/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Threads: one shape, a loop over independent indices, whose results may be taken in order.
 *
 * With jobs 0 or 1 everything runs in the caller's thread, in order. Results go to slots indexed by
 * i, so that output does not depend on the number of threads.
 */
#ifndef BASE_PARALLEL_H
#define BASE_PARALLEL_H

#include "base/macro.h"

/* @worker: 0 to jobs-1, which thread this is. Returns 0, or a negative errno that stops the loop:
 * indices not yet begun are then skipped. */
typedef int (*parallel_fn)(void *arg, unsigned int worker, size_t i);

/* Calls @fn for every i below @n from @jobs threads, the caller's among them. Returns 0 or the error
 * of the lowest index that failed. */
int parallel_for(unsigned int jobs, size_t n, parallel_fn fn, void *arg);

/* Threads that a pure room is lent, which starts none itself: {jobs, parallel_for}. All zero: none. */
struct team {
	unsigned int jobs;
	int (*each)(unsigned int jobs, size_t n, parallel_fn fn, void *arg);
};

/* Calls @fn for every i below @n with the threads of @t; workers are 0 to team_jobs()-1. Returns as
 * parallel_for(). */
static inline int team_each(const struct team *t, size_t n, parallel_fn fn, void *arg)
{
	int r = 0;

	if (t->each && n > 1)
		return t->each(t->jobs, n, fn, arg);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = fn(arg, 0, i);
	return MIN(r, 0);
}

static inline unsigned int team_jobs(const struct team *t)
{
	return t->each && t->jobs ? t->jobs : 1;
}

/* @slot: i modulo the number of slots. */
typedef int (*parallel_slot_fn)(void *arg, unsigned int worker, size_t i, unsigned int slot);

/* The same with results that go on from here in order: @make is called for every i below @n as in
 * parallel_for(), and @take after it for each i, in order, by one thread at a time. Whichever thread
 * made the result that is next takes it, and those that wait behind it. A slot is used again when its
 * result was taken, so @nr_slots bounds what waits; twice @jobs keeps everybody busy.
 * Returns 0 or the error of the lowest index that failed; nothing from there on is taken. */
int parallel_in_order(unsigned int jobs, size_t n, unsigned int nr_slots, parallel_slot_fn make,
		      parallel_slot_fn take, void *arg);

/* Runs @fn(arg, worker) once in each of @jobs threads, worker 0 in the caller's, and waits for all.
 * Returns 0 or the error of the lowest worker. When threads cannot be made, fewer run. */
int parallel_run(unsigned int jobs, int (*fn)(void *arg, unsigned int worker), void *arg);

#endif
