/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* One thread down the tree with `fstatat`; a scan that follows finds all of it in the caches. */
#include "scan/sizes.h"

#include <cairn/tree.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "sys/dir.h"

#define DEPTH_MAX   64 /* directories that are open at once */
#define LIST_BUFFER 16384

struct sizes {
	struct buf *ret;
	dev_t dev;
	bool one;
	unsigned int depth;
	int dirfd; /* that is being listed */
};

static int list(struct sizes *s, int fd);

static int enter(struct sizes *s, const char *name)
{
	cleanup_fd int fd = -1;
	struct stat st;
	int outer = s->dirfd, r = 0;

	if (s->depth == DEPTH_MAX)
		return 0;
	fd = open_directory(s->dirfd, name);
	if (fd < 0 || fstat(fd, &st) < 0 || (s->one && st.st_dev != s->dev))
		return 0;
	s->depth++;
	r = list(s, fd);
	s->depth--;
	s->dirfd = outer;
	return r == -ENOMEM ? r : 0;
}

static int add(void *arg, const char *name, size_t len, unsigned char type)
{
	struct sizes *s = (struct sizes *)arg;
	struct stat st;
	uint64_t size;

	(void)len;
	if (type == DT_DIR)
		return enter(s, name);
	if (type != DT_REG || fstatat(s->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	size = (uint64_t)st.st_size;
	if (size <= CAIRN_INLINE_DEFAULT || (uint64_t)st.st_blocks * 512 < size)
		return 0;
	return buf_put(s->ret, &size, sizeof(size));
}

static int list(struct sizes *s, int fd)
{
	cleanup_free void *buffer = malloc(LIST_BUFFER);

	s->dirfd = fd;
	return buffer ? dir_list(fd, buffer, LIST_BUFFER, add, s) : -ENOMEM;
}

int scan_sizes(int dirfd, const char *path, bool one, struct buf *ret)
{
	struct sizes s = {.ret = ret, .one = one};
	cleanup_fd int fd = open_directory(dirfd, path);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fd < 0 ? fd : -errno;
	s.dev = st.st_dev;
	return list(&s, fd);
}
