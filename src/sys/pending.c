/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A file that has no final name yet.
 *
 *	open     O_TMPFILE	3.11	else a file of a random name, O_EXCL
 *	publish  linkat(AT_EMPTY_PATH)	for CAP_DAC_READ_SEARCH, since 6.10 for the opener;
 *					else linkat() of /proc/thread-self/fd/N
 *	replace  linkat() to a random name, renameat() over the final one
 */
#include "sys/pending.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define ATTEMPTS 100 /* random names tried; the second is already a surprise */

/* The thread's own directory: a thread may have descriptors of its own. */
#define PROC_FD_MAX 40
static void proc_fd(char path[PROC_FD_MAX], int fd)
{
	snprintf(path, PROC_FD_MAX, "/proc/thread-self/fd/%d", fd);
}

static int random_name(struct pending *p, char name[PENDING_NAME_MAX])
{
	static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	uint8_t noise[12];
	size_t len = strlen(p->prefix);

	if (getrandom(noise, sizeof(noise), 0) != (ssize_t)sizeof(noise))
		return -errno;
	memcpy(name, p->prefix, len);
	for (size_t i = 0; i < sizeof(noise); i++)
		name[len++] = letters[noise[i] % (sizeof(letters) - 1)];
	name[len] = '\0';
	return 0;
}

static int open_named(struct pending *p, mode_t mode)
{
	char name[PENDING_NAME_MAX];
	int r;

	for (int i = 0; i < ATTEMPTS; i++) {
		r = random_name(p, name);
		if (r < 0)
			return r;
		p->fd = openat(p->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			       mode);
		if (p->fd >= 0) {
			memcpy(p->name, name, sizeof(name));
			return 0;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

int pending_open(int dirfd, const char *prefix, mode_t mode, struct pending *ret)
{
	struct pending p = {.dirfd = dirfd};
	int r;

	snprintf(p.prefix, sizeof(p.prefix), "%s", prefix);
	p.fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
	if (p.fd < 0) {
		/* EISDIR: a kernel that does not know the flag. */
		if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
			return -errno;
		r = open_named(&p, mode);
		if (r < 0)
			return r;
	}
	*ret = p;
	return 0;
}

int pending_seal(struct pending *p)
{
	char path[PROC_FD_MAX];
	int fd;

	if (p->name[0]) {
		fd = openat(p->dirfd, p->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	} else {
		proc_fd(path, p->fd);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0)
		return -errno;
	close(p->fd);
	p->fd = fd;
	return 0;
}

/* A file without a name gets one. */
static int link_unnamed(const struct pending *p, const char *name)
{
	char path[PROC_FD_MAX];

	if (!linkat(p->fd, "", p->dirfd, name, AT_EMPTY_PATH))
		return 0;
	/* ENOENT is also what the kernel says to those who may not. */
	if (errno != ENOENT && errno != EPERM)
		return -errno;
	proc_fd(path, p->fd);
	return linkat(AT_FDCWD, path, p->dirfd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static void forget_name(struct pending *p)
{
	p->name[0] = '\0';
	pending_discard(p);
}

int pending_link(struct pending *p, const char *name)
{
	int r;

	if (!p->name[0]) {
		r = link_unnamed(p, name);
		if (!r)
			pending_discard(p);
		return r;
	}

	if (!linkat(p->dirfd, p->name, p->dirfd, name, 0)) {
		pending_discard(p);
		return 0;
	}
	/* No hard links here, so perhaps a rename that does not replace; the last resort has a gap
	 * between the question and the rename. */
	if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
		return -errno;
	if (!renameat2(p->dirfd, p->name, p->dirfd, name, RENAME_NOREPLACE)) {
		forget_name(p);
		return 0;
	}
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (!faccessat(p->dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW))
		return -EEXIST;
	return pending_replace(p, name);
}

int pending_replace(struct pending *p, const char *name)
{
	char temporary[PENDING_NAME_MAX];
	int r = -EEXIST;

	for (int i = 0; !p->name[0] && r == -EEXIST && i < ATTEMPTS; i++) {
		r = random_name(p, temporary);
		if (r < 0)
			return r;
		r = link_unnamed(p, temporary);
		if (!r)
			memcpy(p->name, temporary, sizeof(temporary));
	}
	if (!p->name[0])
		return r;

	if (renameat(p->dirfd, p->name, p->dirfd, name) < 0)
		return -errno;
	forget_name(p);
	return 0;
}

void pending_discard(struct pending *p)
{
	if (p->fd < 0)
		return;
	close(take_fd(&p->fd));
	if (p->name[0])
		(void)unlinkat(p->dirfd, p->name, 0);
	p->name[0] = '\0';
}
