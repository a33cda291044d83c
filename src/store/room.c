/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Whether much that is to be written has room; nothing that could be done is refused. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "store/store.h"
#include "sys/dir.h"

#define MIB         (1u << 20)
#define LIST_BUFFER 16384

/* Bytes that @fd's file system can still take from us. False: it does not tell. */
static bool free_bytes(int fd, uint64_t *ret)
{
	struct statvfs st;

	if (fstatvfs(fd, &st) < 0 || !st.f_blocks)
		return false;
	/* Root may use what is reserved. */
	*ret = (uint64_t)(geteuid() ? st.f_bavail : st.f_bfree) * st.f_frsize;
	return true;
}

/* Whether a content takes its size there: nothing is compressed, nor shared with the file at @source. */
static bool keeps_all(int fd, int source)
{
	struct stat a, b;
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	if (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == TMPFS_MAGIC)
		return true;
	return fs.f_type == XFS_SUPER_MAGIC &&
	       (source < 0 || (!fstat(fd, &a) && !fstat(source, &b) && a.st_dev != b.st_dev));
}

int store_room(const struct cairn_store *s, int source, uint64_t bytes, struct cairn_error *err)
{
	int fd = s->objects < 0 ? s->dirfd : s->objects;
	uint64_t room;

	if (!keeps_all(fd, source) || !free_bytes(fd, &room) || bytes <= room)
		return 0;
	return error_set(err, -ENOSPC, CAIRN_ERROR_SYSTEM,
			 "%s: needs %llu MiB more, and %llu MiB are free", s->path,
			 (unsigned long long)(bytes / MIB + 1), (unsigned long long)(room / MIB));
}

bool store_room_is_sure(const struct cairn_store *s, int source)
{
	int fd = s->objects < 0 ? s->dirfd : s->objects;
	struct statvfs st;
	uint64_t room;

	if (!keeps_all(fd, source) || !free_bytes(fd, &room) || fstatvfs(source, &st) < 0)
		return true;
	return (uint64_t)(st.f_blocks - st.f_bfree) * st.f_frsize <= room;
}

/* --- contents of which only the sizes are known ---------------------------------------------- */

/* Sorts, and leaves each once. */
static void sort_sizes(struct buf *sizes)
{
	uint64_t *v = (uint64_t *)(void *)sizes->data;
	size_t nr = sizes->len / sizeof(*v), n = 0;

	if (nr)
		qsort(v, nr, sizeof(*v), compare_u64);
	for (size_t i = 0; i < nr; i++)
		if (!n || v[n - 1] != v[i])
			v[n++] = v[i];
	sizes->len = n * sizeof(*v);
}

static uint64_t sum(const struct buf *sizes)
{
	const uint64_t *v = (const uint64_t *)(const void *)sizes->data;
	uint64_t total = 0;

	for (size_t i = 0; i < sizes->len / sizeof(*v); i++)
		total += v[i];
	return total;
}

struct listing {
	struct buf *sizes;
	int fd;
};

static int add_size(void *arg, const char *name, size_t len, unsigned char type)
{
	const struct listing *l = (const struct listing *)arg;
	struct stat st;
	uint64_t size;

	(void)len;
	(void)type;
	if (fstatat(l->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	size = (uint64_t)st.st_size;
	return buf_put(l->sizes, &size, sizeof(size));
}

/* The sizes of all objects of @s. */
static int add_sizes_of(const struct cairn_store *s, struct buf *sizes)
{
	cleanup_free void *buffer = malloc(LIST_BUFFER);
	int r = buffer ? 0 : -ENOMEM;

	for (unsigned int i = 0; i < 256 && !r; i++) {
		cleanup_fd int fd = store_open_part(s, i);
		struct listing l = {sizes, fd};

		if (fd >= 0)
			r = dir_list(fd, buffer, LIST_BUFFER, add_size, &l);
	}
	return r;
}

/* Leaves those of @sizes that are not in @known. */
static void leave_new(struct buf *sizes, const struct buf *known)
{
	uint64_t *v = (uint64_t *)(void *)sizes->data;
	const uint64_t *k = (const uint64_t *)(const void *)known->data;
	size_t nr_known = known->len / sizeof(*k), at = 0, n = 0;

	for (size_t i = 0; i < sizes->len / sizeof(*v); i++) {
		while (at < nr_known && k[at] < v[i])
			at++;
		if (at == nr_known || k[at] != v[i])
			v[n++] = v[i];
	}
	sizes->len = n * sizeof(*v);
}

int store_room_for_sizes(const struct cairn_store *s, int source, struct buf *sizes,
			 struct cairn_error *err)
{
	struct buf known cleanup_buf = BUF_INIT(SIZE_MAX / 2);
	int r;

	sort_sizes(sizes);
	r = store_room(s, source, sum(sizes), NULL);
	if (!r)
		return 0;
	r = add_sizes_of(s, &known);
	for (unsigned int i = 0; i < s->nr_parents && !r; i++)
		r = add_sizes_of(s->parents[i], &known);
	if (r < 0)
		return error_errno(err, r, "list %s", s->objects_path);
	sort_sizes(&known);
	leave_new(sizes, &known);
	return store_room(s, source, sum(sizes), err);
}
