/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Sets of files: what both kinds share, and directories. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "oci/files-internal.h"
#include "sys/dir.h"
#include "sys/io.h"

void files_close(struct files *f)
{
	if (f)
		f->ops->close(f);
}

int files_size(struct files *f, const char *name, uint64_t *ret, struct cairn_error *err)
{
	return f->ops->size(f, name, ret, err);
}

int files_stream(struct files *f, const char *name, uint64_t from, uint64_t size, source_fn fn,
		 void *arg, struct cairn_error *err)
{
	return f->ops->stream(f, name, from, size, fn, arg, err);
}

static int keep(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	return buf_put((struct buf *)arg, data, size) < 0 ? error_errno(err, -ENOMEM, "reading")
							  : 0;
}

int files_read(struct files *f, const char *name, size_t max, struct buf *ret,
	       struct cairn_error *err)
{
	uint64_t size;
	int r = f->ops->size(f, name, &size, err);

	if (r < 0)
		return r;
	if (size > max)
		return error_set(err, -EFBIG, CAIRN_ERROR_FORMAT,
				 "%s: %llu bytes, at most %zu are accepted", name,
				 (unsigned long long)size, max);
	ret->len = 0;
	return f->ops->stream(f, name, 0, UINT64_MAX, keep, ret, err);
}

int files_stream_fd(int fd, const char *name, uint64_t from, uint64_t size, source_fn fn, void *arg,
		    struct cairn_error *err)
{
	char *piece cleanup_free = (char *)malloc(FILES_PIECE);
	int r = 0;

	if (!piece)
		return error_errno(err, -ENOMEM, "%s", name);
	while (size && r == 0) {
		ssize_t n = pread(fd, piece, (size_t)MIN(size, (uint64_t)FILES_PIECE), (off_t)from);

		if (n < 0)
			return error_errno(err, -errno, "%s", name);
		if (n == 0 && size == UINT64_MAX)
			break;
		if (n == 0)
			return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST, "%s: ends at byte %llu",
					 name, (unsigned long long)from);
		r = fn(arg, piece, (size_t)n, err);
		from += (uint64_t)n;
		if (size != UINT64_MAX)
			size -= (uint64_t)n;
	}
	return r;
}

/* --- directories ----------------------------------------------------------------------------- */

struct directory {
	struct files files;
	int fd;
};

/* Opens a regular file. */
static int open_file(const struct files *f, const char *name, uint64_t *ret_size,
		     struct cairn_error *err)
{
	int fd = open_beneath(((const struct directory *)f)->fd, name,
			      O_RDONLY | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return error_errno(err, fd, "%s", name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s: not a regular file", name);
	}
	*ret_size = (uint64_t)st.st_size;
	return fd;
}

static int directory_size(struct files *f, const char *name, uint64_t *ret, struct cairn_error *err)
{
	int fd cleanup_fd = open_file(f, name, ret, err);

	return fd < 0 ? fd : 0;
}

static int directory_stream(struct files *f, const char *name, uint64_t from, uint64_t size,
			    source_fn fn, void *arg, struct cairn_error *err)
{
	uint64_t found;
	int fd cleanup_fd = open_file(f, name, &found, err);

	if (fd < 0)
		return fd;
	if (size > FILES_PIECE)
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return files_stream_fd(fd, name, from, size, fn, arg, err);
}

static void directory_close(struct files *f)
{
	close(((struct directory *)f)->fd);
	free(f);
}

static const struct files_ops directory_ops = {
	.size = directory_size,
	.stream = directory_stream,
	.close = directory_close,
};

/* --- one file -------------------------------------------------------------------------------- */

static int file_size(struct files *f, const char *name, uint64_t *ret, struct cairn_error *err)
{
	struct stat st;

	if (fstat(((struct directory *)f)->fd, &st) < 0)
		return error_errno(err, -errno, "%s", name);
	*ret = (uint64_t)st.st_size;
	return 0;
}

static int file_stream(struct files *f, const char *name, uint64_t from, uint64_t size,
		       source_fn fn, void *arg, struct cairn_error *err)
{
	return files_stream_fd(((struct directory *)f)->fd, name, from, size, fn, arg, err);
}

static const struct files_ops file_ops = {
	.size = file_size,
	.stream = file_stream,
	.close = directory_close,
};

static int new_files(int fd, const struct files_ops *ops, const char *path, struct files **ret,
		     struct cairn_error *err)
{
	struct directory *d = fd < 0 ? NULL : (struct directory *)malloc(sizeof(*d));

	if (fd < 0)
		return error_errno(err, -errno, "%s", path);
	if (!d) {
		close(fd);
		return error_errno(err, -ENOMEM, "%s", path);
	}
	*d = (struct directory){{ops}, fd};
	*ret = &d->files;
	return 0;
}

int files_open_directory(const char *path, struct files **ret, struct cairn_error *err)
{
	return new_files(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), &directory_ops, path, ret,
			 err);
}

int files_open_file(const char *path, struct files **ret, struct cairn_error *err)
{
	int fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "%s: not a regular file", path);
	}
	return new_files(fd, &file_ops, path, ret, err);
}
