/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Directories.
 *
 *	openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)	5.6
 *	getdents64: entries arrive in the kernel's own layout, without readdir()'s small buffer
 */
#include "sys/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/macro.h"

int open_beneath(int dirfd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	/* EAGAIN: the kernel could not rule out a race with a rename; it says to try again. */
	do {
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	} while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	return fd < 0 ? -errno : (int)fd;
}

int open_directory(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int open_quietly(int dirfd, const char *name, bool *no_atime_refused)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd;

	if (!*no_atime_refused) {
		fd = openat(dirfd, name, flags | O_NOATIME);
		if (fd >= 0 || errno != EPERM)
			return fd < 0 ? -errno : fd;
		*no_atime_refused = true;
	}
	fd = openat(dirfd, name, flags);
	return fd < 0 ? -errno : fd;
}

/* The kernel's struct linux_dirent64. */
struct entry {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

static int is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

int dir_list(int fd, void *buffer, size_t size, dir_entry_fn fn, void *arg)
{
	const char *p = (const char *)buffer;
	long n;
	int r;

	while ((n = syscall(SYS_getdents64, fd, buffer, size)) > 0) {
		for (long at = 0; at < n;) {
			const struct entry *e = (const struct entry *)(p + at);

			at += e->reclen;
			if (is_dot(e->name))
				continue;
			r = fn(arg, e->name, strlen(e->name), e->type);
			if (r < 0)
				return r;
		}
	}
	return n < 0 ? -errno : 0;
}

int dir_open_parent(int dirfd, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	cleanup_free char *dir = NULL;
	int fd;

	*ret_name = slash ? slash + 1 : path;
	dir = slash ? strndup(path, (size_t)(slash + 1 - path)) : strdup(".");
	if (!dir)
		return -ENOMEM;
	fd = openat(dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

#define TEMPORARY_ATTEMPTS 16

int dir_make_temporary(int dirfd, const char *prefix, char *out, size_t size)
{
	for (int i = 0; i < TEMPORARY_ATTEMPTS; i++) {
		uint64_t random;

		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return -errno;
		snprintf(out, size, "%s%016llx", prefix, (unsigned long long)random);
		if (!mkdirat(dirfd, out, 0700))
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

/* --- removing -------------------------------------------------------------------------------- */

#define REMOVE_DEPTH 64 /* levels that are open at once; deeper ones are moved up first */

struct removal {
	int top; /* the directory itself */
	int fd;  /* at hand */
	unsigned int depth;
	unsigned int *moved;
	int error;
};

static int remove_entry(void *arg, const char *name, size_t len, unsigned char type);

static int open_to_remove(int dirfd, const char *name)
{
	int fd = open_directory(dirfd, name);

	if (fd != -EACCES)
		return fd;
	/* One of ours, whose mode says otherwise. It is no link: open_directory() found a directory. */
	if (fchmodat(dirfd, name, 0700, 0) < 0)
		return -errno;
	return open_directory(dirfd, name);
}

/* Empties the directory @name in @parent. */
static int empty_directory(const struct removal *parent, const char *name)
{
	_Alignas(8) char buffer[4096];
	cleanup_fd int fd = open_to_remove(parent->fd, name);
	struct removal r = {
		.top = parent->top < 0 ? fd : parent->top,
		.fd = fd,
		.depth = parent->depth + 1,
		.moved = parent->moved,
	};
	unsigned int before;

	if (fd < 0)
		return fd;
	(void)fchmod(fd, 0700);
	/* Removing may make the list skip some, and moving adds some. */
	do {
		before = *r.moved;
		(void)lseek(fd, 0, SEEK_SET);
		r.error = dir_list(fd, buffer, sizeof(buffer), remove_entry, &r);
	} while (!r.error && parent->top < 0 && *r.moved != before);
	return r.error;
}

static int remove_entry(void *arg, const char *name, size_t len, unsigned char type)
{
	struct removal *r = (struct removal *)arg;
	char up[32];
	int e;

	(void)len;
	(void)type;
	if (!unlinkat(r->fd, name, 0))
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (!unlinkat(r->fd, name, AT_REMOVEDIR))
		return 0;
	if (errno == ENOTDIR)
		return -EPERM;
	if (r->depth >= REMOVE_DEPTH) {
		snprintf(up, sizeof(up), ".moved-%u", ++*r->moved);
		return renameat(r->fd, name, r->top, up) < 0 ? -errno : 0;
	}
	e = empty_directory(r, name);
	if (e < 0)
		return e;
	return unlinkat(r->fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int dir_remove_tree(int dirfd, const char *name)
{
	unsigned int moved = 0;
	const struct removal r = {.top = -1, .fd = dirfd, .moved = &moved};
	int e = empty_directory(&r, name);

	if (e < 0)
		return e;
	return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}
