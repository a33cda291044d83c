/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Threads: one shape, a loop over independent indices. */
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
