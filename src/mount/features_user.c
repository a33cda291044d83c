/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What a process in a user namespace of its own can do. It takes a child process: no thread of ours may
 * change its user namespace. The child tells by its exit status, and its namespace outlives it as a
 * descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "mount/mount-internal.h"
#include "sys/io.h"

enum { CAN_OVERLAY = 1 << 0, CAN_VERITY = 1 << 1, CANNOT = 1 << 6 };

static bool write_file(const char *path, const char *text)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write_all(fd, text, strlen(text)) == 0;
}

/* Ids that are not mapped cannot own what is made on a tmpfs. */
static bool map_ids(uid_t uid, gid_t gid)
{
	char text[64];

	snprintf(text, sizeof(text), "0 %u 1", uid);
	if (!write_file("/proc/self/uid_map", text))
		return false;
	(void)write_file("/proc/self/setgroups", "deny");
	snprintf(text, sizeof(text), "0 %u 1", gid);
	return write_file("/proc/self/gid_map", text);
}

/* @told: gets a byte when the namespace is there, or the errno. @wait: ends when it has been opened. */
static void __attribute__((noreturn)) child(int told, int wait)
{
	const uid_t uid = geteuid();
	const gid_t gid = getegid();
	unsigned char code = 0, status = 0;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		code = (unsigned char)errno;
	else if (!map_ids(uid, gid))
		code = EACCES;
	(void)!write(told, &code, 1);
	(void)!read(wait, &code, 1);
	if (overlay_takes_user(false, NULL) > 0)
		status |= CAN_OVERLAY;
	if (overlay_takes_user(true, NULL) > 0)
		status |= CAN_VERITY;
	_exit(status);
}

static int open_namespace(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void set_user(struct cairn_features *f, enum cairn_feature feature, bool have)
{
	f->of[feature].have = have ? CAIRN_YES : CAIRN_NO;
}

static long read_number(const char *path)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[32] = "";

	return fd >= 0 && read_full(fd, text, sizeof(text) - 1) > 0 ? strtol(text, NULL, 10) : -1;
}

/* The three places where a system forbids it. */
static void tell_why(struct cairn_features *f, int code)
{
	const char *why = strerror(code);

	if (read_number("/proc/sys/user/max_user_namespaces") == 0)
		why = "user.max_user_namespaces is 0";
	else if (read_number("/proc/sys/kernel/unprivileged_userns_clone") == 0)
		why = "kernel.unprivileged_userns_clone is 0";
	else if (read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1)
		why = "kernel.apparmor_restrict_unprivileged_userns is 1";
	snprintf(f->of[CAIRN_FEATURE_USER_NAMESPACE].detail,
		 sizeof(f->of[CAIRN_FEATURE_USER_NAMESPACE].detail), "%s", why);
}

int features_probe_user(struct cairn_features *f)
{
	int told[2], wait[2], status = 0, fd = -1;
	unsigned char code = EIO;
	pid_t pid;

	if (pipe2(told, O_CLOEXEC) < 0)
		return -1;
	if (pipe2(wait, O_CLOEXEC) < 0) {
		close(told[0]);
		close(told[1]);
		return -1;
	}
	pid = fork();
	if (pid == 0) {
		close(told[0]);
		close(wait[1]);
		child(told[1], wait[0]);
	}
	close(told[1]);
	close(wait[0]);
	if (pid > 0 && read_full(told[0], &code, 1) == 1 && code == 0)
		fd = open_namespace(pid);
	close(told[0]);
	close(wait[1]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;

	set_user(f, CAIRN_FEATURE_USER_NAMESPACE, code == 0);
	if (code)
		tell_why(f, code);
	set_user(f, CAIRN_FEATURE_OVERLAY_USER,
		 !code && WIFEXITED(status) && WEXITSTATUS(status) & CAN_OVERLAY);
	set_user(f, CAIRN_FEATURE_OVERLAY_USER_VERITY,
		 !code && WIFEXITED(status) && WEXITSTATUS(status) & CAN_VERITY);
	return fd;
}
