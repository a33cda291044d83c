/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A tar archive as a set of files: its headers are read once, contents where they lie.
 *
 *	plain		contents are jumped over while listing, and read in place
 *	compressed	listing decompresses all of it, reading all that is before the file's end
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "oci/files-internal.h"
#include "sys/decompress.h"
#include "sys/io.h"
#include "tar/tar.h"

#define LISTING_PIECE (64u << 10)
#define UNPACKED_MAX  ((uint64_t)1 << 40) /* bytes of a compressed archive */
#define STOP          (-ECHILD)           /* from a callback: what was wanted is there */

struct member {
	const char *name;   /* without "./" and "/" in front */
	const char *target; /* of a link, as a name; NULL: a file */
	uint64_t offset, size;
};

struct archive {
	struct files files;
	int fd;
	bool compressed;
	struct arena arena;     /* names */
	struct member *members; /* sorted by name */
	size_t nr, room;
};

/* --- listing --------------------------------------------------------------------------------- */

/* "./a//b/./c" → "a/b/c" in the arena; NULL with errno: it leads out (EINVAL), or no memory. With @base, what a
 * link in the directory of @base means. */
static const char *normalise(struct archive *a, const char *base, const char *name)
{
	size_t len = base ? strlen(base) : 0, end = 0;
	char *out = (char *)arena_alloc(&a->arena, len + strlen(name) + 2);
	const char *slash = base ? strrchr(base, '/') : NULL;

	errno = ENOMEM;
	if (!out)
		return NULL;
	errno = EINVAL;
	if (slash && *name != '/') {
		end = (size_t)(slash - base);
		memcpy(out, base, end);
	}
	while (*name) {
		size_t part;

		name += strspn(name, "/");
		part = strcspn(name, "/");
		if (part == 2 && !memcmp(name, "..", 2)) {
			if (!base || !end)
				return NULL;
			while (end && out[--end] != '/')
				;
		} else if (part && !(part == 1 && *name == '.')) {
			if (end)
				out[end++] = '/';
			memcpy(out + end, name, part);
			end += part;
		}
		name += part;
	}
	out[end] = '\0';
	return out;
}

static int take_entry(void *arg, const struct tar_entry *e, struct cairn_error *err)
{
	struct archive *a = (struct archive *)arg;
	struct member *m;
	bool link = e->type == TAR_SYMLINK || e->type == TAR_HARDLINK;

	if ((e->type != TAR_FILE && !link) || (e->flags & TAR_OLD_DIRECTORY))
		return 0;
	if (a->nr == FILES_MEMBERS_MAX)
		return error_set(err, -EFBIG, CAIRN_ERROR_FORMAT,
				 "more than %u files in the archive", FILES_MEMBERS_MAX);
	if (a->nr == a->room) {
		size_t room = MAX(2 * a->room, (size_t)64);
		struct member *grown = (struct member *)realloc(a->members, room * sizeof(*m));

		if (!grown)
			return error_errno(err, -ENOMEM, "archive");
		a->members = grown;
		a->room = room;
	}
	m = &a->members[a->nr];
	*m = (struct member){.offset = e->offset + TAR_BLOCK, .size = e->size};
	m->name = normalise(a, NULL, e->path);
	if (m->name && link)
		m->target = normalise(a, e->type == TAR_SYMLINK ? m->name : NULL, e->target);
	if (!m->name || (link && !m->target)) {
		if (errno == ENOMEM)
			return error_errno(err, -ENOMEM, "archive");
		return 0; /* a name that leads out is nobody's */
	}
	a->nr++;
	return 0;
}

static int list_piece(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	return tar_reader_feed((struct tar_reader *)arg, data, size, err);
}

/* Headers are fed block by block, so that contents can be jumped over. */
static int list_plain(struct archive *a, struct tar_reader *reader, struct cairn_error *err)
{
	char *piece cleanup_free = (char *)malloc(LISTING_PIECE);
	uint64_t at = 0;

	if (!piece)
		return error_errno(err, -ENOMEM, "archive");
	for (;;) {
		ssize_t n = pread_full(a->fd, piece, LISTING_PIECE, (off_t)at), used = 0;

		if (n <= 0)
			return n < 0 ? error_errno(err, (int)n, "archive") : 0;
		while (used < n) {
			size_t step = (size_t)MIN(n - used, (ssize_t)TAR_BLOCK);
			uint64_t due;
			int r = tar_reader_feed(reader, piece + used, step, err);

			if (r < 0)
				return r;
			used += (ssize_t)step;
			due = tar_reader_due(reader);
			if (!due)
				continue;
			r = tar_reader_skip(reader, due, err);
			if (r < 0)
				return r;
			at += due;
			break;
		}
		at += (uint64_t)used;
	}
}

static int feed_decompressor(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	return decompressor_feed((struct decompressor *)arg, data, size, err);
}

static int list_compressed(struct archive *a, struct tar_reader *reader, struct cairn_error *err)
{
	struct decompressor *d cleanup(decompressor) = NULL;
	int r = decompressor_new(COMPRESSION_AUTO, UNPACKED_MAX, list_piece, reader, &d);

	if (r < 0)
		return error_errno(err, r, "archive");
	r = files_stream_fd(a->fd, "archive", 0, UINT64_MAX, feed_decompressor, d, err);
	return r < 0 ? r : decompressor_finish(d, err);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static int list(struct archive *a, struct cairn_error *err)
{
	const struct tar_handler handler = {.entry = take_entry, .arg = a};
	struct tar_reader *reader cleanup(tar_reader) = NULL;
	int r = tar_reader_new(&handler, &reader);

	if (r < 0)
		return error_errno(err, r, "archive");
	r = a->compressed ? list_compressed(a, reader, err) : list_plain(a, reader, err);
	if (r == 0)
		r = tar_reader_finish(reader, err);
	if (r < 0)
		return r;
	if (a->nr)
		qsort(a->members, a->nr, sizeof(*a->members), by_name);
	for (size_t i = 1; i < a->nr; i++) {
		if (!strcmp(a->members[i - 1].name, a->members[i].name))
			return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
					 "'%.300s' is in the archive twice", a->members[i].name);
	}
	return 0;
}

/* --- reading --------------------------------------------------------------------------------- */

static const struct member *find_one(const struct archive *a, const char *name)
{
	const struct member key = {.name = name};

	return a->nr ? (const struct member *)bsearch(&key, a->members, a->nr, sizeof(key), by_name)
		     : NULL;
}

static int find(const struct files *f, const char *name, const struct member **ret,
		struct cairn_error *err)
{
	const struct archive *a = (const struct archive *)f;
	const struct member *m;

	name += strspn(name, "/");
	while (!strncmp(name, "./", 2))
		name += 2 + strspn(name + 2, "/");
	m = find_one(a, name);
	if (m && m->target)
		m = find_one(a, m->target);
	if (!m)
		return error_errno(err, -ENOENT, "%s", name);
	if (m->target)
		return error_set(err, -ELOOP, CAIRN_ERROR_FORMAT, "%s: a link to a link", name);
	*ret = m;
	return 0;
}

static int archive_size(struct files *f, const char *name, uint64_t *ret, struct cairn_error *err)
{
	const struct member *m;
	int r = find(f, name, &m, err);

	if (r == 0)
		*ret = m->size;
	return r;
}

/* Takes a part out of a stream. */
struct part {
	uint64_t skip, left;
	source_fn fn;
	void *arg;
};

static int part_piece(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	struct part *p = (struct part *)arg;
	size_t skip = (size_t)MIN(p->skip, (uint64_t)size);
	int r;

	p->skip -= skip;
	size = (size_t)MIN((uint64_t)size - skip, p->left);
	if (!size)
		return p->left ? 0 : STOP;
	r = p->fn(p->arg, (const char *)data + skip, size, err);
	p->left -= size;
	return r < 0 ? r : p->left ? 0 : STOP;
}

static int stream_compressed(const struct archive *a, const char *name, uint64_t from,
			     uint64_t size, source_fn fn, void *arg, struct cairn_error *err)
{
	struct decompressor *d cleanup(decompressor) = NULL;
	struct part part = {.skip = from, .left = size, .fn = fn, .arg = arg};
	int r = decompressor_new(COMPRESSION_AUTO, UNPACKED_MAX, part_piece, &part, &d);

	if (r < 0)
		return error_errno(err, r, "%s", name);
	if (!size)
		return 0;
	r = files_stream_fd(a->fd, name, 0, UINT64_MAX, feed_decompressor, d, err);
	if (r == STOP)
		return 0;
	return r < 0 ? r
		     : error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST, "%s: the archive ends before it",
				 name);
}

static int archive_stream(struct files *f, const char *name, uint64_t from, uint64_t size,
			  source_fn fn, void *arg, struct cairn_error *err)
{
	const struct archive *a = (const struct archive *)f;
	const struct member *m;
	int r = find(f, name, &m, err);

	if (r < 0)
		return r;
	if (size == UINT64_MAX)
		size = from < m->size ? m->size - from : 0;
	if (from > m->size || size > m->size - from)
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST, "%s: ends at byte %llu", name,
				 (unsigned long long)m->size);
	if (a->compressed)
		return stream_compressed(a, name, m->offset + from, size, fn, arg, err);
	return files_stream_fd(a->fd, name, m->offset + from, size, fn, arg, err);
}

static void archive_close(struct files *f)
{
	struct archive *a = (struct archive *)f;

	if (a->fd >= 0)
		close(a->fd);
	arena_fini(&a->arena);
	free(a->members);
	free(a);
}

static const struct files_ops archive_ops = {
	.size = archive_size,
	.stream = archive_stream,
	.close = archive_close,
};

int files_open_archive(const char *path, struct files **ret, struct cairn_error *err)
{
	struct archive *a = (struct archive *)calloc(1, sizeof(*a));
	uint8_t head[COMPRESSION_PROBE_SIZE];
	struct stat st;
	ssize_t n;
	int r;

	if (!a)
		return error_errno(err, -ENOMEM, "%s", path);
	a->files.ops = &archive_ops;
	arena_init(&a->arena);
	a->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	r = a->fd < 0 || fstat(a->fd, &st) < 0 ? error_errno(err, -errno, "%s", path) : 0;
	if (r == 0 && !S_ISREG(st.st_mode))
		r = error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "%s: not a regular file", path);
	if (r == 0) {
		n = pread_full(a->fd, head, sizeof(head), 0);
		a->compressed = n > 0 && compression_probe(head, (size_t)n) != COMPRESSION_NONE;
		r = list(a, err);
		if (r < 0)
			error_prepend(err, "%s", path);
	}
	if (r < 0) {
		archive_close(&a->files);
		return r;
	}
	*ret = &a->files;
	return 0;
}
