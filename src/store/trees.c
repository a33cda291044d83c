/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The files of Merkle trees. */
#include "store/trees.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "sys/dir.h"

#define FOLDER "cairn/trees"

/* The store's directory is the one above the objects: a server keeps only these open, because the other
 * is locked. */
int trees_open_directory(const struct cairn_store *s, bool create)
{
	cleanup_fd int top = -1;
	int fd;

	if (s->objects < 0 || s->bare)
		return -ENOENT;
	top = openat(s->objects, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		return -errno;
	fd = open_beneath(top, FOLDER, O_RDONLY | O_DIRECTORY);
	if (fd != -ENOENT || !create)
		return fd;
	if ((mkdirat(top, "cairn", 0755) < 0 && errno != EEXIST) ||
	    (mkdirat(top, FOLDER, 0755) < 0 && errno != EEXIST))
		return -errno;
	return open_beneath(top, FOLDER, O_RDONLY | O_DIRECTORY);
}

int trees_open(int dirfd, const struct cairn_digest *digest, uint64_t size)
{
	char name[CAIRN_DIGEST_HEX_MAX];
	cleanup_fd int fd = -1;
	struct stat st;

	if (dirfd < 0)
		return -ENOENT;
	(void)cairn_digest_to_hex(digest, name);
	fd = open_beneath(dirfd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size)
		return -ENOENT;
	return take_fd(&fd);
}

void trees_publish(struct pending *p, const struct cairn_digest *digest)
{
	char name[CAIRN_DIGEST_HEX_MAX];

	(void)cairn_digest_to_hex(digest, name);
	(void)pending_replace(p, name);
}

struct sweep {
	int dirfd;
	const struct cairn_store *store;
};

static int sweep_one(void *arg, const char *name, size_t len, unsigned char type)
{
	const struct sweep *w = (const struct sweep *)arg;
	char path[CAIRN_DIGEST_HEX_MAX + 1];

	(void)type;
	/* What is not named like a digest is of somebody who is at work. */
	if (len != 2 * 32 && len != 2 * 64)
		return 0;
	memcpy(path, name, 2);
	path[2] = '/';
	memcpy(path + 3, name + 2, len - 1);
	if (faccessat(w->store->objects, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		(void)unlinkat(w->dirfd, name, 0);
	return 0;
}

void trees_sweep(int dirfd, const struct cairn_store *s)
{
	struct sweep w = {dirfd, s};
	cleanup_fd int fd = open_beneath(dirfd, ".", O_RDONLY | O_DIRECTORY);
	_Alignas(8) char buffer[8192];

	if (fd >= 0)
		(void)dir_list(fd, buffer, sizeof(buffer), sweep_one, &w);
}
