/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Mounting through fusermount3(1), the set-user-id helper of libfuse, for who may not mount.
 *
 * It is told in _FUSE_COMMFD the number of a socket, on which it sends one byte with the descriptor of
 * the mounted device. What it has to say goes to its standard error.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "fuse/server-internal.h"
#include "sys/io.h"

static const char *const places[] = {"/usr/bin/fusermount3", "/bin/fusermount3",
				     "/usr/local/bin/fusermount3"};

/* Starts it with @args (args[0] is filled here), with @comm (-1: none) as its socket and @talk as its
 * standard error. Returns its process number or a negative errno. */
static pid_t spawn(const char *args[], int comm, int talk)
{
	char variable[32];
	char *environment[] = {variable, NULL};
	posix_spawn_file_actions_t actions;
	int r = ENOENT;
	pid_t pid;

	snprintf(variable, sizeof(variable), "_FUSE_COMMFD=%d", comm);
	if (comm < 0)
		environment[0] = NULL;
	if (posix_spawn_file_actions_init(&actions))
		return -ENOMEM;
	/* The same number: only stays open. */
	if (comm >= 0)
		(void)posix_spawn_file_actions_adddup2(&actions, comm, comm);
	(void)posix_spawn_file_actions_adddup2(&actions, talk, STDERR_FILENO);
	for (size_t i = 0; i < ARRAY_SIZE(places) && r == ENOENT; i++) {
		args[0] = places[i];
		r = posix_spawn(&pid, places[i], &actions, NULL, (char *const *)args, environment);
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	return r ? -r : pid;
}

/* Receives the descriptor. Returns it, or -1 when none comes. */
static int receive(int socket)
{
	char byte, space[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = space,
			     .msg_controllen = sizeof(space)};
	const struct cmsghdr *c;
	ssize_t n;
	int fd;

	do
		n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* Its words, as one line. */
static void read_words(int fd, char *words, size_t size)
{
	ssize_t n = read_full(fd, words, size - 1);

	words[MAX(n, 0)] = '\0';
	while (n > 0 && words[n - 1] == '\n')
		words[--n] = '\0';
	for (char *p = words; *p; p++)
		if (*p == '\n')
			*p = ' ';
}

static int failed(int code, const char *what, const char *target, const char *words,
		  struct cairn_error *err)
{
	if (code == -ENOENT)
		return error_set(err, -EOPNOTSUPP, CAIRN_ERROR_UNSUPPORTED,
				 "%s %s: may not mount, and there is no fusermount3(1) to do it",
				 what, target);
	if (code < 0)
		return error_errno(err, code, "start fusermount3");
	return error_set(err, -EPERM, CAIRN_ERROR_SYSTEM, "%s %s: %s", what, target,
			 words[0] ? words : "fusermount3 failed");
}

static void mount_words(const struct cairn_fuse_options *o, char *out, size_t size)
{
	char name[160] = "cairn"; /* "composefs:" and the longest digest */

	/* Commas part the options, and what is escaped looks different in the mount table. */
	if (o->name && strlen(o->name) < sizeof(name) && !strpbrk(o->name, ",\\"))
		strcpy(name, o->name);
	snprintf(out, size, "ro,nosuid,nodev%s%s,fsname=%s,subtype=cairn",
		 o->mount_flags & CAIRN_MOUNT_NOEXEC ? ",noexec" : "",
		 o->mount_flags & CAIRN_MOUNT_NOATIME ? ",noatime" : "", name);
}

int fusermount_mount(const char *target, const struct cairn_fuse_options *options,
		     struct cairn_error *err)
{
	char words[CAIRN_ERROR_TEXT_MAX / 2] = "", list[256];
	const char *args[] = {NULL, "-o", list, "--", target, NULL};
	cleanup_fd int mine = -1;
	cleanup_fd int talk = -1;
	int comm[2], pipe_fds[2], dev;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, comm) < 0)
		return error_errno(err, -errno, "start fusermount3");
	mine = comm[0];
	if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
		close(comm[1]);
		return error_errno(err, -errno, "start fusermount3");
	}
	talk = pipe_fds[0];
	mount_words(options, list, sizeof(list));
	pid = spawn(args, comm[1], pipe_fds[1]);
	close(comm[1]);
	close(pipe_fds[1]);
	if (pid < 0)
		return failed(pid, "mount on", target, "", err);
	dev = receive(mine);
	read_words(talk, words, sizeof(words));
	(void)fuse_reap(pid);
	return dev < 0 ? failed(0, "mount on", target, words, err) : dev;
}

int fuse_unmount(const char *target, bool lazy, struct cairn_error *err)
{
	char words[CAIRN_ERROR_TEXT_MAX / 2] = "";
	const char *args[] = {NULL, lazy ? "-uz" : "-u", "--", target, NULL};
	int pipe_fds[2], status;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_errno(err, -errno, "start fusermount3");
	pid = spawn(args, -1, pipe_fds[1]);
	close(pipe_fds[1]);
	if (pid > 0)
		read_words(pipe_fds[0], words, sizeof(words));
	close(pipe_fds[0]);
	if (pid < 0)
		return failed(pid, "unmount", target, "", err);
	status = fuse_reap(pid);
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	return failed(0, "unmount", target, words, err);
}
