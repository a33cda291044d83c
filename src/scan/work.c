/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Who does what.
 *
 * A worker takes its own newest task, so that it goes down the tree with few directories open and few
 * tasks waiting. When others have none, it puts its oldest into the pool: the one that is highest up
 * and likely has most below it.
 */
#include <errno.h>

#include "scan/scan-internal.h"
#include "sys/place.h"

#define PROGRESS_NS 100000000 /* between two reports while there is nothing to do */

int task_push(struct task_stack *s, struct scan_task task)
{
	if (s->end == s->size) {
		size_t nr = s->end - s->oldest;
		size_t size = MAX(2 * nr, (size_t)64);
		struct scan_task *tasks = (struct scan_task *)malloc(size * sizeof(*tasks));

		if (!tasks)
			return -ENOMEM;
		if (nr)
			memcpy(tasks, s->tasks + s->oldest, nr * sizeof(*tasks));
		free(s->tasks);
		*s = (struct task_stack){.tasks = tasks, .end = nr, .size = size};
	}
	s->tasks[s->end++] = task;
	return 0;
}

void task_stack_fini(struct task_stack *s)
{
	free(s->tasks);
	*s = (struct task_stack){0};
}

static bool take_newest(struct task_stack *s, struct scan_task *ret)
{
	if (s->oldest == s->end)
		return false;
	*ret = s->tasks[--s->end];
	if (s->oldest == s->end)
		s->oldest = s->end = 0;
	return true;
}

static bool take_oldest(struct task_stack *s, struct scan_task *ret)
{
	if (s->oldest == s->end)
		return false;
	*ret = s->tasks[s->oldest++];
	return true;
}

/* Gives the oldest task away if somebody waits for one. */
static int share(struct worker *w)
{
	struct scan *scan = w->scan;
	struct scan_task task;
	int r = 0;

	if (atomic_load_explicit(&scan->hungry, memory_order_relaxed) <= 0 ||
	    w->tasks.end - w->tasks.oldest < 2 || !take_oldest(&w->tasks, &task))
		return 0;

	pthread_mutex_lock(&scan->lock);
	r = task_push(&scan->pool, task);
	if (!r)
		atomic_fetch_sub(&scan->hungry, 1);
	pthread_cond_signal(&scan->more);
	pthread_mutex_unlock(&scan->lock);
	return r < 0 ? scan_out_of_memory(w) : 0;
}

/* Waits for more in the pool; the caller's thread, which reports progress, not for long. */
static void wait_for_more(struct worker *w)
{
	struct scan *scan = w->scan;
	struct timespec until;

	if (w->id || !scan->options->progress) {
		pthread_cond_wait(&scan->more, &scan->lock);
		return;
	}
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += PROGRESS_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	(void)pthread_cond_timedwait(&scan->more, &scan->lock, &until);
	pthread_mutex_unlock(&scan->lock);
	(void)scan_progress(w);
	pthread_mutex_lock(&scan->lock);
}

/* Waits for a task from the pool. Returns false when there will be none. */
static bool wait_for_task(struct worker *w, struct scan_task *ret)
{
	struct scan *scan = w->scan;
	bool found;

	pthread_mutex_lock(&scan->lock);
	atomic_fetch_add(&scan->hungry, 1);
	while (!(found = take_oldest(&scan->pool, ret)) && atomic_load(&scan->unfinished) &&
	       !atomic_load(&scan->stop))
		wait_for_more(w);
	if (scan->pool.oldest == scan->pool.end)
		scan->pool.oldest = scan->pool.end = 0;
	pthread_mutex_unlock(&scan->lock);
	return found;
}

bool on_ordinary(struct worker *w, dev_t dev, int fd)
{
	if (dev != w->dev) {
		w->dev = dev;
		w->dev_ordinary = place_is_ordinary(fd);
		if (w->scan->cache)
			cache_enter(w, dev, fd);
	}
	return w->dev_ordinary;
}

static int gather_entries(struct worker *w, const struct scan_task *task)
{
	int dirfd = chain_open(w, task->dir, NULL);
	int r;

	if (dirfd < 0)
		return scan_fail_errno(w, task->dir->node, dirfd, "open");
	w->ordinary = on_ordinary(w, task->dir->dev, dirfd);
	(void)clock_gettime(CLOCK_REALTIME_COARSE, &w->since);
	for (size_t i = 0; i < task->nr; i++) {
		if (scan_skips(w, task->nodes[i]))
			continue;
		r = gather_entry(w, dirfd, task->nodes[i]);
		if (r < 0)
			return r;
	}
	return scan_progress(w);
}

static void finish_task(struct scan *scan)
{
	if (atomic_fetch_sub(&scan->unfinished, 1) > 1)
		return;
	pthread_mutex_lock(&scan->lock);
	pthread_cond_broadcast(&scan->more);
	pthread_mutex_unlock(&scan->lock);
}

static void own_descriptors(const struct scan *scan)
{
	const struct scan_sink *sink = scan->sink;
	int keep[2 + SCAN_SINK_FDS_MAX] = {scan->root_fd, sink ? sink->dirfd : scan->root_fd};
	unsigned int nr = sink ? sink->nr_fds : 0;

	if (nr)
		memcpy(keep + 2, sink->fds, nr * sizeof(*keep));
	place_own_descriptors(keep, 2 + nr);
}

int worker_run(struct worker *w)
{
	struct scan *scan = w->scan;
	struct scan_task task;
	int r = 0;

	if (w->id)
		own_descriptors(scan);
	while (!atomic_load_explicit(&scan->stop, memory_order_relaxed)) {
		if (!take_newest(&w->tasks, &task)) {
			r = content_flush(w);
			if (r < 0 || !wait_for_task(w, &task))
				break;
		}
		r = share(w);
		if (r < 0)
			break;
		if (task.nodes)
			r = gather_entries(w, &task);
		else if (!scan_skips(w, task.dir->node))
			r = list_directory(w, task.dir);
		if (r < 0)
			break;
		finish_task(scan);
	}
	/* Here and not where the worker is freed: these are descriptors of this thread. */
	chain_close(w);
	return r;
}
