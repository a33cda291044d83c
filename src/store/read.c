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

/* --- verified -------------------------------------------------------------------------------- */

struct store_reading {
	struct reader *reader;
	uint8_t *piece;
};

int store_reading_new(const struct cairn_store *s, struct store_reading **ret)
{
	const struct reader_options options = {0};
	struct store_reading *reading cleanup(store_reading) =
		(struct store_reading *)calloc(1, sizeof(*reading));

	if (!reading)
		return -ENOMEM;
	reading->piece = (uint8_t *)io_buffer(PIECE);
	if (!reading->piece || reader_new(&s, 1, &options, &reading->reader) < 0)
		return -ENOMEM;
	*ret = take_ptr(reading);
	return 0;
}

void store_reading_free(struct store_reading *reading)
{
	if (!reading)
		return;
	reader_free(reading->reader);
	free(reading->piece);
	free(reading);
}

int store_reading_object(struct store_reading *reading, const char *object_path,
			 const struct cairn_digest *digest, cairn_write_fn write, void *arg,
			 struct cairn_error *err)
{
	const struct reader_key key = {.path = object_path,
				       .path_len = (uint32_t)strnlen(object_path, PATH_MAX),
				       .size = UINT64_MAX,
				       .digest = *digest};
	struct reader_object *o;
	uint64_t offset = 0;
	ssize_t n;
	int r = reader_get(reading->reader, &key, &o, err);

	if (r < 0)
		return r;
	do {
		n = reader_read(reading->reader, o, reading->piece, PIECE, offset, NULL, err);
		r = n > 0 ? write(arg, reading->piece, (unsigned long)n) : (int)n;
		offset += (uint64_t)MAX(n, 0);
	} while (n > 0 && !r);
	reader_drop(reading->reader, o);
	return r;
}

int store_read_object(const struct cairn_store *s, const char *object_path,
		      const struct cairn_digest *digest, cairn_write_fn write, void *arg,
		      struct cairn_error *err)
{
	struct store_reading *reading cleanup(store_reading) = NULL;

	if (store_reading_new(s, &reading) < 0)
		return error_errno(err, -ENOMEM, "read object %s", object_path);
	return store_reading_object(reading, object_path, digest, write, arg, err);
}
