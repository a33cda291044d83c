/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Early write-back: a thread that does one syncfs and is gone, whenever enough has come together.
 *
 *  1. It has a descriptor of its own: the kernel tells a failed write once to each opened file, and the one of
 *     store_sync() must hear of it.
 *  2. There is one at a time, so that a slow disk has fewer of them.
 */
#include "store/early.h"

#include <fcntl.h>
#include <unistd.h>

#include "sys/place.h"

#define ENOUGH      ((uint64_t)64 << 20) /* bytes */
#define OBJECT_COST 8192 /* bytes that might as well have been written for its inode and name */

struct order {
	struct early *early;
	int objects;
};

static void *write_back(void *arg)
{
	struct order order = *(struct order *)arg;
	cleanup_fd int fd = -1;

	free(arg);
	/* Who started it wants his table of descriptors for himself again. */
	place_own_descriptors(&order.objects, 1);
	fd = openat(order.objects, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		(void)syncfs(fd);
	atomic_store(&order.early->running, false);
	return NULL;
}

static void start(struct early *e, int objects)
{
	struct order *order;

	if (e->started)
		pthread_join(e->thread, NULL);
	e->started = false;
	order = (struct order *)malloc(sizeof(*order));
	if (!order)
		return;
	*order = (struct order){e, objects};
	atomic_store(&e->running, true);
	e->started = !pthread_create(&e->thread, NULL, write_back, order);
	if (!e->started) {
		atomic_store(&e->running, false);
		free(order);
	}
}

void early_add(struct early *e, int objects, uint64_t size)
{
	const uint64_t cost = size + OBJECT_COST;

	if (atomic_fetch_add_explicit(&e->waiting, cost, memory_order_relaxed) + cost < ENOUGH ||
	    atomic_load_explicit(&e->running, memory_order_relaxed) ||
	    pthread_mutex_trylock(&e->lock))
		return;
	if (!atomic_load(&e->running)) {
		atomic_store_explicit(&e->waiting, 0, memory_order_relaxed);
		start(e, objects);
	}
	pthread_mutex_unlock(&e->lock);
}

void early_end(struct early *e)
{
	if (e->started)
		pthread_join(e->thread, NULL);
	pthread_mutex_destroy(&e->lock);
}
