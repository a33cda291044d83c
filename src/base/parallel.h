/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Threads: one shape, a loop over independent indices.
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

/* Runs @fn(arg, worker) once in each of @jobs threads, worker 0 in the caller's, and waits for all.
 * Returns 0 or the error of the lowest worker. When threads cannot be made, fewer run. */
int parallel_run(unsigned int jobs, int (*fn)(void *arg, unsigned int worker), void *arg);

#endif
