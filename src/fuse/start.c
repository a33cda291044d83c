/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A server in a child process. It tells over a pipe that it is ready, or why it is not; if it dies
 * without a word, the end of the pipe tells that.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "fuse/server-internal.h"
#include "sys/io.h"
#include "sys/place.h"

/* What the child says: an error, or with code 0 that it is ready. Less than PIPE_BUF. */
struct word {
	struct cairn_error err;
};

static void say(int fd, const struct cairn_error *err)
{
	struct word word = {.err = *err};

	(void)write_all(fd, &word, sizeof(word));
	close(fd);
}

/* @arg: int *, the pipe. */
static void say_ready(void *arg)
{
	int *fd = (int *)arg;
	const struct cairn_error none = {0};

	say(take_fd(fd), &none);
}

/* Keeps only the descriptors that serving needs. */
static void keep_descriptors(int dev_fd, int image_fd, int pipe_fd,
			     const struct cairn_fuse_options *o)
{
	const size_t nr = 3 + 2 * o->nr_stores;
	cleanup_free int *keep = (int *)calloc(nr, sizeof(*keep));
	unsigned int n = 0;

	if (!keep)
		return;
	keep[n++] = dev_fd;
	keep[n++] = image_fd;
	keep[n++] = pipe_fd;
	for (size_t i = 0; i < o->nr_stores; i++) {
		if (o->stores[i]->objects >= 0)
			keep[n++] = o->stores[i]->objects;
	}
	place_own_descriptors(keep, n);
}

static void __attribute__((noreturn))
child(int dev_fd, int image_fd, int pipe_fd, const struct cairn_fuse_options *o, pid_t parent)
{
	struct cairn_error err = {0};
	sigset_t none;
	int r;

	/* The terminal's signals are for who started us, who then unmounts. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGQUIT, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGTERM, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (o->flags & CAIRN_FUSE_WITH_PARENT) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	keep_descriptors(dev_fd, image_fd, pipe_fd, o);
	r = fuse_serve(dev_fd, image_fd, o, say_ready, &pipe_fd, &err);
	if (r < 0 && pipe_fd >= 0)
		say(pipe_fd, &err);
	_exit(r < 0 ? 1 : 0);
}

int fuse_reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

int fuse_start(int dev_fd, int image_fd, const struct cairn_fuse_options *options, pid_t *ret_pid,
	       struct cairn_error *err)
{
	const pid_t parent = getpid();
	struct word word;
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, -errno, "start the server");
	pid = fork();
	if (pid < 0) {
		status = error_errno(err, -errno, "start the server");
		close(ends[0]);
		close(ends[1]);
		return status;
	}
	if (!pid)
		child(dev_fd, image_fd, ends[1], options, parent);

	close(ends[1]);
	n = read_full(ends[0], &word, sizeof(word));
	close(ends[0]);
	if (n == sizeof(word) && !word.err.code) {
		*ret_pid = pid;
		return 0;
	}
	status = fuse_reap(pid);
	if (n == sizeof(word)) {
		if (err)
			*err = word.err;
		return word.err.code;
	}
	if (WIFSIGNALED(status))
		return error_set(err, -EIO, CAIRN_ERROR_SYSTEM, "the server died: %s",
				 strsignal(WTERMSIG(status)));
	return error_set(err, -EIO, CAIRN_ERROR_SYSTEM, "the server ended without a word");
}
