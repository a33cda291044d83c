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
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

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
