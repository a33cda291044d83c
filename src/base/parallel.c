/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Threads: one shape, a loop over independent indices, whose results may be taken in order. */
#include "base/parallel.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

struct thread {
	pthread_t id;
	int (*fn)(void *arg, unsigned int worker);
	void *arg;
	unsigned int worker;
	int r;
};

static void *thread_main(void *p)
{
	struct thread *t = (struct thread *)p;

	t->r = t->fn(t->arg, t->worker);
	return NULL;
}

int parallel_run(unsigned int jobs, int (*fn)(void *arg, unsigned int worker), void *arg)
{
	cleanup_free struct thread *threads = NULL;
	unsigned int started = 1;
	int r;

	if (jobs <= 1)
		return fn(arg, 0);

	threads = (struct thread *)calloc(jobs, sizeof(*threads));
	if (!threads)
		return -ENOMEM;

	for (; started < jobs; started++) {
		struct thread *t = &threads[started];

		*t = (struct thread){.fn = fn, .arg = arg, .worker = started};
		if (pthread_create(&t->id, NULL, thread_main, t))
			break;
	}
	r = fn(arg, 0);
	for (unsigned int i = 1; i < started; i++) {
		pthread_join(threads[i].id, NULL);
		if (!r)
			r = threads[i].r;
	}
	return r;
}

struct loop {
	parallel_fn fn;
	void *arg;
	size_t n;
	atomic_size_t next;
	pthread_mutex_t lock; /* over failed and error */
	size_t failed;        /* lowest index that failed, n: none */
	int error;
};

static int loop_worker(void *p, unsigned int worker)
{
	struct loop *l = (struct loop *)p;

	for (;;) {
		size_t i = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed);
		int r;

		if (i >= l->n)
			return 0;
		r = l->fn(l->arg, worker, i);
		if (r >= 0)
			continue;

		pthread_mutex_lock(&l->lock);
		if (i < l->failed) {
			l->failed = i;
			l->error = r;
		}
		pthread_mutex_unlock(&l->lock);
		atomic_store_explicit(&l->next, l->n, memory_order_relaxed);
	}
}

int parallel_for(unsigned int jobs, size_t n, parallel_fn fn, void *arg)
{
	struct loop l = {
		.fn = fn, .arg = arg, .n = n, .failed = n, .lock = PTHREAD_MUTEX_INITIALIZER};
	int r;

	r = parallel_run((unsigned int)MIN((size_t)jobs, n), loop_worker, &l);
	return r < 0 ? r : l.error;
}

struct order {
	parallel_slot_fn make, take;
	void *arg;
	unsigned int nr_slots;

	pthread_mutex_t lock; /* over what follows */
	pthread_cond_t moved; /* taken or failed has changed */
	bool *made;           /* by slot: made and not yet taken */
	size_t next;          /* to be made */
	size_t taken;         /* all below it are */
	bool taking;          /* somebody is */
	size_t failed;        /* lowest index that failed, n: none */
	int error;
};

static void order_fail(struct order *o, size_t i, int r)
{
	if (i < o->failed) {
		o->failed = i;
		o->error = r;
	}
}

/* Takes all that can be taken; under the lock. */
static void order_take(struct order *o, unsigned int worker)
{
	if (o->taking)
		return;
	o->taking = true;
	while (o->taken < o->failed && o->made[o->taken % o->nr_slots]) {
		size_t i = o->taken;
		int r;

		pthread_mutex_unlock(&o->lock);
		r = o->take(o->arg, worker, i, (unsigned int)(i % o->nr_slots));
		pthread_mutex_lock(&o->lock);
		if (r < 0)
			order_fail(o, i, r);
		o->made[i % o->nr_slots] = false;
		o->taken++;
		pthread_cond_broadcast(&o->moved);
	}
	o->taking = false;
}

static int order_worker(void *p, unsigned int worker)
{
	struct order *o = (struct order *)p;

	pthread_mutex_lock(&o->lock);
	for (;;) {
		size_t i;
		int r;

		/* Who takes makes room; when nobody does, somebody is still making what is next. */
		while (o->next < o->failed && o->next - o->taken >= o->nr_slots)
			pthread_cond_wait(&o->moved, &o->lock);
		if (o->next >= o->failed)
			break;
		i = o->next++;
		pthread_mutex_unlock(&o->lock);
		r = o->make(o->arg, worker, i, (unsigned int)(i % o->nr_slots));
		pthread_mutex_lock(&o->lock);
		if (r < 0) {
			order_fail(o, i, r);
			pthread_cond_broadcast(&o->moved);
			continue;
		}
		o->made[i % o->nr_slots] = true;
		order_take(o, worker);
	}
	pthread_mutex_unlock(&o->lock);
	return 0;
}

int parallel_in_order(unsigned int jobs, size_t n, unsigned int nr_slots, parallel_slot_fn make,
		      parallel_slot_fn take, void *arg)
{
	cleanup_free bool *made = NULL;
	struct order o = {.make = make,
			  .take = take,
			  .arg = arg,
			  .nr_slots = nr_slots,
			  .lock = PTHREAD_MUTEX_INITIALIZER,
			  .moved = PTHREAD_COND_INITIALIZER,
			  .failed = n};
	int r;

	made = (bool *)calloc(nr_slots, sizeof(*made));
	if (!made)
		return -ENOMEM;
	o.made = made;
	r = parallel_run((unsigned int)MIN((size_t)jobs, n), order_worker, &o);
	pthread_cond_destroy(&o.moved);
	pthread_mutex_destroy(&o.lock);
	return r < 0 ? r : o.error;
}
