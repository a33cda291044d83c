/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The user namespace. Inside we are root; which ids there are besides depends on /etc/subuid: with a
 * range for this user all ids of an image (0 to 65535) can be there, set up by newuidmap(1), which is
 * set-user-id and must be called from outside; without one there is root alone, and files of others
 * belong to nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "run.h"

#define IDS_MAX 65536 /* that an ordinary tree has; more are not asked for */

/* A range of subordinate ids. */
struct range {
	unsigned int first, nr;
};

static int failed(const char *what)
{
	talk("%s: %s", what, strerror(errno));
	return RUN_FAILED;
}

/* The first range in @file that belongs to the user, whose name or number begins the line. */
static bool find_range(const char *file, uid_t uid, const char *name, struct range *ret)
{
	FILE *f = fopen(file, "re");
	char number[16], line[512];
	bool found = false;

	snprintf(number, sizeof(number), "%u", uid);
	while (f && !found && fgets(line, sizeof(line), f)) {
		const char *owner = line;
		char *rest = strchr(line, ':');

		if (!rest)
			continue;
		*rest++ = '\0';
		if (strcmp(owner, number) != 0 && (!name || strcmp(owner, name) != 0))
			continue;
		found = sscanf(rest, "%u:%u", &ret->first, &ret->nr) == 2 && ret->nr > 0;
	}
	if (f)
		fclose(f);
	return found;
}

/* Calls newuidmap(1) or newgidmap(1): root is @id, the others are of @range. */
static bool call_helper(const char *helper, pid_t pid, unsigned int id, const struct range *range)
{
	char target[16], own[16], first[16], nr[16];
	char *const args[] = {(char *)helper, target, (char *)"0", own, (char *)"1",
			      (char *)"1",    first,  nr,          NULL};
	char *const none[] = {NULL};
	int status = 0;
	pid_t child;

	snprintf(target, sizeof(target), "%d", (int)pid);
	snprintf(own, sizeof(own), "%u", id);
	snprintf(first, sizeof(first), "%u", range->first);
	snprintf(nr, sizeof(nr), "%u", MIN(range->nr, (unsigned int)IDS_MAX - 1));
	if (posix_spawn(&child, helper, NULL, NULL, args, none) != 0)
		return false;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* From outside, for process @pid. Whether all ids are there. */
static bool map_ranges(pid_t pid, uid_t uid, gid_t gid)
{
	const struct passwd *user = getpwuid(uid);
	const char *name = user ? user->pw_name : NULL;
	struct range uids, gids;

	if (!find_range("/etc/subuid", uid, name, &uids) ||
	    !find_range("/etc/subgid", uid, name, &gids))
		return false;
	return call_helper("/usr/bin/newuidmap", pid, uid, &uids) &&
	       call_helper("/usr/bin/newgidmap", pid, gid, &gids);
}

static bool write_file(const char *path, const char *text)
{
	int fd cleanup_fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* From inside: root alone. */
static bool map_root(uid_t uid, gid_t gid)
{
	char text[64];

	snprintf(text, sizeof(text), "0 %u 1", uid);
	if (!write_file("/proc/self/uid_map", text))
		return false;
	(void)write_file("/proc/self/setgroups", "deny");
	snprintf(text, sizeof(text), "0 %u 1", gid);
	return write_file("/proc/self/gid_map", text);
}

/* A child that stays outside and calls the helpers when the byte comes. Its exit status tells whether
 * they did it. */
static pid_t start_mapper(int *ret_go)
{
	const pid_t parent = getpid();
	const uid_t uid = geteuid();
	const gid_t gid = getegid();
	int go[2];
	char byte;
	pid_t pid;

	if (pipe2(go, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		_exit(read(go[0], &byte, 1) == 1 && map_ranges(parent, uid, gid) ? 0 : 1);
	}
	close(go[0]);
	*ret_go = go[1];
	return pid;
}

static int why_no_namespace(void)
{
	talk("cannot make a user namespace: %s ('cairn features' tells more)", strerror(errno));
	return RUN_FAILED;
}

static int enter_user_namespace(void)
{
	const uid_t uid = geteuid();
	const gid_t gid = getegid();
	int go = -1, status = 0;
	pid_t mapper = start_mapper(&go);

	if (mapper < 0)
		return failed("fork");
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return why_no_namespace();
	(void)!write(go, "", 1);
	close(go);
	while (waitpid(mapper, &status, 0) < 0 && errno == EINTR)
		;
	if (!(WIFEXITED(status) && WEXITSTATUS(status) == 0) && !map_root(uid, gid))
		return failed("map the ids of the user namespace");

	/* With all ids mapped our groups can go; without, they stay, and may not be changed. */
	(void)setgroups(0, NULL);
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return failed("become root in the user namespace");
	return 0;
}

int run_enter_namespaces(struct run *r)
{
	int status = 0;

	r->user = cairn_feature_ask(CAIRN_FEATURE_EROFS) != CAIRN_YES;
	if (r->user)
		status = enter_user_namespace();
	else if (unshare(CLONE_NEWNS) < 0)
		return failed("unshare the mount namespace");
	if (status != 0)
		return status;
	/* What the machine mounts later is seen in the binds; what we mount nobody sees. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return failed("make the mounts private");
	return 0;
}
