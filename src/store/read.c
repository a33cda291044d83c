/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Reading objects: found without leaving the store, handed out only when verified. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "store/reader.h"
#include "sys/dir.h"
#include "sys/io.h"

#define PIECE ((size_t)1 << 20) /* bytes that are verified and handed out at a time */

static int open_own(const struct cairn_store *s, const char *object_path, struct cairn_error *err)
{
	const char *path = object_path + strspn(object_path, "/");
	cleanup_fd int fd = -1;
	struct stat st;

	fd = s->objects < 0 ? -ENOENT
			    : open_beneath(s->objects, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return error_errno(err, fd, "open object %s", path);
	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "open object %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "object %s: not a regular file",
				 path);
	return take_fd(&fd);
}

int store_open_object(const struct cairn_store *s, const char *object_path, struct cairn_error *err)
{
	int fd = open_own(s, object_path, err);

	for (unsigned int i = 0; fd == -ENOENT && i < s->nr_parents; i++)
		fd = open_own(s->parents[i], object_path, err);
	return fd;
}

int store_find_object(const struct cairn_store *s, const char *object_path,
		      const struct cairn_store **ret, struct stat *st)
{
	for (unsigned int i = 0; i <= s->nr_parents; i++) {
		const struct cairn_store *at = i ? s->parents[i - 1] : s;

		if (at->objects < 0 ||
		    fstatat(at->objects, object_path + strspn(object_path, "/"), st,
			    AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st->st_mode))
			continue;
		if (ret)
			*ret = at;
		return 0;
	}
	return -ENOENT;
}

int store_read_object(const struct cairn_store *s, const char *object_path,
		      const struct cairn_digest *digest, cairn_write_fn write, void *arg,
		      struct cairn_error *err)
{
	const struct reader_options options = {0};
	const struct reader_key key = {.path = object_path,
				       .path_len = (uint32_t)strnlen(object_path, PATH_MAX),
				       .size = UINT64_MAX,
				       .digest = *digest};
	cleanup_free uint8_t *piece = (uint8_t *)io_buffer(PIECE);
	cleanup(reader) struct reader *reader = NULL;
	struct reader_object *o;
	uint64_t offset = 0;
	ssize_t n;
	int r = piece ? reader_new(&s, 1, &options, &reader) : -ENOMEM;

	if (r < 0)
		return error_errno(err, r, "read object %s", object_path);
	r = reader_get(reader, &key, &o, err);
	if (r < 0)
		return r;
	do {
		n = reader_read(reader, o, piece, PIECE, offset, NULL, err);
		r = n > 0 ? write(arg, piece, (unsigned long)n) : (int)n;
		offset += (uint64_t)MAX(n, 0);
	} while (n > 0 && !r);
	reader_put(reader, o);
	return r;
}
