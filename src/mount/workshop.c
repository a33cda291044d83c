/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A place to attach mounts that nobody else sees.
 *
 * Kernels before 6.15 give overlayfs a layer only by a path. A temporary directory for that would need
 * a writable place, would show a half-made tree to everybody, announce it to every shared namespace,
 * and stay behind when we are killed. A mount namespace of our own has none of this. One thread is
 * moved into it: unshare(2) cannot be undone, so it must not be the caller's; and a thread, unlike a
 * child process, shares descriptors and memory, so results need no way back.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>

#include "mount/mount-internal.h"

struct work {
	int (*fn)(void *arg);
	void *arg;
	int result;
	struct cairn_error *err;
};

static int work(struct work *w)
{
	if (unshare(CLONE_NEWNS) < 0)
		return error_errno(w->err, -errno, "unshare the mount namespace");

	/* The copy of a shared mount is its peer; what is attached below it would go to the others. */
	if (mount(NULL, "/proc", NULL, MS_PRIVATE, NULL) < 0)
		return error_errno(w->err, -errno, "make /proc private");
	return w->fn(w->arg);
}

static void *thread(void *arg)
{
	struct work *w = (struct work *)arg;

	w->result = work(w);
	return NULL;
}

int workshop_run(int (*fn)(void *arg), void *arg, struct cairn_error *err)
{
	struct work w = {.fn = fn, .arg = arg, .err = err};
	sigset_t all, old;
	pthread_t id;
	int r;

	/* The thread inherits the mask: signals stay with threads that expect them. */
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&id, NULL, thread, &w);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0)
		return error_errno(err, -r, "start a thread");

	(void)pthread_join(id, NULL);
	return w.result;
}
