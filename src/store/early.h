/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Writing to the disk what is in the store while more of it is being made, so that the syncfs at the end finds
 * little to do. It promises nothing: what is durable, and what failed, store_sync() alone tells.
 */
#ifndef STORE_EARLY_H
#define STORE_EARLY_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/macro.h"

struct early {
	_Atomic uint64_t
		waiting; /* bytes since the last one began, and what an object costs besides */
	atomic_bool running;
	pthread_mutex_t lock; /* over what follows */
	bool started;         /* @thread is to be joined */
	pthread_t thread;
};

#define EARLY_INIT ((struct early){.lock = PTHREAD_MUTEX_INITIALIZER})

/* Another object of @size bytes is in @objects, the directory of all. Any number of threads. */
void early_add(struct early *e, int objects, uint64_t size);

/* Waits for what is at work. */
void early_end(struct early *e);

#endif
