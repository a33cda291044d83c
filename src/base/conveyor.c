/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A thread that works through what another one hands to it.
 *
 *  1. Slots are used in turn. Those from `done` to `sent` (modulo their number) belong to the worker, the others
 *     to who fills them.
 *  2. After a failure nothing is worked on any more, and nobody waits.
 */
#include "base/conveyor.h"

#include <errno.h>
#include <pthread.h>

struct conveyor {
	unsigned int nr_slots;
	size_t slot_size;
	conveyor_fn fn;
	void *arg;
	char *slots;
	bool threaded;
	pthread_t thread;

	pthread_mutex_t lock; /* over all below */
	pthread_cond_t moved;
	uint64_t sent, done;
	bool stop;
	int error;
};

static void *slot_at(struct conveyor *c, uint64_t i)
{
	return c->slots + (size_t)(i % c->nr_slots) * c->slot_size;
}

static void *work(void *p)
{
	struct conveyor *c = (struct conveyor *)p;
	int r;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		while (c->done == c->sent && !c->stop)
			pthread_cond_wait(&c->moved, &c->lock);
		if (c->stop || c->error)
			break;
		pthread_mutex_unlock(&c->lock);
		r = c->fn(c->arg, slot_at(c, c->done));
		pthread_mutex_lock(&c->lock);
		c->error = MIN(r, 0);
		c->done++;
		pthread_cond_broadcast(&c->moved);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

int conveyor_new(unsigned int nr_slots, size_t slot_size, conveyor_fn fn, void *arg,
		 struct conveyor **ret)
{
	struct conveyor *c = (struct conveyor *)calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	*c = (struct conveyor){.nr_slots = MAX(nr_slots, 1u),
			       .slot_size = slot_size,
			       .fn = fn,
			       .arg = arg,
			       .lock = PTHREAD_MUTEX_INITIALIZER,
			       .moved = PTHREAD_COND_INITIALIZER};
	c->slots = (char *)calloc(c->nr_slots, slot_size);
	if (!c->slots) {
		free(c);
		return -ENOMEM;
	}
	c->threaded = c->nr_slots > 1 && !pthread_create(&c->thread, NULL, work, c);
	*ret = c;
	return 0;
}

void conveyor_free(struct conveyor *c)
{
	if (!c)
		return;
	if (c->threaded) {
		pthread_mutex_lock(&c->lock);
		c->stop = true;
		pthread_cond_broadcast(&c->moved);
		pthread_mutex_unlock(&c->lock);
		pthread_join(c->thread, NULL);
	}
	pthread_cond_destroy(&c->moved);
	pthread_mutex_destroy(&c->lock);
	free(c->slots);
	free(c);
}

void *conveyor_slot(struct conveyor *c)
{
	void *slot;

	pthread_mutex_lock(&c->lock);
	while (!c->error && c->sent - c->done == c->nr_slots)
		pthread_cond_wait(&c->moved, &c->lock);
	slot = c->error ? NULL : slot_at(c, c->sent);
	pthread_mutex_unlock(&c->lock);
	return slot;
}

void conveyor_send(struct conveyor *c)
{
	if (!c->threaded) {
		int r = c->error ? 0 : c->fn(c->arg, slot_at(c, c->sent));

		if (r < 0)
			c->error = r;
		c->sent++;
		c->done++;
		return;
	}
	pthread_mutex_lock(&c->lock);
	c->sent++;
	pthread_cond_broadcast(&c->moved);
	pthread_mutex_unlock(&c->lock);
}

int conveyor_finish(struct conveyor *c)
{
	int r;

	pthread_mutex_lock(&c->lock);
	while (!c->error && c->done != c->sent)
		pthread_cond_wait(&c->moved, &c->lock);
	r = c->error;
	pthread_mutex_unlock(&c->lock);
	return r;
}
